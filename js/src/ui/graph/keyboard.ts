// The graph by keyboard: from neuron to neuron, selecting, zooming.

import type { Column } from "../../geometry/columns.js";
import type { Layout } from "../../geometry/layout.js";
import type { Neuron, Scene } from "../../wire/scene.js";
import type { Action } from "../kit/keys.js";
import { select } from "../kit/select.js";
import type { View } from "../view.js";
import { toggleAt } from "./brackets.js";
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
    { keys: ["ArrowLeft"], shown: "←", words: "to the column before", run: walkBy(-1, 0) },
    { keys: ["ArrowRight"], shown: "→", words: "to the next column", run: walkBy(1, 0) },
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
      words: "select all neurons of the column",
      run: () => selectColumn(view),
    },
    {
      keys: ["f"],
      shown: "f",
      words: "unfold the module that the neuron stands in, or fold it",
      run: () => foldHere(view, stage),
    },
    {
      keys: [">"],
      shown: ">",
      words: "unfold all modules by one level",
      run: () => state.stepFold(1),
    },
    {
      keys: ["<"],
      shown: "<",
      words: "fold all modules by one level",
      run: () => state.stepFold(-1),
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

/** Unfolds the module that hides the keyboard's column among others, else folds the one around it. */
function foldHere(view: View, stage: Stage): void {
  const { state } = view;
  const [scene, folding] = [state.scene.peek(), state.folding.peek()];
  const hover = state.hover.peek();
  const at = hover?.kind === "neuron" ? hover.neuron : state.selectedNeurons.peek().at(-1);
  if (!scene || !folding || !at) return;
  const { module } = folding.columns[folding.columnOf[at.map]];
  const around = module ?? scene.maps[at.map].module ?? null;
  if (around === null) return;
  toggleAt(view, stage, around);
  goTo(view, stage, at);
}

/** Puts the keyboard at a neuron and brings it into sight. */
export function goTo(view: View, stage: Stage, neuron: Neuron): void {
  view.state.hover.value = { kind: "neuron", neuron, from: "keyboard" };
  reveal(view, stage, neuron);
}

/** Brings a neuron into sight, as little as it takes. */
export function reveal(view: View, stage: Stage, neuron: Neuron): void {
  const layout = stage.settled.peek();
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
  const order = layout.folding.columns.filter(({ maps }) =>
    maps.some((map) => scene.maps[map].neurons > 0),
  );
  if (order.length === 0) return;
  if (!from) {
    goTo(view, stage, neuronsOf(scene, layout, order[0])[0]);
    return;
  }
  const here = order.findIndex(({ maps }) => maps.includes(from.map));
  if (columns === 0) {
    const inside = neuronsOf(scene, layout, order[here]);
    const at = inside.findIndex(({ map, k }) => map === from.map && k === from.k);
    goTo(view, stage, inside[Math.min(inside.length - 1, Math.max(0, at + neurons))]);
    return;
  }
  const next = order[here + columns];
  if (!next) return;
  // Sideways to the neuron at about the same height.
  const heightOf = ({ map, k }: Neuron) => layout.y[scene.maps[map].start + k];
  const away = (neuron: Neuron) => Math.abs(heightOf(neuron) - heightOf(from));
  const inside = neuronsOf(scene, layout, next);
  goTo(
    view,
    stage,
    inside.reduce((best, neuron) => (away(neuron) < away(best) ? neuron : best)),
  );
}

/** The neurons of a column from the top down; those of a map in their own order. */
function neuronsOf(scene: Scene, { y }: Layout, { maps }: Column): Neuron[] {
  const all = maps.flatMap((map) =>
    Array.from({ length: scene.maps[map].neurons }, (_, k) => ({ map, k })),
  );
  if (maps.length === 1) return all;
  const heightOf = ({ map, k }: Neuron) => y[scene.maps[map].start + k];
  return all.sort((a, b) => heightOf(a) - heightOf(b));
}

/** All neurons of the column: of a folded module those of all its maps. */
function selectColumn({ state }: View): void {
  const [scene, folding] = [state.scene.peek(), state.folding.peek()];
  const hover = state.hover.peek();
  const at = hover?.kind === "neuron" ? hover.neuron : state.selectedNeurons.peek().at(-1);
  if (!scene || !folding || !at) return;
  const { maps } = folding.columns[folding.columnOf[at.map]];
  const all = maps.flatMap((map) =>
    Array.from({ length: scene.maps[map].neurons }, (_, k) => ({ map, k })),
  );
  state.select(all);
}

function zoomAtMiddle(view: View, stage: Stage, factor: number): void {
  const size = stage.layout.peek()?.size;
  if (size) zoomBy(view, stage, factor, size.width / 2, size.height / 2);
}
