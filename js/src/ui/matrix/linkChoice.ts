// Which link the pane of matrices shows: a combobox for the producer, one for what its links end
// in. What is typed narrows the list; parallel links are entries of their own.

import { count } from "../../logic/format.js";
import { matching } from "../../logic/searchMaps.js";
import { significantOn } from "../../logic/threshold.js";
import { type Choice, endOf, endsFrom, linkFrom, producersOf } from "../../wire/links.js";
import type { Scene } from "../../wire/scene.js";
import { h, nameOf } from "../kit/dom.js";
import { optionList } from "../kit/optionList.js";
import type { View } from "../view.js";

export function linkChoice(view: View): HTMLElement {
  const { state } = view;
  const from = chooser(view, {
    label: "producer",
    choices: producersOf,
    isChosen: (scene, link, { map }) => scene.links[link].producer === map,
    name: (scene, link) => scene.maps[scene.links[link].producer].name,
    choose: (scene, { map }) => state.chooseLink(linkFrom(scene, map, state.link.peek())),
  });
  const to = chooser(view, {
    label: "consumer",
    choices: (scene) => endsFrom(scene, scene.links[state.link.peek() ?? 0].producer),
    isChosen: (_, link, { links }) => links.includes(link),
    name: endOf,
    choose: (_, { links }) => state.chooseLink(links[0]),
  });
  return h(
    "div",
    { class: "svr-choice" },
    from.input,
    h("span", { class: "svr-soft" }, "→"),
    to.input,
    from.popup,
    to.popup,
  );
}

interface Chooser {
  readonly label: string;
  choices(scene: Scene): readonly Choice[];
  isChosen(scene: Scene, link: number, choice: Choice): boolean;
  /** What stands in the field. */
  name(scene: Scene, link: number): string;
  choose(scene: Scene, choice: Choice): void;
}

function chooser(view: View, { label, choices, isChosen, name, choose }: Chooser) {
  const { state } = view;
  const input = h("input", {
    type: "text",
    class: "svr-chooser",
    "aria-label": label,
    dir: "auto",
  });
  const list = optionList<Choice>(view, input, {
    label: `${label}s`,
    shown: ({ name, links }) => ({ words: [nameOf(name, { title: name })], note: noteOn(links) }),
    choose(choice) {
      const scene = state.scene.peek();
      if (scene) choose(scene, choice);
      restore();
      input.select();
    },
  });
  const noteOn = (links: readonly number[]) => {
    const [scene, cut] = [state.scene.peek(), state.cut.peek()];
    if (!scene || !cut) return "";
    if (links.every((at) => scene.links[at].by_construction)) return "by construction";
    const { edges, atLeast } = significantOn(scene, cut, links);
    if (atLeast) return `at least ${count(edges)} edges`;
    return edges === 1 ? "1 edge" : `${edges === 0 ? "no" : count(edges)} edges`;
  };
  const chosen = () => {
    const [scene, link] = [state.scene.peek(), state.link.peek()];
    return scene && link !== null ? name(scene, link) : "";
  };
  const restore = () => {
    input.value = chosen();
    list.close();
  };
  const open = (typed: string) => {
    const [scene, link] = [state.scene.peek(), state.link.peek()];
    if (!scene || link === null) return;
    const all = choices(scene);
    if (typed === "") {
      const at = all.findIndex((choice) => isChosen(scene, link, choice));
      return list.show(
        all,
        all.length > 1 ? `${count(all.length)} ${label}s, type to narrow` : "",
        at,
      );
    }
    const names = all.map(({ name }) => name);
    const found = matching(names, typed).map((index) => all[index]);
    const words =
      found.length === 0
        ? `No ${label} has that name.`
        : found.length < all.length
          ? `${count(found.length)} of ${count(all.length)}`
          : "";
    list.show(found, words);
  };

  view.watch(() => {
    const [scene, link] = [state.scene.value, state.link.value];
    input.disabled = !scene || link === null;
    input.title = scene && link !== null ? name(scene, link) : "";
    if (!list.isOpen()) input.value = input.title;
  });
  view.listen(input, "focus", () => input.select());
  view.listen(input, "click", () => {
    if (!list.isOpen()) open("");
  });
  view.listen(input, "input", () => open(input.value.trim()));
  view.listen(input, "blur", restore);
  view.listen(input, "keydown", (event) => {
    if (event.defaultPrevented) return;
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !list.isOpen()) open("");
    else if (event.key === "Escape") {
      if (list.isOpen()) restore();
      else input.blur();
    } else if (event.key !== "Enter") return;
    event.preventDefault();
  });
  return { input, popup: list.popup };
}
