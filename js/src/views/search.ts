// The search field: a combobox of maps and neurons. While something is typed, the columns that
// match stay bright; what is chosen is selected, or kept as a filter that a chip shows.

import { count } from "../format.js";
import type { Neuron } from "../picking.js";
import type { Scene } from "../scene.js";
import { type Match, search } from "../search.js";
import type { Filter } from "../state.js";
import { type Child, fill, h, nameOf, uniqueId } from "./dom.js";
import { icon } from "./icons.js";
import { select } from "./pointer.js";
import type { View } from "./view.js";

const MOST_SHOWN = 50;

export interface Search {
  readonly element: HTMLElement;
  focus(): void;
}

/** Something that can be chosen from the list. */
interface Option {
  readonly words: readonly Child[];
  readonly note: string;
  choose(add: boolean): void;
}

/** `goTo` puts the keyboard at a neuron of the graph. */
export function searchField(view: View, goTo: (neuron: Neuron) => void): Search {
  const { state } = view;
  const listId = uniqueId("svr-found");
  const list = h("div", { id: listId, class: "svr-found", role: "listbox", "aria-label": "found" });
  const note = h("div", { class: "svr-found-note svr-soft" });
  const popup = h("div", { class: "svr-found-holder", hidden: true }, list, note);
  const input = h("input", {
    type: "text",
    class: "svr-search-text",
    role: "combobox",
    placeholder: "Search",
    "aria-label": "search maps and neurons",
    "aria-autocomplete": "list",
    "aria-controls": listId,
    "aria-expanded": "false",
    autocomplete: "off",
    spellcheck: "false",
    title: 'a map or a neuron: "conv1", "conv1 3" (/)',
  });
  const element = h("div", { class: "svr-search" }, icon("search"), input, popup);

  let options: Option[] = [];
  let active = 0;
  /** The filter to go back to when what was typed is given up. */
  let kept: Filter | null = null;

  const close = () => {
    popup.hidden = true;
    options = [];
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const leave = (filter: Filter | null) => {
    input.value = "";
    state.filter.value = filter;
    close();
  };
  const choose = (option: Option | undefined, add: boolean) => {
    if (option) option.choose(add);
  };
  const mark = (index: number) => {
    active = index;
    for (const [at, child] of [...list.children].entries()) {
      child.setAttribute("aria-selected", String(at === active));
      if (at !== active) continue;
      input.setAttribute("aria-activedescendant", child.id);
      child.scrollIntoView({ block: "nearest" });
    }
  };

  const optionOf = (scene: Scene, { map, k }: Match): Option => {
    const { name, neurons } = scene.maps[map];
    if (k === null) {
      return {
        words: [nameOf(name)],
        note: `${count(neurons)} neurons`,
        choose() {
          leave({ words: name, exactly: true, kept: true });
          goTo({ map, k: 0 });
        },
      };
    }
    return {
      words: [nameOf(name), h("span", { class: "svr-index" }, ` · ${k}`)],
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
      return close();
    }
    const { maps, matches } = search(scene, words);
    state.filter.value = maps.length > 0 ? { words, exactly: false, kept: false } : kept;
    options = matches.slice(0, MOST_SHOWN).map((match) => optionOf(scene, match));
    if (maps.length > 1) {
      options.push({
        words: [`Keep ${count(maps.length)} columns bright`],
        note: "filter",
        choose: () => leave({ words, exactly: false, kept: true }),
      });
    }
    fill(
      list,
      ...options.map(({ words, note }, index) =>
        h(
          "div",
          { id: `${listId}-${index}`, role: "option", class: "svr-option", "data-option": index },
          h("span", {}, ...words),
          h("span", { class: "svr-soft" }, note),
        ),
      ),
    );
    const more = matches.length - MOST_SHOWN;
    note.textContent =
      options.length === 0
        ? "Nothing has that name."
        : more > 0
          ? `${count(more)} more; type on to find them.`
          : "";
    note.hidden = note.textContent === "";
    popup.hidden = false;
    input.setAttribute("aria-expanded", String(options.length > 0));
    input.removeAttribute("aria-activedescendant");
    if (options.length > 0) mark(0);
  };

  view.listen(input, "focus", () => {
    if (input.value === "") kept = state.filter.peek();
  });
  view.listen(input, "input", show);
  view.listen(input, "blur", () => {
    if (input.value !== "") leave(kept);
    close();
  });
  view.listen(input, "keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && options.length > 0) {
      event.preventDefault();
      mark((active + step + options.length) % options.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(options[active], event.shiftKey);
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (input.value === "") input.blur();
      else leave(kept);
    }
  });
  // The field keeps the focus while an option is pressed, else the list would be gone before.
  view.listen(popup, "pointerdown", (event) => event.preventDefault());
  view.listen(list, "click", (event) => {
    const option = (event.target as Element).closest<HTMLElement>("[data-option]");
    if (option) choose(options[Number(option.dataset.option)], event.shiftKey);
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
    const bright = state.bright.value;
    chip.hidden = !filter?.kept;
    if (!filter || !bright) return;
    const many = `${count(bright.size)} column${bright.size === 1 ? "" : "s"}`;
    fill(words, nameOf(filter.words), h("span", { class: "svr-soft" }, ` ${many}`));
  });
  return chip;
}
