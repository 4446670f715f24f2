// What a screen reader says: the neuron or edge that one is at, the selection, the counts. It waits
// for a pause, so that a walk or a drag is not read out step by step.

import {
  byConstruction,
  constructedLinks,
  count,
  level as levelText,
  MODE_WORDS,
  previewInWords,
  pValue,
  significant,
} from "../../logic/format.js";
import type { Hover } from "../../logic/linkedHover.js";
import { type Cut, cutInWords } from "../../logic/threshold.js";
import type { Scene } from "../../wire/scene.js";
import { h } from "../kit/dom.js";
import type { View } from "../view.js";
import type { Hovered } from "./canvases/hoverCanvas.js";

const PAUSE = 250;

export function announcer(view: View, hovered: () => Hovered): HTMLElement {
  const { state } = view;
  const element = h("div", { class: "svr-unseen", role: "status", "data-svr": "live" });
  let timer: ReturnType<typeof setTimeout> | undefined;
  view.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  const say = (words: string) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      element.textContent = words;
    }, PAUSE);
  };
  /** Says what `words` gives whenever it has changed, but not what it gives to begin with. */
  const follow = (words: () => string) => {
    let last: string | null = null;
    view.watch(() => {
      const now = words();
      if (last !== null && now !== "" && now !== last) say(now);
      last = now;
    });
  };
  follow(() => {
    const [scene, cut] = [state.scene.value, state.cut.value];
    return scene && cut ? countsInWords(scene, cut) : "";
  });
  follow(() => {
    const { value: preview } = state.preview;
    return preview ? previewInWords(preview.exact, preview.states.length) : "";
  });
  follow(() => {
    const [scene, folding] = [state.scene.value, state.folding.value];
    if (!scene || !folding || scene.modules.length === 0) return "";
    const folded = folding.columns.filter(({ module }) => module !== null).length;
    return `${count(folding.columns.length)} columns, ${count(folded)} of them folded modules`;
  });
  follow(() => {
    const [scene, matched, filter] = [state.scene.value, state.matched.value, state.filter.value];
    if (!scene || !matched || !filter) return "";
    return `${count(matched.size)} of ${count(scene.maps.length)} columns match ${filter.words}`;
  });
  follow(() => {
    const [scene, highlighted] = [state.scene.value, state.highlighted.value];
    if (!scene) return "";
    if (!highlighted) return "nothing selected";
    const names = highlighted.path?.neurons.map(({ map, k }) => `${scene.maps[map].label} ${k}`);
    const path = names ? `, strongest path through ${names.join(", ")}` : "";
    return `${count(highlighted.neurons.length)} selected, ${count(highlighted.edges)} significant edges${path}`;
  });
  follow(() => {
    const [scene, cut, hover] = [state.scene.value, state.cut.value, state.hover.value];
    return scene && cut && hover ? hoverInWords(scene, cut, hover, hovered()) : "";
  });
  return element;
}

function countsInWords(scene: Scene, cut: Cut): string {
  const apart = constructedLinks(scene);
  return (
    `${MODE_WORDS[cut.mode]} ${levelText(cut.level)}: ${cutInWords(cut)}` +
    `${apart && `; ${apart}, outside the tests`}`
  );
}

function hoverInWords(scene: Scene, cut: Cut, hover: Hover, { edges }: Hovered): string {
  const name = (map: number, k: number) => `${scene.maps[map].label}, neuron ${k}`;
  if (hover.kind === "neuron") {
    const { map, k } = hover.neuron;
    const value = significant(scene.singularValue[scene.maps[map].start + k]);
    const found =
      edges.length === 1 ? "1 significant edge" : `${count(edges.length)} significant edges`;
    return `${name(map, k)} of ${scene.maps[map].neurons}: singular value ${value}, ${found}`;
  }
  const { producer, consumer } = scene.links[hover.link];
  if (hover.kind === "ribbon") {
    const [from, to] = [producer, consumer].map((map) => scene.maps[map].label);
    if (!scene.links[hover.link].by_construction) return `links from ${from} to ${to}`;
    return `link from ${from} to ${to}: ${byConstruction(scene, hover.link)}`;
  }
  const p = hover.edge === null ? "" : `, p ${pValue(scene.log10p[cut.law][hover.edge])}`;
  const weight = significant(hover.weight, 2);
  return `edge from ${name(producer, hover.m)} to ${name(consumer, hover.n)}: weight ${weight}${p}`;
}
