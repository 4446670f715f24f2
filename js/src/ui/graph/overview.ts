// The whole network in small, what of it is seen a window to drag: in a strip beneath the graph where
// its columns do not all fit, and moved there by keyboard too; in a corner of it where one has zoomed in.

import { shapeOf } from "../../geometry/columns.js";
import { type Layout, layOut, type Margins, type Size } from "../../geometry/layout.js";
import type { Cut } from "../../logic/threshold.js";
import { fullWeight } from "../../paint/density.js";
import { css, kindColour, type Palette } from "../../paint/palette.js";
import { linksWithEdges } from "../../wire/links/columns.js";
import type { Scene } from "../../wire/scene.js";
import { h } from "../kit/dom.js";
import { inNextFrame } from "../kit/frames.js";
import type { View } from "../view.js";
import { moveCamera } from "./pointer.js";
import { AXIS_WIDTH, type Stage } from "./stage.js";

/** Where the network is drawn in small. */
interface Place {
  readonly margins: Margins;
  isNeeded(layout: Layout): boolean;
  sizeIn(layout: Layout): Size;
}

const STRIP: Place = {
  margins: { top: 6, right: 8, bottom: 6, left: AXIS_WIDTH },
  isNeeded: (layout) => !fits(layout),
  sizeIn: ({ size }) => ({ width: size.width, height: 44 }),
};

/** A quarter of the graph across, within these bounds; not where it would hide most of a small one. */
const [NARROWEST, WIDEST, LEAST_GRAPH] = [96, 176, 240];
const CORNER: Place = {
  margins: { top: 5, right: 6, bottom: 5, left: 6 },
  isNeeded: (layout) =>
    fits(layout) && layout.camera.zoom > 1.001 && layout.size.width >= LEAST_GRAPH,
  sizeIn({ size }) {
    const width = Math.max(NARROWEST, Math.min(WIDEST, Math.round(size.width / 4)));
    const height = Math.round((width * size.height) / size.width);
    return { width, height: Math.max(48, Math.min(height, Math.round(size.height / 4))) };
  },
};
/** Between the corner and what stands in it. */
const APART = 8;

/** The window is so much higher than what lies in it. */
const AROUND = 4;

/** By arrow keys the window moves by this share of itself. */
const STEP = 0.1;

/** The strip beneath the graph. */
export function overview(view: View, stage: Stage): HTMLElement {
  const { state } = view;
  const pane = h("div", {
    class: "svr-window",
    role: "scrollbar",
    tabindex: 0,
    "aria-orientation": "horizontal",
    "aria-label": "part of the network that is seen",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
  });
  const element = h("div", { class: "svr-overview", "data-svr": "overview" });
  inSmall(view, stage, STRIP, element, pane);
  view.listen(element, "pointerdown", () => pane.focus({ preventScroll: true }));
  view.watch(() => {
    const layout = stage.layout.value;
    if (!layout || !STRIP.isNeeded(layout)) return;
    const [from, to] = seen(layout).across;
    const share = Math.round((100 * Math.max(0, from)) / Math.max(1e-9, 1 - (to - from)));
    pane.setAttribute("aria-valuenow", String(Math.min(100, Math.max(0, share))));
    pane.setAttribute("aria-valuetext", columnsSeen(state.scene.peek(), layout));
  });
  followKeys(view, stage, pane);
  view.watch(showWhatKeysReach(view, stage));
  return element;
}

/** The corner of the graph, which has the focus then: its own keys move what is seen. */
export function minimap(view: View, stage: Stage, graph: HTMLElement): HTMLElement {
  const pane = h("div", { class: "svr-window" });
  const element = h("div", { class: "svr-minimap", "data-svr": "minimap", "aria-hidden": true });
  inSmall(view, stage, CORNER, element, pane);
  view.listen(element, "pointerdown", () => graph.focus({ preventScroll: true }));
  view.watch(() => {
    const layout = stage.layout.value;
    if (layout) element.style.bottom = `${layout.margins.bottom + APART}px`;
  });
  return element;
}

/** Draws the network in `element`, and on it `pane`, the part that is seen. */
function inSmall(
  view: View,
  stage: Stage,
  place: Place,
  element: HTMLElement,
  pane: HTMLElement,
): void {
  const { state } = view;
  const canvas = h("canvas", { "aria-hidden": true });
  element.append(canvas, pane);
  let drawn: readonly unknown[] = [];
  // What is seen large comes first.
  const draw = inNextFrame(view, () => {
    const scene = state.scene.peek();
    const layout = stage.layout.peek();
    const palette = view.palette.peek();
    const cut = state.cut.peek();
    const [scale, range, ratio] = [state.scale.peek(), state.y_range.peek(), stage.ratio.peek()];
    if (element.hidden || !scene || !layout || !palette || !cut) return;
    const size = place.sizeIn(layout);
    // What only moves the camera leaves the whole as it is.
    const causes = [
      ...[scene, palette, cut, scale, range, ratio, layout.folding, size.width, size.height],
      stage.appearances.peek(),
    ];
    if (causes.every((cause, at) => cause === drawn[at])) return;
    drawn = causes;
    element.style.height = `${size.height}px`;
    if (place === CORNER) element.style.width = `${size.width}px`;
    const { folding } = layout;
    const small = layOut(scene, scale, size, place.margins, undefined, 0, range, 0, folding);
    canvas.width = Math.round(size.width * ratio);
    canvas.height = Math.round(size.height * ratio);
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser gives no 2D canvas");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paintSmall(context, scene, small, cut, palette);
  });
  view.watch(() => {
    const layout = stage.layout.value;
    for (const cause of [
      ...[state.scene, state.cut, state.scale, state.y_range],
      ...[stage.ratio, stage.appearances, view.palette],
    ]) {
      cause.value;
    }
    element.hidden = !layout || !place.isNeeded(layout);
    if (!layout || element.hidden) return;
    draw();
    const { width, height } = place.sizeIn(layout);
    const { left, right, top, bottom } = place.margins;
    const { across, down } = seen(layout);
    const [x, wide] = stretch(across, left, width - left - right);
    const [y, high] = stretch(down, top, height - top - bottom);
    Object.assign(pane.style, { left: `${x}px`, width: `${wide}px` });
    Object.assign(pane.style, { top: `${y - AROUND}px`, height: `${high + 2 * AROUND}px` });
  });
  followDrag(view, stage, place, element);
}

/** The pixels of a stretch that lies between two shares of some room. */
function stretch([from, to]: readonly [number, number], begin: number, room: number) {
  const low = begin + Math.max(0, from) * room;
  return [low, Math.max(8, begin + Math.min(1, to) * room - low)];
}

const fits = ({ size, margins, plotWidth }: Layout) =>
  plotWidth <= size.width - margins.left - margins.right + 1;

const heightOf = ({ size, margins }: Layout) => size.height - margins.top - margins.bottom;

interface Seen {
  readonly across: readonly [number, number];
  readonly down: readonly [number, number];
}

/** The shares of the picture between which lies what is seen of it. */
function seen(layout: Layout): Seen {
  const { size, margins, camera, plotWidth } = layout;
  const across = (x: number) => ((x - camera.x) / camera.zoom - margins.left) / plotWidth;
  const down = (y: number) => ((y - camera.y) / camera.zoom - margins.top) / heightOf(layout);
  return {
    across: [across(margins.left), across(size.width - margins.right)],
    down: [down(margins.top), down(size.height - margins.bottom)],
  };
}

/** Puts the left edge of what is seen at this share of the picture, and its upper edge. */
function show(view: View, stage: Stage, left: number, top?: number): void {
  const layout = stage.layout.peek();
  if (!layout) return;
  const { camera, margins, plotWidth } = layout;
  const { across, down } = seen(layout);
  const held = (from: number, [low, high]: readonly [number, number]) =>
    Math.max(0, Math.min(from, 1 - (high - low)));
  const x = margins.left - (margins.left + held(left, across) * plotWidth) * camera.zoom;
  const y =
    top === undefined
      ? camera.y
      : margins.top - (margins.top + held(top, down) * heightOf(layout)) * camera.zoom;
  moveCamera(view, stage, { ...camera, x, y });
}

function columnsSeen(
  scene: Scene | null,
  { columnX: x, size, margins, folding: { columns } }: Layout,
): string {
  const inside = columns.filter(
    (_, at) => x[at] >= margins.left - 1 && x[at] <= size.width - margins.right + 1,
  );
  if (!scene || inside.length === 0) return "no column";
  const [first, last] = [inside[0], inside[inside.length - 1]].map(({ module, maps }) =>
    module === null ? scene.maps[maps[0]].label : scene.modules[module].label,
  );
  return `${inside.length} of ${columns.length} columns, ${first} to ${last}`;
}

/** Every neuron as a speck, and of each link the strongest edge that is drawn. */
function paintSmall(
  context: CanvasRenderingContext2D,
  scene: Scene,
  layout: Layout,
  cut: Cut,
  palette: Palette,
): void {
  context.clearRect(0, 0, layout.size.width, layout.size.height);
  const { x, y } = layout;
  context.globalAlpha = 0.55;
  for (const [column, { maps }] of layout.folding.columns.entries()) {
    // Of a folded module with thousands of neurons a speck a row and kind is all that is seen.
    const rows = new Map<string, Set<number>>();
    for (const map of maps) {
      const { kind, start, neurons } = scene.maps[map];
      const known = rows.get(kind) ?? new Set<number>();
      rows.set(kind, known);
      for (let neuron = start; neuron < start + neurons; neuron++) known.add(Math.round(y[neuron]));
    }
    for (const [kind, heights] of rows) {
      context.fillStyle = css(kindColour(palette, kind));
      for (const row of heights) {
        context.fillRect(layout.columnX[column] - 0.75, row - 0.5, 1.5, 1);
      }
    }
  }
  context.strokeStyle = css(palette.ink);
  context.lineWidth = 0.75;
  for (const index of linksWithEdges(scene.links)) {
    if (cut.drawnPerLink[index] === 0) continue;
    const link = scene.links[index];
    const { producer, consumer, start, backward } = link;
    if (backward || shapeOf(layout.folding, link) !== "line") continue;
    context.globalAlpha =
      0.2 + 0.8 * Math.min(1, scene.edgeWeight[start] / fullWeight(scene, index));
    context.beginPath();
    context.moveTo(x[producer], y[scene.maps[producer].start + scene.edgeM[start]]);
    context.lineTo(x[consumer], y[scene.maps[consumer].start + scene.edgeN[start]]);
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** Lets the window be dragged, and thrown by a press beside it. */
function followDrag(view: View, stage: Stage, { margins }: Place, element: HTMLElement): void {
  const sharesAt = (event: PointerEvent) => {
    const box = element.getBoundingClientRect();
    return {
      x: (event.clientX - box.left - margins.left) / (box.width - margins.left - margins.right),
      y: (event.clientY - box.top - margins.top) / (box.height - margins.top - margins.bottom),
    };
  };
  let grip: { readonly x: number; readonly y: number } | null = null;
  view.listen(element, "pointerdown", (event) => {
    const layout = stage.layout.peek();
    if (event.button !== 0 || !layout) return;
    const at = sharesAt(event);
    const { across, down } = seen(layout);
    const isWithin = (share: number, [low, high]: readonly [number, number]) =>
      share >= low && share <= high;
    // In the strip the whole height is seen unless one has zoomed in.
    const inside = isWithin(at.x, across) && (isWithin(at.y, down) || layout.camera.zoom === 1);
    const half = { x: (across[1] - across[0]) / 2, y: (down[1] - down[0]) / 2 };
    grip = inside ? { x: at.x - across[0], y: at.y - down[0] } : half;
    element.setPointerCapture(event.pointerId);
    if (!inside) show(view, stage, at.x - grip.x, at.y - grip.y);
    event.preventDefault();
  });
  view.listen(element, "pointermove", (event) => {
    if (!grip) return;
    const at = sharesAt(event);
    show(view, stage, at.x - grip.x, at.y - grip.y);
  });
  for (const end of ["pointerup", "pointercancel"] as const) {
    view.listen(element, end, () => (grip = null));
  }
}

function followKeys(view: View, stage: Stage, pane: HTMLElement): void {
  view.listen(pane, "keydown", (event) => {
    const layout = stage.layout.peek();
    if (!layout || event.ctrlKey || event.metaKey || event.altKey) return;
    const [from, to] = seen(layout).across;
    const by = { ArrowLeft: -STEP, ArrowRight: STEP, PageUp: -0.9, PageDown: 0.9 }[event.key];
    if (by !== undefined) show(view, stage, from + by * (to - from));
    else if (event.key === "Home") show(view, stage, 0);
    else if (event.key === "End") show(view, stage, 1);
    else return;
    event.preventDefault();
  });
}

/** A neuron that is reached by keyboard has to be seen. */
function showWhatKeysReach(view: View, stage: Stage): () => void {
  return () => {
    const hover = view.state.hover.value;
    const layout = stage.layout.peek();
    if (hover?.kind !== "neuron" || hover.from !== "keyboard" || !layout || fits(layout)) return;
    const { x, margins, size, plotWidth, camera } = layout;
    const at = x[hover.neuron.map];
    if (at >= margins.left && at <= size.width - margins.right) return;
    const [from, to] = seen(layout).across;
    const place = (at - camera.x) / camera.zoom / plotWidth - margins.left / plotWidth;
    show(view, stage, place - (to - from) / 2);
  };
}
