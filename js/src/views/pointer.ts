// The pointer over the graph: hover, select, choose a link, pan and zoom.

import { type Camera, MAX_ZOOM, traitOf, WHOLE } from "../layout.js";
import { type Edge, type Neuron, pickEdge, pickLink, pickNeuron } from "../picking.js";
import type { Scene } from "../scene.js";
import { joined } from "../selection.js";
import type { Hover } from "../state.js";
import type { Stage } from "./stage.js";
import { oncePerFrame, type View } from "./view.js";

const NEURON_DISTANCE = 7;
const EDGE_DISTANCE = 4;
/** A press that moves less than this is a click. */
const DRAG = 4;

export function followPointer(view: View, stage: Stage, canvas: HTMLCanvasElement): void {
  const { state } = view;
  let at = { x: 0, y: 0 };
  let press: { x: number; y: number; camera: Camera; dragged: boolean } | null = null;

  const place = (event: MouseEvent) => {
    const { left, top } = canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  const look = oncePerFrame(view, () => {
    if (!press?.dragged) state.hover.value = pick(view, stage, at.x, at.y);
  });

  view.listen(canvas, "pointermove", (event) => {
    at = place(event);
    if (press) {
      const dx = at.x - press.x;
      const dy = at.y - press.y;
      if (!press.dragged && Math.hypot(dx, dy) < DRAG) return;
      if (!press.dragged) canvas.setPointerCapture(event.pointerId);
      press.dragged = true;
      canvas.classList.add("svr-dragging");
      state.hover.value = null;
      moveCamera(view, stage, { ...press.camera, x: press.camera.x + dx, y: press.camera.y + dy });
      return;
    }
    look();
  });
  view.listen(canvas, "pointerleave", () => {
    if (!press) state.hover.value = null;
  });
  view.listen(canvas, "pointerdown", (event) => {
    if (event.button === 0)
      press = { ...place(event), camera: stage.layout.peek()?.camera ?? WHOLE, dragged: false };
  });
  view.listen(canvas, "pointerup", (event) => {
    const pressed = press;
    press = null;
    canvas.classList.remove("svr-dragging");
    if (!pressed || pressed.dragged) return;
    at = place(event);
    click(view, stage, pick(view, stage, at.x, at.y), at.x, event.shiftKey);
  });
  view.listen(canvas, "pointercancel", () => {
    press = null;
    canvas.classList.remove("svr-dragging");
  });
  view.listen(canvas, "dblclick", () => state.resetCamera());
  view.listen(
    canvas,
    "wheel",
    (event) => {
      // Without a key or a click into the graph the wheel belongs to the page.
      if (!event.ctrlKey && !event.metaKey && !canvas.matches(":focus")) return;
      event.preventDefault();
      const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      const { x, y } = place(event);
      zoomBy(view, stage, 2 ** ((-event.deltaY * pixels) / 240), x, y);
    },
    { passive: false },
  );
}

export function zoomBy(view: View, stage: Stage, factor: number, x: number, y: number): void {
  const { zoom, x: left, y: top } = stage.layout.peek()?.camera ?? WHOLE;
  const next = Math.min(MAX_ZOOM, Math.max(1, zoom * factor));
  const by = next / zoom;
  moveCamera(view, stage, { zoom: next, x: x - (x - left) * by, y: y - (y - top) * by });
}

/** Moves the camera, but never so far that the picture is lost from sight. */
export function moveCamera(view: View, stage: Stage, { zoom, x, y }: Camera): void {
  const layout = stage.layout.peek();
  if (!layout) return;
  const { size, margins, plotWidth } = layout;
  const hold = (offset: number, length: number, content: number) =>
    Math.max(0.4 * length - content * zoom, Math.min(0.6 * length, offset));
  const camera = {
    zoom,
    x: hold(x, size.width, margins.left + plotWidth + margins.right),
    y: hold(y, size.height, size.height),
  };
  view.state.moveCamera(traitOf({ ...layout, camera }));
}

function pick(view: View, stage: Stage, x: number, y: number): Hover | null {
  const scene = view.state.scene.peek();
  const layout = stage.layout.peek();
  const cut = view.state.cut.peek();
  if (!scene || !layout || !cut) return null;
  const neuron = pickNeuron(scene, layout, x, y, NEURON_DISTANCE);
  if (neuron) return { kind: "neuron", neuron, from: "graph" };
  const edge = pickEdge(scene, layout, cut.drawnPerLink, x, y, EDGE_DISTANCE);
  if (!edge) return null;
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
  select(view, endsOf(scene, target), add);
  state.chooseLink(target.link);
}

/** The neurons that an edge joins. */
export function endsOf(scene: Scene, { link, m, n }: Omit<Edge, "edge">): Neuron[] {
  const { producer, consumer } = scene.links[link];
  return [
    { map: producer, k: m },
    { map: consumer, k: n },
  ];
}

/** Selects neurons; with `add` beside those that are, or off where they already are. */
export function select({ state }: View, neurons: readonly Neuron[], add: boolean): void {
  state.select(joined(state.selectedNeurons.peek(), neurons, add ? "toggle" : "replace"));
}
