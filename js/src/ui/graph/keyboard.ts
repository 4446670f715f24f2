// The graph by keyboard: from neuron to neuron, selecting, zooming.

import type { Neuron } from "../../wire/scene.js";
import type { Action } from "../kit/keys.js";
import { select } from "../kit/select.js";
import type { View } from "../view.js";
import { moveCamera, zoomBy } from "./pointer.js";
import { AXIS_WIDTH, type Stage } from "./stage.js";

/** What happens with the keyboard on the graph. */
export function graphActions(view: View, stage: Stage): Action[] {
  const { state } = view;
  const walkBy = (columns: number, neurons: number) => () => walk(view, stage, columns, neurons);
  const keep = (add: boolean) => () => {
    const hover = state.hover.peek();
    if (hover?.kind === "neuron") select(view, [hover.neuron], add);
  };
  return [
    {
      keys: ["ArrowUp"],
      shown: "↑",
      words: "to the neuron with the next larger singular value",
      run: walkBy(0, -1),
    },
    {
      keys: ["ArrowDown"],
      shown: "↓",
      words: "to the neuron with the next smaller singular value",
      run: walkBy(0, 1),
    },
    { keys: ["Shift+ArrowUp"], shown: "Shift ↑", words: "ten neurons up", run: walkBy(0, -10) },
    { keys: ["Shift+ArrowDown"], shown: "Shift ↓", words: "ten neurons down", run: walkBy(0, 10) },
    { keys: ["ArrowLeft"], shown: "←", words: "to the map before", run: walkBy(-1, 0) },
    { keys: ["ArrowRight"], shown: "→", words: "to the next map", run: walkBy(1, 0) },
    { keys: ["Enter"], shown: "Enter", words: "select the neuron", run: keep(false) },
    {
      keys: ["Shift+Enter"],
      shown: "Shift Enter",
      words: "add the neuron to the selection, or take it away",
      run: keep(true),
    },
    {
      keys: ["Mod+a"],
      shown: "Ctrl/Cmd A",
      words: "select all neurons of the map",
      run: () => selectMap(view),
    },
    {
      keys: ["+", "="],
      shown: "+",
      words: "zoom in",
      run: () => zoomAtMiddle(view, stage, 1.5),
    },
    {
      keys: ["-", "_"],
      shown: "−",
      words: "zoom out",
      run: () => zoomAtMiddle(view, stage, 1 / 1.5),
    },
    {
      keys: ["0", "Home"],
      shown: "0 or Home",
      words: "show the whole graph",
      run: () => state.resetCamera(),
    },
  ];
}

/** Forgets what the keyboard is at when it goes elsewhere. */
export function forgetOnBlur(view: View, canvas: HTMLCanvasElement): void {
  view.listen(canvas, "blur", () => {
    if (view.state.hover.peek()?.from === "keyboard") view.state.hover.value = null;
  });
}

/** Puts the keyboard at a neuron and brings it into sight. */
export function goTo(view: View, stage: Stage, neuron: Neuron): void {
  view.state.hover.value = { kind: "neuron", neuron, from: "keyboard" };
  reveal(view, stage, neuron);
}

/** Brings a neuron into sight, as little as it takes. */
export function reveal(view: View, stage: Stage, neuron: Neuron): void {
  const layout = stage.layout.peek();
  const scene = view.state.scene.peek();
  if (!layout || !scene) return;
  const { size, margins } = layout;
  const x = layout.x[neuron.map];
  const y = layout.y[scene.maps[neuron.map].start + neuron.k];
  const into = (at: number, low: number, high: number) => Math.min(high, Math.max(low, at)) - at;
  const dx = into(x, AXIS_WIDTH + 8, size.width - 8);
  const dy = into(y, margins.top - 8, size.height - margins.bottom);
  if (dx === 0 && dy === 0) return;
  const { camera } = layout;
  moveCamera(view, stage, { ...camera, x: camera.x + dx, y: camera.y + dy });
}

function walk(view: View, stage: Stage, columns: number, neurons: number): void {
  const { state } = view;
  const scene = state.scene.peek();
  const layout = stage.layout.peek();
  if (!scene || !layout) return;
  const hover = state.hover.peek();
  const from: Neuron | undefined =
    hover?.kind === "neuron" ? hover.neuron : state.selectedNeurons.peek().at(-1);
  const order = scene.maps
    .map((_, map) => map)
    .filter((map) => scene.maps[map].neurons > 0)
    .sort((a, b) => layout.x[a] - layout.x[b]);
  if (order.length === 0) return;
  if (!from) {
    goTo(view, stage, { map: order[0], k: 0 });
    return;
  }
  if (columns === 0) {
    const last = scene.maps[from.map].neurons - 1;
    const k = Math.min(last, Math.max(0, from.k + neurons));
    goTo(view, stage, { map: from.map, k });
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
  goTo(view, stage, { map, k });
}

function selectMap({ state }: View): void {
  const scene = state.scene.peek();
  const hover = state.hover.peek();
  const at = hover?.kind === "neuron" ? hover.neuron : state.selectedNeurons.peek().at(-1);
  if (!scene || !at) return;
  const { neurons } = scene.maps[at.map];
  state.select(Array.from({ length: neurons }, (_, k) => ({ map: at.map, k })));
}

function zoomAtMiddle(view: View, stage: Stage, factor: number): void {
  const size = stage.layout.peek()?.size;
  if (size) zoomBy(view, stage, factor, size.width / 2, size.height / 2);
}
