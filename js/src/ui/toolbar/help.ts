// All that the pointer and the keyboard can do, in a dialog.

import { fill, h, uniqueId } from "../kit/dom.js";
import type { Action } from "../kit/keys.js";
import type { View } from "../view.js";

/** What the pointer does; the keys say themselves what they do. */
const POINTER: readonly (readonly [string, string])[] = [
  ["hover", "read a neuron, an edge or a cell; the same lights up everywhere"],
  ["click", "select a neuron, or both ends of an edge"],
  ["Shift click", "add to the selection, or take away"],
  ["click between columns", "choose the link there"],
  ["drag", "move the picture"],
  ["Shift drag", "select all neurons in a box; with Ctrl or Cmd add them"],
  ["drag, lasso on", "select all neurons within the line; with Shift add them"],
  ["Ctrl or Cmd wheel", "zoom; after a click into the graph the wheel alone"],
  ["double-click", "show the whole graph"],
  ["drag the curve", "move the threshold"],
  ["drag the lower edge", "make the widget taller or lower"],
  ["point beneath the axis", "read the whole name of a column"],
  ["click a bracket or a name in grey", "fold a module to one column, or unfold it"],
  ["hover a band", "read what was found on all links between two columns"],
];

export interface Help {
  readonly button: HTMLElement;
  readonly dialog: HTMLElement;
  open(): void;
}

export function help(
  view: View,
  tour: (() => void) | null,
  groups: () => Readonly<Record<string, readonly Action[]>>,
): Help {
  const title = h("h2", { id: uniqueId("svr-help") }, "Pointer and keyboard");
  const close = h(
    "button",
    { type: "button", class: "svr-tool svr-icon", "aria-label": "close" },
    "×",
  );
  // The browser keeps the focus within a modal dialog, closes it with Esc, and then gives it back.
  const dialog = h("dialog", { class: "svr-help", "aria-labelledby": title.id });
  view.listen(close, "click", () => dialog.close());
  const guided = h("button", { type: "button", class: "svr-tool" }, "tour");
  view.listen(guided, "click", () => {
    dialog.close();
    tour?.();
  });
  view.listen(dialog, "click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  view.signal.addEventListener("abort", () => dialog.close(), { once: true });
  const table = (name: string, rows: readonly (readonly [string, string])[]) =>
    h(
      "section",
      {},
      h("h3", {}, name),
      h(
        "dl",
        {},
        ...rows.map(([what, words]) => h("div", {}, h("dt", {}, what), h("dd", {}, words))),
      ),
    );
  const keys = (actions: readonly Action[]) =>
    actions.map(({ shown, words }) => [shown, words] as const);
  const open = () => {
    if (dialog.open) return;
    const tables = Object.entries(groups()).map(([name, actions]) => table(name, keys(actions)));
    fill(
      dialog,
      h(
        "div",
        { class: "svr-help-body" },
        h("div", { class: "svr-help-head" }, title, tour && guided, close),
        h("div", { class: "svr-help-columns" }, table("Pointer", POINTER), ...tables),
      ),
    );
    dialog.showModal();
  };
  const button = h(
    "button",
    { type: "button", class: "svr-tool svr-icon", "aria-label": "help", title: "Help (?)" },
    "?",
  );
  view.listen(button, "click", open);
  return { button, dialog, open };
}
