// What the keyboard does anywhere in the widget: the threshold, a timeline, search, back and forward.

import { cutAtStop } from "../../logic/threshold.js";
import type { ViewHistory } from "../../state/viewHistory.js";
import type { Action } from "../kit/keys.js";
import type { View } from "../view.js";

/** What happens with the keyboard anywhere in the widget but where text is typed. */
export function widgetActions(
  view: View,
  viewHistory: ViewHistory,
  search: () => void,
  help: () => void,
): Action[] {
  const { state } = view;
  return [
    { keys: ["["], shown: "[", words: "stricter threshold", run: () => moveThreshold(view, -1) },
    { keys: ["]"], shown: "]", words: "looser threshold", run: () => moveThreshold(view, 1) },
    ...playbackActions(view),
    { keys: ["/"], shown: "/", words: "search maps, modules and neurons", run: search },
    {
      keys: ["Alt+ArrowLeft"],
      shown: "Alt ←",
      words: "back to the view before",
      run: () => viewHistory.go(-1),
    },
    {
      keys: ["Alt+ArrowRight"],
      shown: "Alt →",
      words: "forward again",
      run: () => viewHistory.go(1),
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
