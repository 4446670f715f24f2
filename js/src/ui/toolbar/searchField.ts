// The search field: a combobox of maps, modules and neurons. While something is typed, the columns that
// match stay bright; what is chosen is selected, or kept as a filter that a chip shows.

import { count } from "../../logic/format.js";
import { type Match, search } from "../../logic/searchMaps.js";
import type { Filter } from "../../state/derived.js";
import type { Neuron, Scene } from "../../wire/scene.js";
import { fill, h, nameOf, tailOf } from "../kit/dom.js";
import { icon } from "../kit/icons.js";
import { optionList, type Shown } from "../kit/optionList.js";
import { select } from "../kit/select.js";
import type { View } from "../view.js";

export interface Search {
  readonly element: HTMLElement;
  focus(): void;
}

/** Something that can be chosen from the list. */
interface Option extends Shown {
  choose(add: boolean): void;
}

/** Where what is found is seen. */
interface Place {
  /** Puts the keyboard at a neuron of the graph. */
  goTo(neuron: Neuron): void;
  /** The same for a module, folded or not. */
  goToModule(module: number): void;
  /** Brings a neuron into sight. */
  reveal(neuron: Neuron): void;
}

export function searchField(view: View, { goTo, goToModule, reveal }: Place): Search {
  const { state } = view;
  const input = h("input", {
    type: "text",
    class: "svr-search-text",
    placeholder: "Search",
    "aria-label": "search maps, modules and neurons",
    title: 'a map, a module or a neuron: "conv1", "h.3", "conv1 3" (/)',
  });
  const list = optionList<Option>(view, input, {
    label: "found",
    shown: (option) => option,
    choose: (option, add) => option.choose(add),
  });
  const element = h("div", { class: "svr-search" }, icon("search"), input, list.popup);

  view.watch(() => {
    input.disabled = !state.scene.value;
  });

  /** The filter to go back to when what was typed is given up. */
  let kept: Filter | null = null;
  /** Where one was before what was typed led elsewhere. */
  let camera = state.camera.peek();

  const leave = (filter: Filter | null) => {
    input.value = "";
    state.filter.value = filter;
    list.close();
  };
  const giveUp = () => {
    leave(kept);
    if (state.camera.peek() !== camera) state.apply({ camera });
  };
  /** The best match is to be seen while it is typed. */
  const lookAt = (scene: Scene, match: Match) => {
    const [map, k] =
      "module" in match ? [scene.modules[match.module].maps[0], 0] : [match.map, match.k ?? 0];
    if (scene.maps[map].neurons > 0) reveal({ map, k });
  };

  const optionOf = (scene: Scene, match: Match): Option => {
    if ("module" in match) {
      const { name, label, maps } = scene.modules[match.module];
      return {
        words: [tailOf(label)],
        note: `${count(maps.length)} columns`,
        choose() {
          leave({ words: name, exactly: true, kept: true });
          goToModule(match.module);
        },
      };
    }
    const { map, k } = match;
    const { name, label, neurons } = scene.maps[map];
    if (k === null) {
      return {
        words: [tailOf(label)],
        note: `${count(neurons)} neurons`,
        choose() {
          leave({ words: name, exactly: true, kept: true });
          goTo({ map, k: 0 });
        },
      };
    }
    return {
      words: [nameOf(label, { title: name }), h("span", { class: "svr-index" }, ` · ${k}`)],
      note: "neuron",
      choose(add) {
        leave(kept);
        select(view, [{ map, k }], add);
        goTo({ map, k });
      },
    };
  };

  const show = () => {
    const scene = state.scene.peek();
    const words = input.value.trim();
    if (!scene || words === "") {
      state.filter.value = kept;
      return list.close();
    }
    const { maps, matches } = search(scene, words);
    state.filter.value = maps.length > 0 ? { words, exactly: false, kept: false } : kept;
    const options = matches.map((match) => optionOf(scene, match));
    if (maps.length > 1) {
      options.push({
        words: [`Keep ${count(maps.length)} columns bright`],
        note: "filter",
        choose: () => leave({ words, exactly: false, kept: true }),
      });
    }
    list.show(options, options.length === 0 ? "Nothing has that name." : "");
    if (matches.length > 0) lookAt(scene, matches[0]);
  };

  view.listen(input, "focus", () => {
    if (input.value !== "") return;
    kept = state.filter.peek();
    camera = state.camera.peek();
  });
  view.listen(input, "input", show);
  view.listen(input, "blur", () => {
    if (input.value !== "") giveUp();
    list.close();
  });
  view.listen(input, "keydown", (event) => {
    if (event.defaultPrevented) return;
    if (event.key === "Escape") {
      if (input.value === "") input.blur();
      else giveUp();
    } else if (event.key !== "Enter") return;
    event.preventDefault();
  });
  return { element, focus: () => input.focus() };
}

/** Says which filter is in force, with a button that clears it. */
export function filterChip(view: View): HTMLElement {
  const { state } = view;
  const words = h("span", {});
  const clear = h(
    "button",
    { type: "button", class: "svr-tool", "aria-label": "clear filter" },
    "×",
  );
  const chip = h("span", { class: "svr-chip", "data-svr": "filter" }, words, clear);
  view.listen(clear, "click", () => {
    state.filter.value = null;
  });
  view.watch(() => {
    const filter = state.filter.value;
    const matched = state.matched.value;
    chip.hidden = !filter?.kept;
    if (!filter || !matched) return;
    const many = `${count(matched.size)} column${matched.size === 1 ? "" : "s"}`;
    fill(words, tailOf(filter.words), h("span", { class: "svr-soft" }, ` ${many}`));
  });
  return chip;
}
