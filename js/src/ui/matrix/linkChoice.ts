// Which link the pane of matrices shows: a combobox for the producer, one for what its links end
// in. What is typed narrows the list; parallel links are entries of their own.

import { computed, signal } from "@preact/signals-core";
import { shortenApart } from "../../geometry/labels.js";
import { count } from "../../logic/format.js";
import { matching } from "../../logic/searchMaps.js";
import { significantOn } from "../../logic/threshold.js";
import { type Choice, endOf, endsFrom, linkFrom, producersOf } from "../../wire/links/names.js";
import type { Scene } from "../../wire/scene.js";
import { h, tailOf, textMeasure } from "../kit/dom.js";
import { optionList } from "../kit/optionList.js";
import type { View } from "../view.js";

export function linkChoice(view: View): HTMLElement {
  const { state } = view;
  const element = h("div", { class: "svr-choice" });
  const measure = textMeasure(element);
  const room = signal(0);
  const resizes = new ResizeObserver(view.guard(() => (room.value = element.clientWidth)));
  resizes.observe(element);
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });
  /** What fits of two names side by side: the shorter one whole, if it takes less than half. */
  const share = (name: string, other: string) => {
    const others = measure(other);
    const free = room.value - BESIDE;
    if (free <= 0) return name;
    return shortenApart(name, other, Math.max(free / 2, free - others, 24), measure);
  };
  const from = chooser(view, {
    label: "producer",
    choices: producersOf,
    isChosen: (scene, link, { map }) => scene.links[link].producer === map,
    name: (scene, link) => scene.maps[scene.links[link].producer].label,
    choose: (scene, { map }) => state.chooseLink(linkFrom(scene, map, state.link.peek())),
  });
  const to = chooser(view, {
    label: "consumer",
    choices: (scene) => endsFrom(scene, scene.links[state.link.peek() ?? 0].producer),
    isChosen: (_, link, { links }) => links.includes(link),
    name: endOf,
    choose: (_, { links }) => state.chooseLink(links[0]),
  });
  view.watch(() => {
    const [scene, link] = [state.scene.value, state.link.value];
    if (!scene || link === null) return;
    const [first, second] = [from.whole.value, to.whole.value];
    from.show(share(first, second));
    to.show(share(second, first));
  });
  element.append(from.input, h("span", { class: "svr-soft" }, "→"), to.input, from.popup, to.popup);
  return element;
}

/** Pixels of the choosers that are not their words, and of the arrow between them. */
const BESIDE = 68;

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
    shown: ({ name, links }) => ({ words: [tailOf(name)], note: noteOn(links) }),
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
  const whole = computed(() => {
    const [scene, link] = [state.scene.value, state.link.value];
    return scene && link !== null ? name(scene, link) : "";
  });
  /** The whole name as far as it fits; while one is in the field, all of it. */
  let fitting = "";
  let typing = false;
  const restore = () => {
    input.value = typing ? whole.peek() : fitting;
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
    const names = all.map(({ name, map }) => [name, scene.maps[map].name]);
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
    input.title = whole.value;
    if (!list.isOpen()) restore();
  });
  view.listen(input, "focus", () => {
    typing = true;
    input.value = whole.peek();
    input.select();
  });
  view.listen(input, "click", () => {
    if (!list.isOpen()) open("");
  });
  view.listen(input, "input", () => open(input.value.trim()));
  view.listen(input, "blur", () => {
    typing = false;
    input.value = fitting;
    list.close();
  });
  view.listen(input, "keydown", (event) => {
    if (event.defaultPrevented) return;
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && !list.isOpen()) open("");
    else if (event.key === "Escape") {
      if (list.isOpen()) restore();
      else input.blur();
    } else if (event.key !== "Enter") return;
    event.preventDefault();
  });
  const show = (words: string) => {
    fitting = words;
    if (!list.isOpen()) restore();
  };
  return { input, popup: list.popup, whole, show };
}
