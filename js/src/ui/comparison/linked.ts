// What the networks of a comparison share: settings, the camera, what is selected and pointed at.
// Python shares the same; here it happens at once, and where Python is not there.

import { foldedLike } from "../../logic/folding.js";
import { mapOf } from "../../logic/tableRows.js";
import type { PublicTraits } from "../../wire/host.js";
import type { Neuron, Scene } from "../../wire/scene.js";
import type { View } from "../view.js";
import type { Compared } from "./own.js";

const SHARED = [
  "threshold_mode",
  "threshold",
  "null",
  "y_scale",
  "colour",
  "panes",
  "theme",
  "height",
  "camera",
] as const satisfies readonly (keyof PublicTraits)[];

export function link(views: readonly View[], own: Compared): void {
  for (const name of SHARED) share(views, name);
  views.forEach((view, from) => {
    followFolds(views, view);
    followSelection(views, own, view, from);
    followHover(views, own, view, from);
  });
}

function share(views: readonly View[], name: (typeof SHARED)[number]): void {
  for (const { state, watch } of views) {
    let before = JSON.stringify(state[name].peek());
    watch(() => {
      const { value } = state[name];
      const written = JSON.stringify(value);
      if (written === before) return;
      before = written;
      for (const other of views) {
        if (JSON.stringify(other.state[name].peek()) === written) continue;
        other.state.apply({ [name]: value });
      }
    });
  }
}

/** Folds in the others what is folded in one, as far as they have it. */
function followFolds(views: readonly View[], { state, watch }: View): void {
  let before = JSON.stringify(state.folded.peek() ?? null);
  watch(() => {
    const folded = state.folded.value ?? null;
    const written = JSON.stringify(folded);
    const scene = state.scene.peek();
    if (written === before || !scene) return;
    before = written;
    for (const { state: other } of views) {
      const here = other.scene.peek();
      if (other === state || !here) continue;
      const now = other.folded.peek() ?? null;
      const next = foldedLike(scene, folded, here, now);
      if (next !== now) other.apply({ folded: next });
    }
  });
}

const numberOf = ({ maps }: Scene, { map, k }: Neuron) => maps[map].start + k;

function neuronOf(scene: Scene, number: number): Neuron {
  const map = mapOf(scene, number);
  return { map, k: number - scene.maps[map].start };
}

/** The neurons of another network that answer some. */
function answers(
  views: readonly View[],
  own: Compared,
  from: number,
  to: number,
  of: readonly Neuron[],
) {
  const [here, there] = [views[from].state.scene.peek(), views[to].state.scene.peek()];
  if (!here || !there) return [];
  return of
    .map((neuron) => own.answering(from, to, numberOf(here, neuron)))
    .filter((number) => number >= 0)
    .map((number) => neuronOf(there, number));
}

/** Selects the partners; where Python is there, it does. */
function followSelection(views: readonly View[], own: Compared, view: View, from: number): void {
  view.watch(() => {
    const { value } = view.state.selectedNeurons;
    if (view.state.python.peek() === "here" || following) return;
    following = true;
    views.forEach((other, to) => {
      if (to !== from) other.state.select(answers(views, own, from, to, value));
    });
    following = false;
  });
}

let following = false;

/** Points at the partner of the neuron that is pointed at. */
function followHover(views: readonly View[], own: Compared, view: View, from: number): void {
  view.watch(() => {
    const { value } = view.state.hover;
    if (following) return;
    following = true;
    views.forEach((other, to) => {
      if (to === from) return;
      const neuron = value?.kind === "neuron" ? value.neuron : null;
      const [there] = neuron ? answers(views, own, from, to, [neuron]) : [];
      other.state.hover.value = there ? { kind: "neuron", neuron: there, from: "graph" } : null;
    });
    following = false;
  });
}
