// The list beneath a combobox: the focus stays in its field, an arrow key moves through the list,
// and of a long one only what is seen is there (WAI-ARIA's combobox with a list).

import type { View } from "../view.js";
import { type Child, fill, h, setAttributes, uniqueId } from "./dom.js";
import { heightOf, ROW_HEIGHT, revealRow, rowsSeen } from "./virtualList.js";

export interface Shown {
  readonly words: readonly Child[];
  readonly note: string;
}

export interface OptionList<T> {
  readonly popup: HTMLElement;
  isOpen(): boolean;
  /** Opens it at one of the options; the note stands beneath them. */
  show(options: readonly T[], note?: string, at?: number): void;
  close(): void;
}

export interface Offer<T> {
  readonly label: string;
  shown(option: T): Shown;
  /** `add` where Shift was held. */
  choose(option: T, add: boolean): void;
}

export function optionList<T>(
  view: View,
  input: HTMLInputElement,
  { label, shown, choose }: Offer<T>,
): OptionList<T> {
  const id = uniqueId("svr-options");
  const rows = h("div", { role: "presentation" });
  const sized = h("div", { class: "svr-sized-rows", role: "presentation" }, rows);
  const list = h("div", { id, class: "svr-options", role: "listbox", "aria-label": label }, sized);
  const beneath = h("div", { class: "svr-options-note svr-soft" });
  const popup = h("div", { class: "svr-options-holder", hidden: true }, list, beneath);
  setAttributes(input, {
    role: "combobox",
    "aria-autocomplete": "list",
    "aria-controls": id,
    "aria-expanded": "false",
    autocomplete: "off",
    spellcheck: "false",
  });
  let options: readonly T[] = [];
  let active = 0;

  const draw = () => {
    const many = options.length;
    const { first, end, top } = rowsSeen(many, list.scrollTop, list.clientHeight);
    rows.style.transform = `translateY(${top}px)`;
    fill(
      rows,
      ...options.slice(first, end).map((option, place) => {
        const at = first + place;
        const { words, note } = shown(option);
        return h(
          "div",
          {
            id: `${id}-${at}`,
            role: "option",
            class: "svr-option",
            "data-option": at,
            "aria-selected": String(at === active),
            "aria-posinset": at + 1,
            "aria-setsize": many,
          },
          h("span", {}, ...words),
          h("span", { class: "svr-soft" }, note),
        );
      }),
    );
    const isThere = active >= first && active < end;
    setAttributes(input, { "aria-activedescendant": isThere && `${id}-${active}` });
  };
  const mark = (at: number) => {
    active = at;
    list.scrollTop = revealRow(options.length, list.scrollTop, list.clientHeight, at);
    draw();
  };
  const close = () => {
    popup.hidden = true;
    options = [];
    setAttributes(input, { "aria-expanded": "false", "aria-activedescendant": null });
  };
  const show = (found: readonly T[], note = "", at = 0) => {
    options = found;
    popup.hidden = false;
    list.hidden = found.length === 0;
    sized.style.height = `${heightOf(found.length)}px`;
    beneath.textContent = note;
    beneath.hidden = note === "";
    setAttributes(input, { "aria-expanded": String(found.length > 0) });
    list.scrollTop = 0;
    mark(Math.max(0, at));
  };
  const step = (by: number) => {
    const last = options.length - 1;
    // One step beyond an end goes to the other; a page stops there.
    if (Math.abs(by) === 1) mark((active + by + options.length) % options.length);
    else mark(Math.max(0, Math.min(last, active + by)));
  };

  view.listen(list, "scroll", draw);
  view.listen(input, "keydown", (event) => {
    if (popup.hidden || options.length === 0) return;
    const page = Math.max(1, Math.floor(list.clientHeight / ROW_HEIGHT) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }[event.key];
    if (by !== undefined) step(by);
    else if (event.key === "Enter") choose(options[active], event.shiftKey);
    else return;
    event.preventDefault();
  });
  // The field keeps the focus while an option is pressed, else the list would be gone before.
  view.listen(popup, "pointerdown", (event) => event.preventDefault());
  view.listen(list, "click", (event) => {
    const option = (event.target as Element).closest<HTMLElement>("[data-option]");
    if (option) choose(options[Number(option.dataset.option)], event.shiftKey);
  });
  return { popup, isOpen: () => !popup.hidden, show, close };
}
