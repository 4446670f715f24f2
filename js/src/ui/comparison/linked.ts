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
  for (const view of views) followFolds(views, view);
  followSelection(views, own);
  followHover(views, own);
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
function followSelection(views: readonly View[], own: Compared): void {
  const known = views.map(({ state }) => JSON.stringify(state.selectedNeurons.peek()));
  views.forEach((view, from) => {
    view.watch(() => {
      const { value } = view.state.selectedNeurons;
      if (view.state.python.peek() === "here" || !isNews(known, from, value)) return;
      views.forEach((other, to) => {
        if (to === from) return;
        const partners = answers(views, own, from, to, value);
        if (isNews(known, to, partners)) other.state.select(partners);
      });
    });
  });
}

/** Points at the partner of the neuron that is pointed at. */
function followHover(views: readonly View[], own: Compared): void {
  const known = views.map(() => "null");
  views.forEach((view, from) => {
    view.watch(() => {
      const { value } = view.state.hover;
      const neuron = value?.kind === "neuron" ? value.neuron : null;
      if (!isNews(known, from, neuron)) return;
      views.forEach((other, to) => {
        if (to === from) return;
        const [there] = neuron ? answers(views, own, from, to, [neuron]) : [];
        if (!isNews(known, to, there ?? null)) return;
        other.state.hover.value = there ? { kind: "neuron", neuron: there, from: "graph" } : null;
      });
    });
  });
}

/** Whether a view's value is another than the one that was last seen there, or put there. */
function isNews(known: string[], at: number, value: unknown): boolean {
  const written = JSON.stringify(value);
  if (known[at] === written) return false;
  known[at] = written;
  return true;
}
