// A button with a menu of things to do, and beside it what came of the last one.

import type { View } from "../view.js";
import { h } from "./dom.js";

/** Seconds for which it stands there that something is done, or why it is not. */
const SAID = 4;
const SAID_WRONG = 12;

export interface MenuItem {
  readonly words: string;
  /** Why it cannot be had now, or null. */
  readonly obstacle?: () => string | null;
  /** What to say when it is done. */
  run(): Promise<string>;
}

export interface Menu {
  readonly element: HTMLElement;
  readonly button: HTMLButtonElement;
}

export function popUpMenu(view: View, title: string, items: readonly MenuItem[]): Menu {
  const said = h("span", { class: "svr-menu-said", role: "status" });
  const button = h(
    "button",
    { type: "button", class: "svr-tool", "aria-haspopup": "menu", "aria-expanded": false },
    title,
  );
  const label = title.toLowerCase();
  const menu = h("div", { class: "svr-menu", role: "menu", "aria-label": label, hidden: true });
  const element = h("div", { class: "svr-menu-holder" }, button, menu, said);

  let passing: ReturnType<typeof setTimeout> | undefined;
  const say = (words: string, seconds: number) => {
    said.textContent = words;
    clearTimeout(passing);
    passing = setTimeout(() => (said.textContent = ""), 1000 * seconds);
  };
  view.signal.addEventListener("abort", () => clearTimeout(passing), { once: true });
  const close = (focus: boolean) => {
    menu.hidden = true;
    button.setAttribute("aria-expanded", "false");
    if (focus) button.focus();
  };
  const open = () => {
    for (const { entry, obstacle } of entries) {
      const why = obstacle?.() ?? null;
      entry.setAttribute("aria-disabled", String(why !== null));
      entry.lastElementChild?.replaceChildren(why ?? "");
    }
    menu.hidden = false;
    button.setAttribute("aria-expanded", "true");
    entries[0].entry.focus();
  };
  const entries = items.map((item) => {
    const why = h("small", {});
    const entry = h("button", { type: "button", role: "menuitem", tabindex: -1 }, item.words, why);
    view.listen(entry, "click", () => {
      if (entry.getAttribute("aria-disabled") === "true") return;
      close(true);
      said.textContent = "…";
      item.run().then(
        (words) => say(words, SAID),
        (error: Error) => say(error.message, SAID_WRONG),
      );
    });
    return { ...item, entry };
  });
  menu.append(...entries.map(({ entry }) => entry));
  view.listen(button, "click", () => (menu.hidden ? open() : close(false)));
  view.listen(element, "focusout", (event) => {
    if (!element.contains(event.relatedTarget as Node | null)) close(false);
  });
  view.listen(element, "keydown", (event) => {
    if (menu.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") close(true);
    else if (step !== undefined) {
      const at = entries.findIndex(({ entry }) => entry === document.activeElement);
      entries[(at + step + entries.length) % entries.length].entry.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });
  return { element, button };
}
