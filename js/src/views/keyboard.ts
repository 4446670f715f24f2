// The graph by keyboard: arrows walk neurons and maps, brackets move the threshold.

import type { Neuron } from "../picking.js";
import { cutAtStop } from "../threshold.js";
import { select, zoomBy } from "./pointer.js";
import type { Stage } from "./stage.js";
import type { View } from "./view.js";

export function followKeyboard(view: View, stage: Stage, canvas: HTMLCanvasElement): void {
  const { state } = view;
  const actions: Record<string, (event: KeyboardEvent) => void> = {
    ArrowUp: (event) => walk(view, stage, 0, event.shiftKey ? -10 : -1),
    ArrowDown: (event) => walk(view, stage, 0, event.shiftKey ? 10 : 1),
    ArrowLeft: () => walk(view, stage, -1, 0),
    ArrowRight: () => walk(view, stage, 1, 0),
    "[": () => moveThreshold(view, -1),
    "]": () => moveThreshold(view, 1),
    "+": () => zoomAtMiddle(view, stage, 1.5),
    "-": () => zoomAtMiddle(view, stage, 1 / 1.5),
    "0": () => state.resetCamera(),
    Enter: (event) => {
      const hover = state.hover.peek();
      if (hover?.kind === "neuron") select(view, [hover.neuron], event.shiftKey);
    },
    Escape: () => {
      state.hover.value = null;
      if (state.selectedNeurons.peek().length > 0) state.select([]);
    },
  };
  view.listen(canvas, "blur", () => {
    const hover = state.hover.peek();
    if (hover?.from === "keyboard") state.hover.value = null;
  });
  view.listen(canvas, "keydown", (event) => {
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action(event);
  });
}

function walk(view: View, stage: Stage, columns: number, neurons: number): void {
  const { state } = view;
  const scene = state.scene.peek();
  const layout = stage.layout.peek();
  if (!scene || !layout) return;
  const hover = state.hover.peek();
  const from: Neuron | undefined =
    hover?.kind === "neuron" ? hover.neuron : state.selectedNeurons.peek().at(-1);
  const moveTo = (neuron: Neuron) => {
    state.hover.value = { kind: "neuron", neuron, from: "keyboard" };
  };
  const order = scene.maps
    .map((_, map) => map)
    .filter((map) => scene.maps[map].neurons > 0)
    .sort((a, b) => layout.x[a] - layout.x[b]);
  if (order.length === 0) return;
  if (!from) {
    moveTo({ map: order[0], k: 0 });
    return;
  }
  if (columns === 0) {
    const last = scene.maps[from.map].neurons - 1;
    moveTo({ map: from.map, k: Math.min(last, Math.max(0, from.k + neurons)) });
    return;
  }
  const map = order[order.indexOf(from.map) + columns];
  if (map === undefined) return;
  // Sideways to the neuron at about the same height.
  const height = layout.y[scene.maps[from.map].start + from.k];
  const { start, neurons: many } = scene.maps[map];
  let k = 0;
  for (let other = 1; other < many; other++) {
    const nearer =
      Math.abs(layout.y[start + other] - height) < Math.abs(layout.y[start + k] - height);
    if (nearer) k = other;
  }
  moveTo({ map, k });
}

/** Moves the threshold by a fortieth of the slider. */
function moveThreshold(view: View, direction: number): void {
  const scene = view.state.scene.peek();
  const cut = view.state.cut.peek();
  if (!scene || !cut) return;
  const last = scene.stops[cut.law][cut.mode].level.length - 1;
  const step = Math.max(1, Math.round(last / 40));
  const stop = Math.min(last, Math.max(0, Math.round(cut.stop) + direction * step));
  view.state.setLevel(cutAtStop(scene, cut.law, cut.mode, stop).level);
}

function zoomAtMiddle(view: View, stage: Stage, factor: number): void {
  const size = stage.layout.peek()?.size;
  if (size) zoomBy(view, stage, factor, size.width / 2, size.height / 2);
}
