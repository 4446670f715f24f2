// Which link the pane of matrices shows: a drop-down for the producer, one for its consumers.

import { entered, type Scene } from "../scene.js";
import { fill, h } from "./dom.js";
import type { View } from "./view.js";

export function linkChoice(view: View): HTMLElement {
  const { state } = view;
  const from = h("select", { "aria-label": "producer" });
  const to = h("select", { "aria-label": "consumer" });
  view.watch(() => {
    const scene = state.scene.value;
    if (!scene) return;
    const producers = unique(scene.links.map(({ producer }) => producer));
    fill(from, ...producers.sort((a, b) => a - b).map((map) => option(map, scene.maps[map].name)));
  });
  view.watch(() => {
    const scene = state.scene.value;
    const link = state.link.value;
    if (!scene || link === null) return fill(to);
    const { producer } = scene.links[link];
    const leaving = linksFrom(scene, producer);
    fill(to, ...leaving.map((index) => option(index, nameOfEnd(scene, index))));
    from.value = String(producer);
    to.value = String(
      leaving.find((index) => nameOfEnd(scene, index) === nameOfEnd(scene, link)) ?? "",
    );
    from.title = scene.maps[producer].name;
    to.title = nameOfEnd(scene, link);
  });
  view.listen(from, "change", () => {
    const scene = state.scene.peek();
    if (scene) state.chooseLink(linksFrom(scene, Number(from.value))[0]);
  });
  view.listen(to, "change", () => state.chooseLink(Number(to.value)));
  return h("div", { class: "svr-choice" }, from, h("span", { class: "svr-soft" }, "→"), to);
}

const unique = (maps: readonly number[]) => [...new Set(maps)];

/** The links that leave a map, one for each end: those that differ in their law show one matrix. */
function linksFrom(scene: Scene, producer: number): number[] {
  const found = new Map<string, number>();
  scene.links.forEach((link, index) => {
    const name = nameOfEnd(scene, index);
    if (link.producer === producer && !found.has(name)) found.set(name, index);
  });
  return [...found.values()];
}

const nameOfEnd = ({ maps, links }: Scene, index: number) =>
  entered(maps[links[index].consumer].name, links[index]);

/** A name between isolates: its direction is its own matter. */
const option = (value: number, name: string) => h("option", { value }, `\u2068${name}\u2069`);
