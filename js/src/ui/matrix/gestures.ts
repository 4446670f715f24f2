// The pointer and the keyboard over a matrix: which entry is meant, zoom and pan.

import type { Signal } from "@preact/signals-core";
import {
  ALL,
  type Frame,
  mostZoom,
  type Pair,
  panned,
  revealing,
  zoomAbout,
} from "../../logic/tiles.js";
import { followWheel } from "../kit/wheel.js";
import type { View } from "../view.js";
import { entryAt, isAtLargest, type MatrixView, type ShownMatrix, type Spot } from "./matrix.js";

export interface EntryEvents {
  shown(): ShownMatrix | null;
  /** The entry that has a ring around it where cells are small. */
  largest(): Spot | null;
  /** Entries that the arrow keys step over: those of a cell. */
  step(spot: Spot): Pair;
  hover(spot: Spot | null): void;
  select(spot: Spot, add: boolean): void;
}

/** A press that moves less than this is a click. */
const DRAG = 4;
/** CSS pixels that an entry has when it is as large as it gets. */
const LARGEST_ENTRY = 44;

/** What the pointer and the keyboard share: the entry that one of them is at, and the zoom. */
interface Cursor {
  spot: Spot;
  /** Rows and columns; null while there is no matrix. */
  shape(): Pair | null;
  /** Zooms about a point of the canvas. */
  zoomAt(factor: number, x: number, y: number): void;
}

export function followGestures(
  view: View,
  matrix: MatrixView,
  frame: Signal<Frame>,
  events: EntryEvents,
): void {
  const { box } = matrix;
  const shape = () => events.shown()?.facts.shape ?? null;
  const cursor: Cursor = {
    spot: { row: null, column: null },
    shape,
    zoomAt(factor, x, y) {
      const { left, top, width, height } = box.peek();
      const share = (at: number) => Math.max(0, Math.min(1, at));
      const at = [share((x - left) / width), share((y - top) / height)] as const;
      const most = mostZoom(shape() ?? [1, 1], [height, width], LARGEST_ENTRY);
      frame.value = zoomAbout(frame.peek(), factor, ...at, most);
    },
  };
  followPointer(view, matrix, frame, events, cursor);
  followKeyboard(view, matrix, frame, events, cursor);
}

function followPointer(
  view: View,
  { canvas, box }: MatrixView,
  frame: Signal<Frame>,
  events: EntryEvents,
  cursor: Cursor,
): void {
  let press: { x: number; y: number; frame: Frame; dragged: boolean } | null = null;
  const point = (event: MouseEvent) => {
    const { left, top } = canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const look = (event: MouseEvent) => {
    const of = cursor.shape();
    if (!of) return;
    const { x, y } = point(event);
    const largest = events.largest();
    const marked = isAtLargest(box.peek(), frame.peek(), of, largest, x, y) ? largest : null;
    const spot = marked ?? entryAt(box.peek(), frame.peek(), of, x, y);
    cursor.spot = spot;
    events.hover(spot.row === null && spot.column === null ? null : spot);
  };
  view.listen(canvas, "pointermove", (event) => {
    if (!press) return look(event);
    const { x, y } = point(event);
    if (!press.dragged && Math.hypot(x - press.x, y - press.y) < DRAG) return;
    if (!press.dragged) canvas.setPointerCapture(event.pointerId);
    press.dragged = true;
    events.hover(null);
    const { width, height } = box.peek();
    frame.value = panned(press.frame, (press.x - x) / width, (press.y - y) / height);
  });
  view.listen(canvas, "pointerdown", (event) => {
    if (event.button === 0) press = { ...point(event), frame: frame.peek(), dragged: false };
  });
  view.listen(canvas, "pointerup", (event) => {
    const { dragged } = press ?? { dragged: true };
    press = null;
    if (dragged) return;
    look(event);
    events.select(cursor.spot, event.shiftKey);
  });
  view.listen(canvas, "pointercancel", () => {
    press = null;
  });
  view.listen(canvas, "pointerleave", () => {
    if (!press) events.hover(null);
  });
  view.listen(canvas, "dblclick", () => {
    frame.value = ALL;
  });
  followWheel(view, canvas, (factor, event) => {
    const { x, y } = point(event);
    cursor.zoomAt(factor, x, y);
    look(event);
  });
}

function followKeyboard(
  view: View,
  { canvas, box }: MatrixView,
  frame: Signal<Frame>,
  events: EntryEvents,
  cursor: Cursor,
): void {
  const walk = (rows: number, columns: number) => {
    const of = cursor.shape();
    if (!of) return;
    const { spot } = cursor;
    const from = [spot.row ?? 0, spot.column ?? 0] as const;
    const fresh = spot.row === null || spot.column === null;
    const step = events.step(spot);
    const to = (axis: 0 | 1, by: number) =>
      Math.max(0, Math.min(of[axis] - 1, from[axis] + (fresh ? 0 : by * step[axis])));
    const [row, column] = [to(0, rows), to(1, columns)];
    cursor.spot = { row, column };
    frame.value = revealing(frame.peek(), of, row, column);
    events.hover(cursor.spot);
  };
  /** Zooms about the entry that the keyboard is at, else about the middle. */
  const zoomHere = (factor: number) => {
    const of = cursor.shape();
    if (!of) return;
    const { left, top, width, height } = box.peek();
    const { zoom, x, y } = frame.peek();
    const { spot } = cursor;
    const across = spot.column === null ? 0.5 : ((spot.column + 0.5) / of[1] - x) * zoom;
    const down = spot.row === null ? 0.5 : ((spot.row + 0.5) / of[0] - y) * zoom;
    cursor.zoomAt(factor, left + across * width, top + down * height);
  };
  const actions: Record<string, (event: KeyboardEvent) => void> = {
    ArrowUp: () => walk(-1, 0),
    ArrowDown: () => walk(1, 0),
    ArrowLeft: () => walk(0, -1),
    ArrowRight: () => walk(0, 1),
    "+": () => zoomHere(1.5),
    "-": () => zoomHere(1 / 1.5),
    "0": () => (frame.value = ALL),
    Enter: (event) => events.select(cursor.spot, event.shiftKey),
  };
  view.listen(canvas, "keydown", (event) => {
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action(event);
  });
  view.listen(canvas, "blur", () => events.hover(null));
}
