// A level that was typed may lie beyond the edges that were sent: Python is asked for its cut then.

import { level as levelText } from "../../logic/format.js";
import { readCut } from "../../logic/threshold.js";
import type { Scene } from "../../wire/scene.js";
import { resource } from "../status/resource.js";
import type { View } from "../view.js";

/** Asks where it has to; gives what to say of it, which is nothing where the cut is exact. */
export function exactCut(view: View): () => string {
  const { state } = view;
  const told = resource(
    view,
    () => {
      const near = state.nearCut.value;
      if (!near || near.exact || state.python.value !== "here") return null;
      const { law, mode } = near;
      return { kind: "cut", law, mode, level: state.threshold.value };
    },
    ({ buffers }) => readCut(state.scene.peek() as Scene, buffers[0]),
  );
  view.watch(() => {
    state.toldCut.value = told.value.value;
  });
  return () => {
    const cut = state.cut.value;
    if (!cut || cut.exact) return "";
    const shown = `shown at ${levelText(cut.level)}`;
    if (told.words.value !== "")
      return `${shown}, the nearest level known here: ${told.words.value}`;
    const asks = told.busy.value && !view.silent.value;
    return asks
      ? `${shown} until Python answers`
      : `${shown}, the nearest level known without Python`;
  };
}
