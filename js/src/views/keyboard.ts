// The widget by keyboard. What each key does is listed once, for the keys and for the help.

import type { Neuron } from "../scene.js";
import { cutAtStop } from "../threshold.js";
import type { Visits } from "../visits.js";
import { moveCamera, select, zoomBy } from "./pointer.js";
import { AXIS_WIDTH, type Stage } from "./stage.js";
import type { View } from "./view.js";

export interface Action {
  /** As `keyOf` names them. */
  readonly keys: readonly string[];
  /** As people read them. */
  readonly shown: string;
  readonly words: string;
  run(event: KeyboardEvent): void;
}

/** "a", "Mod+a" (Ctrl or Cmd), "Alt+ArrowLeft", "Shift+Enter". */
export function keyOf(event: KeyboardEvent): string {
  const { key } = event;
  const mod = event.ctrlKey || event.metaKey ? "Mod+" : "";
  const alt = event.altKey ? "Alt+" : "";
  // Shift is part of a sign that is typed, but not of a key with a name.
  const shift = event.shiftKey && key.length > 1 ? "Shift+" : "";
  return `${mod}${alt}${shift}${key}`;
}

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

/** What happens with the keyboard anywhere in the widget but where text is typed. */
export function widgetActions(
  view: View,
  visits: Visits,
  search: () => void,
  help: () => void,
): Action[] {
  const { state } = view;
  return [
    { keys: ["["], shown: "[", words: "stricter threshold", run: () => moveThreshold(view, -1) },
    { keys: ["]"], shown: "]", words: "looser threshold", run: () => moveThreshold(view, 1) },
    ...playbackActions(view),
    { keys: ["/"], shown: "/", words: "search maps and neurons", run: search },
    {
      keys: ["Alt+ArrowLeft"],
      shown: "Alt ←",
      words: "back to the view before",
      run: () => visits.go(-1),
    },
    {
      keys: ["Alt+ArrowRight"],
      shown: "Alt →",
      words: "forward again",
      run: () => visits.go(1),
    },
    { keys: ["?"], shown: "?", words: "this help", run: help },
    {
      keys: ["Escape"],
      shown: "Esc",
      words: "put the lasso away; clear the selection and the search",
      run: () => {
        if (state.lasso.peek()) {
          state.lasso.value = false;
          return;
        }
        state.hover.value = null;
        state.filter.value = null;
        if (state.selectedNeurons.peek().length > 0) state.select([]);
      },
    },
  ];
}

/** What moves a timeline through its checkpoints. */
function playbackActions({ state: { playback } }: View): Action[] {
  if (!playback) return [];
  return [
    { keys: [","], shown: ",", words: "the checkpoint before", run: () => playback.moveBy(-1) },
    { keys: ["."], shown: ".", words: "the next checkpoint", run: () => playback.moveBy(1) },
    { keys: ["p"], shown: "p", words: "play or pause", run: () => playback.toggle() },
  ];
}

/** Runs the actions for the keys that reach an element. */
export function followKeys(view: View, element: HTMLElement, actions: readonly Action[]): void {
  const byKey = new Map(actions.flatMap((action) => action.keys.map((key) => [key, action])));
  view.listen(element, "keydown", (event) => {
    const action = byKey.get(keyOf(event));
    // A key that was used further in, or one that belongs to a text, does nothing else.
    if (!action || event.defaultPrevented || isElsewhere(event)) return;
    event.preventDefault();
    action.run(event);
  });
}

/** Whether a key belongs to a text, a list of choices or a dialog. */
function isElsewhere({ target }: Event): boolean {
  return (
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && target.type !== "range") ||
    (target instanceof Element && target.closest("dialog") !== null)
  );
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
