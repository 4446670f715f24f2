// A matrix on a canvas: its tiles as pixels, one a cell; singular values along the margins; the
// internal dimensions as a cross; what is hovered and selected.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Marks } from "../../logic/linkedHover.js";
import type { Facts, InternalDimensions } from "../../logic/matrices.js";
import { type Frame, type Pair, placesFor, type Tile, type Tiles } from "../../logic/tiles.js";
import type { Palette } from "../../paint/palette.js";
import { h } from "../kit/dom.js";
import { oncePerFrame } from "../kit/frames.js";
import type { View } from "../view.js";
import {
  drawCells,
  drawCross,
  drawLargest,
  drawMarks,
  MARKED_BELOW,
  paintTile,
  placement,
  RING,
} from "./cells.js";
import { drawMargins } from "./margins.js";

/** A row, a column, or where both are given an entry. */
export interface Spot {
  readonly row: number | null;
  readonly column: number | null;
}

/** Everything that the picture of a matrix depends on. */
export interface ShownMatrix {
  readonly facts: Facts;
  readonly tiles: Tiles;
}

export interface MatrixView {
  readonly element: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  /** Where the entries themselves are, in CSS pixels of the canvas. */
  readonly box: ReadonlySignal<Box>;
  /** CSS pixels beneath the matrix that it leaves empty. */
  readonly slack: ReadonlySignal<number>;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export interface MatrixInput {
  readonly shown: ReadonlySignal<ShownMatrix | null>;
  readonly internal: ReadonlySignal<InternalDimensions | null>;
  readonly frame: Signal<Frame>;
  /** Entries with a larger p-value are dimmed; null where none are. */
  readonly mask: ReadonlySignal<number | null>;
  readonly marks: ReadonlySignal<Marks>;
  /** The largest entry, to be marked where cells are small; null where it is not known. */
  readonly largest: ReadonlySignal<Spot | null>;
  /** Changes when a tile has come. */
  readonly news: ReadonlySignal<number>;
}

const MARGIN = 26;
/** Cells are square, but where that would make a matrix lower or narrower than this. */
const SMALLEST = 40;
/** Cells are never larger. */
const LARGEST_CELL = 44;
const NOTHING: Box = { left: 0, top: 0, width: 0, height: 0 };

export function matrix(view: View, input: MatrixInput): MatrixView {
  const canvas = h("canvas", { class: "svr-matrix", tabindex: 0, role: "application" });
  const holder = h("div", { class: "svr-matrix-holder" }, canvas);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  const room = signal<Pair>([0, 0]);
  const resizes = new ResizeObserver(
    view.guard(() => (room.value = [holder.clientWidth, holder.clientHeight])),
  );
  resizes.observe(holder);
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });

  const box = signal<Box>(NOTHING);
  view.watch(() => {
    const facts = input.shown.value?.facts;
    box.value = facts ? boxWithin(room.value, facts) : NOTHING;
    const { left, top, width, height } = box.value;
    canvas.style.width = `${left + width}px`;
    canvas.style.height = `${top + height}px`;
  });

  const developed = new WeakMap<Tile, { of: readonly unknown[]; image: HTMLCanvasElement }>();
  const imageOf = (tile: Tile, max: number, palette: Palette, mask: number | null) => {
    const of = [palette, mask];
    const known = developed.get(tile);
    if (known && of.every((part, index) => part === known.of[index])) return known.image;
    const image = paintTile(tile, max, palette, mask, known?.image);
    developed.set(tile, { of, image });
    return image;
  };
  const draw = oncePerFrame(view, () => {
    const shown = input.shown.peek();
    const palette = view.palette.peek();
    const ratio = window.devicePixelRatio || 1;
    const { left, top, width, height } = box.peek();
    const sizes = [Math.round((left + width) * ratio), Math.round((top + height) * ratio)];
    if (canvas.width !== sizes[0]) canvas.width = sizes[0];
    if (canvas.height !== sizes[1]) canvas.height = sizes[1];
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!shown || !palette || width <= 0 || height <= 0) return;
    const origin: Pair = [Math.round(left * ratio), Math.round(top * ratio)];
    const size: Pair = [canvas.width - origin[0], canvas.height - origin[1]];
    const { facts, tiles } = shown;
    const frame = input.frame.peek();
    const wanted = placesFor(facts.shape, [size[1], size[0]], frame, facts.steps);
    tiles.want(wanted);
    const place = placement(facts, frame, size);
    context.save();
    context.translate(...origin);
    context.beginPath();
    context.rect(0, 0, ...size);
    context.clip();
    for (const { extent, tile } of tiles.cached()) {
      const [x0, y0, x1, y1] = place.rectangle(extent);
      if (x1 <= 0 || y1 <= 0 || x0 >= size[0] || y0 >= size[1]) continue;
      // Cells smaller than a pixel are blended: none may fall between the pixels.
      context.imageSmoothingEnabled = tile.cells[0] > y1 - y0 || tile.cells[1] > x1 - x0;
      const image = imageOf(tile, facts.max, palette, input.mask.peek());
      context.drawImage(image, x0, y0, x1 - x0, y1 - y0);
    }
    const line = Math.max(1, Math.round(ratio));
    context.lineWidth = line;
    drawCells(context, shown, place, palette, ratio, input.mask.peek());
    drawCross(context, input.internal.peek(), place, palette, line);
    const marks = input.marks.peek();
    drawMarks(context, marks, place, palette, ratio);
    context.restore();
    drawLargest(context, input.largest.peek(), place, origin, palette, ratio);
    drawMargins(context, facts, place, origin, marks, palette, ratio, MARGIN);
    canvas.dataset.painted = String(tiles.settled());
  });
  view.watch(() => {
    for (const cause of [input.shown, input.internal, input.frame, input.mask, input.news, box]) {
      cause.value;
    }
    input.marks.value;
    input.largest.value;
    view.palette.value;
    canvas.dataset.painted = "false";
    draw();
  });
  const slack = computed(() => Math.max(0, room.value[1] - box.value.top - box.value.height));
  return { element: holder, canvas, box, slack };
}

/** The entries' box in the room there is, of square cells. */
export function boxWithin([wide, tall]: Pair, { shape, rows }: Pick<Facts, "shape" | "rows">): Box {
  const left = rows ? MARGIN : 0;
  const top = MARGIN;
  const most: Pair = [Math.max(0, wide - left), Math.max(0, tall - top)];
  const cell = Math.min(LARGEST_CELL, most[0] / shape[1], most[1] / shape[0]);
  const side = (entries: number, room: number) =>
    Math.round(Math.min(room, Math.max(SMALLEST, entries * cell)));
  return { left, top, width: side(shape[1], most[0]), height: side(shape[0], most[1]) };
}

/** Whether a point of the canvas is at the ring around the largest entry. */
export function isAtLargest(
  { left, top, width, height }: Box,
  { zoom, x, y }: Frame,
  shape: Pair,
  largest: Spot | null,
  px: number,
  py: number,
): boolean {
  if (largest?.row == null || largest.column == null) return false;
  const cell = Math.min((width * zoom) / shape[1], (height * zoom) / shape[0]);
  const middle = (at: number, entries: number, from: number) =>
    ((at + 0.5) / entries - from) * zoom;
  const dx = left + width * middle(largest.column, shape[1], x) - px;
  const dy = top + height * middle(largest.row, shape[0], y) - py;
  return cell < MARKED_BELOW && Math.hypot(dx, dy) <= RING + 2;
}

/** The entry under a point of the canvas; null for a coordinate in its margin. */
export function entryAt(
  { left, top, width, height }: Box,
  { zoom, x, y }: Frame,
  shape: Pair,
  px: number,
  py: number,
): { row: number | null; column: number | null } {
  const index = (share: number, from: number, entries: number) =>
    share < 0 || share >= 1
      ? null
      : Math.min(entries - 1, Math.floor((from + share / zoom) * entries));
  return {
    row: index((py - top) / height, y, shape[0]),
    column: index((px - left) / width, x, shape[1]),
  };
}
