// The pointer over the graph: hover, select one or many, choose a link, pan and zoom.

import { pickBand } from "../../geometry/bands.js";
import { type Camera, heldCamera, MAX_ZOOM, traitOf, WHOLE } from "../../geometry/layout.js";
import { pickEdge, pickLink, pickNeuron } from "../../geometry/picking.js";
import type { Point } from "../../geometry/placement.js";
import { pickRibbon } from "../../geometry/ribbons.js";
import { joined, neuronsWithin, rectangle } from "../../geometry/selection.js";
import { endsOf, type Hover } from "../../logic/linkedHover.js";
import { foremostOf } from "../../logic/threshold.js";
import type { PublicTraits } from "../../wire/host.js";
import { oncePerFrame } from "../kit/frames.js";
import { select } from "../kit/select.js";
import { followWheel } from "../kit/wheel.js";
import type { View } from "../view.js";
import type { Outline } from "./canvases/lassoOutline.js";
import type { Stage } from "./stage.js";

const NEURON_DISTANCE = 7;
const EDGE_DISTANCE = 4;
/** A press that moves less than this is a click. */
const DRAG = 4;

/** What a press that is dragged does. */
type Gesture =
  | { readonly kind: "pan"; readonly camera: Camera }
  | { readonly kind: "box" | "lasso"; readonly line: Point[] };

interface Press extends Point {
  readonly gesture: Gesture;
  dragged: boolean;
}

export function followPointer(
  view: View,
  stage: Stage,
  canvas: HTMLCanvasElement,
  { draw }: Outline,
): void {
  const { state } = view;
  let at = { x: 0, y: 0 };
  /** What was selected before each of the last two clicks. */
  const before: Pick<PublicTraits, "selected" | "selected_link">[] = [];
  let press: Press | null = null;

  const place = (event: MouseEvent) => {
    const { left, top } = canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const look = oncePerFrame(view, () => {
    if (!press?.dragged) state.hover.value = pick(view, stage, at.x, at.y);
  });
  const release = () => {
    press = null;
    draw([]);
    canvas.classList.remove("svr-dragging");
  };
  const drag = ({ x, y, gesture }: Press) => {
    if (gesture.kind === "pan") {
      const { camera } = gesture;
      moveCamera(view, stage, { ...camera, x: camera.x + at.x - x, y: camera.y + at.y - y });
    } else draw(lineOf(gesture, { x, y }, at));
  };

  view.listen(canvas, "pointermove", (event) => {
    at = place(event);
    // The button may have been let go outside, before the press became a drag.
    if (event.buttons === 0 && press) release();
    if (!press) return look();
    if (press.gesture.kind === "lasso") press.gesture.line.push(at);
    if (!press.dragged) {
      if (Math.hypot(at.x - press.x, at.y - press.y) < DRAG) return;
      canvas.setPointerCapture(event.pointerId);
      press.dragged = true;
      canvas.classList.toggle("svr-dragging", press.gesture.kind === "pan");
      state.hover.value = null;
    }
    drag(press);
  });
  view.listen(canvas, "pointerleave", () => {
    if (!press) state.hover.value = null;
  });
  view.listen(canvas, "pointerdown", (event) => {
    if (event.button !== 0) return;
    at = place(event);
    if (event.shiftKey || state.lasso.peek()) {
      // A notebook would extend its selection of cells, and take the drag for its own.
      event.preventDefault();
      canvas.focus({ preventScroll: true });
    }
    press = { ...at, gesture: gestureOf(view, stage, event, at), dragged: false };
  });
  view.listen(canvas, "pointerup", (event) => {
    const pressed = press;
    release();
    if (!pressed) return;
    at = place(event);
    const { gesture } = pressed;
    if (!pressed.dragged) {
      const { selected, selected_link } = state;
      before.push({ selected: selected.peek(), selected_link: selected_link.peek() });
      if (before.length > 2) before.shift();
      click(view, stage, pick(view, stage, at.x, at.y), at.x, event.shiftKey);
    } else if (gesture.kind !== "pan") {
      // Shift alone begins a box, so it takes another key to add to what is selected.
      const add = event.ctrlKey || event.metaKey || event.altKey;
      const line = lineOf(gesture, pressed, at);
      selectWithin(view, stage, line, add || (event.shiftKey && gesture.kind === "lasso"));
    }
  });
  view.listen(canvas, "pointercancel", release);
  view.listen(canvas, "keydown", (event) => {
    if (event.key !== "Escape" || !press?.dragged) return;
    event.stopImmediatePropagation();
    release();
  });
  view.listen(canvas, "dblclick", () => {
    // It shows the whole graph; its two clicks are not to choose anything.
    if (before.length === 2) state.apply(before[0]);
    state.resetCamera();
  });
  followWheel(view, canvas, (factor, event) => {
    const { x, y } = place(event);
    zoomBy(view, stage, factor, x, y);
  });
}

function gestureOf({ state }: View, stage: Stage, event: PointerEvent, at: Point): Gesture {
  if (state.lasso.peek()) return { kind: "lasso", line: [at] };
  if (event.shiftKey) return { kind: "box", line: [] };
  return { kind: "pan", camera: stage.layout.peek()?.camera ?? WHOLE };
}

function lineOf(gesture: Exclude<Gesture, { kind: "pan" }>, from: Point, to: Point): Point[] {
  return gesture.kind === "box" ? rectangle(from, to) : gesture.line;
}

function selectWithin({ state }: View, stage: Stage, line: readonly Point[], add: boolean): void {
  const scene = state.scene.peek();
  const layout = stage.layout.peek();
  if (!scene || !layout) return;
  const found = neuronsWithin(scene, layout, line);
  state.select(joined(state.selectedNeurons.peek(), found, add ? "add" : "replace"));
}

export function zoomBy(view: View, stage: Stage, factor: number, x: number, y: number): void {
  const { zoom, x: left, y: top } = stage.layout.peek()?.camera ?? WHOLE;
  const next = Math.min(MAX_ZOOM, Math.max(1, zoom * factor));
  const by = next / zoom;
  moveCamera(view, stage, { zoom: next, x: x - (x - left) * by, y: y - (y - top) * by });
}

/** Moves the camera, but never so far that the picture is lost from sight. */
export function moveCamera(view: View, stage: Stage, camera: Camera): void {
  const layout = stage.settled.peek();
  if (!layout) return;
  view.state.moveCamera(traitOf({ ...layout, camera: heldCamera(camera, layout) }));
}

/** Brings a link into sight, at its own size where one has zoomed in. */
export function showLink(view: View, stage: Stage, index: number): void {
  const scene = view.state.scene.peek();
  if (!scene?.links[index]) return;
  const { producer, consumer } = scene.links[index];
  view.state.unfoldTo([producer, consumer]);
  view.state.chooseLink(index);
  const layout = stage.settled.peek();
  if (!layout) return;
  const { size, margins, camera } = layout;
  const ends = [layout.x[producer], layout.x[consumer]];
  const isSeen = ends.every((x) => x >= margins.left && x <= size.width - margins.right);
  if (isSeen && camera.zoom === 1) return;
  const middle = ((ends[0] + ends[1]) / 2 - camera.x) / camera.zoom;
  moveCamera(view, stage, { zoom: 1, x: (margins.left + size.width) / 2 - middle, y: 0 });
}

function pick(view: View, stage: Stage, x: number, y: number): Hover | null {
  const scene = view.state.scene.peek();
  const layout = stage.layout.peek();
  const cut = view.state.cut.peek();
  if (!scene || !layout || !cut) return null;
  const neuron = pickNeuron(scene, layout, x, y, NEURON_DISTANCE);
  if (neuron) return { kind: "neuron", neuron, from: "graph" };
  const edge = pickEdge(scene, layout, cut.drawnPerLink, x, y, EDGE_DISTANCE);
  if (!edge) {
    const tied = pickRibbon(scene, layout, x, y);
    const [bundles, widths] = [view.state.bundles.peek(), view.state.bundleWidths.peek()];
    const band = tied === null ? pickBand(scene, layout, bundles, widths, x, y) : -1;
    const link = band < 0 ? tied : foremostOf(scene, cut, bundles.at(band).links);
    return link === null ? null : { kind: "ribbon", link, from: "graph" };
  }
  return { kind: "edge", ...edge, weight: scene.edgeWeight[edge.edge], from: "graph" };
}

function click(view: View, stage: Stage, target: Hover | null, x: number, add: boolean): void {
  const { state } = view;
  const scene = state.scene.peek();
  const layout = stage.layout.peek();
  if (!scene || !layout) return;
  state.hover.value = target;
  if (!target) {
    const link = pickLink(scene, layout, x);
    if (link !== null) state.chooseLink(link);
    return;
  }
  if (target.kind === "neuron") {
    select(view, [target.neuron], add);
    return;
  }
  // A band lies behind everything: a click on it is one between its columns, but for the link.
  if (target.kind === "edge") select(view, endsOf(scene, target), add);
  state.chooseLink(target.link);
}
