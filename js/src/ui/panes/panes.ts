// The side panes: which are open, how much room they have, and what they have in common.

import { type Signal, signal, untracked } from "@preact/signals-core";
import type { PaneName } from "../../wire/host.js";
import { h } from "../kit/dom.js";
import { dragHandle } from "../kit/dragHandle.js";
import { matrixPane } from "../matrix/matrixPane.js";
import type { View } from "../view.js";
import { filtersPane } from "./filtersPane.js";
import { imagesPane } from "./imagesPane.js";
import { tablePane } from "./tablePane.js";

/** What fills a pane; it is made when the pane is opened for the first time. */
export type PaneContent = (view: View) => { readonly head?: Node; readonly body: HTMLElement };

interface PaneKind {
  readonly title: string;
  readonly content: PaneContent;
}

const PANES: Readonly<Record<PaneName, PaneKind>> = {
  adjacency: { title: "Adjacency", content: matrixPane },
  images: { title: "Images", content: imagesPane },
  filters: { title: "Filters", content: filtersPane },
  table: { title: "Table", content: tablePane },
};
const NAMES = Object.keys(PANES) as PaneName[];

const WIDTH = 328;
const NARROWEST = 240;
/** What the graph keeps, however wide the panes are made. */
const GRAPH_KEEPS = 320;
const LOWEST = 160;
const HIGHEST = 1600;

/** The column of panes with the rule that parts it from the graph. */
export function panes(view: View): HTMLElement {
  const { state } = view;
  const column = h("div", { class: "svr-panes" });
  const width = signal(WIDTH);
  const side = h("div", { class: "svr-side" });
  const rule = dragHandle(view, {
    label: "width of the panes",
    runs: "vertical",
    direction: -1,
    value: () => column.offsetWidth,
    range: () => [NARROWEST, (side.parentElement?.offsetWidth ?? 0) - GRAPH_KEEPS],
    set: (pixels) => (width.value = pixels),
    reset: () => (width.value = WIDTH),
  });
  side.append(rule, column);
  view.watch(() => column.style.setProperty("--svr-panes", `${width.value}px`));

  const made = new Map<PaneName, HTMLElement>();
  view.watch(() => {
    const ready = state.scene.value !== null;
    const open = NAMES.filter((name) => state.panes.value.includes(name));
    open.sort((a, b) => state.panes.value.indexOf(a) - state.panes.value.indexOf(b));
    side.hidden = !ready || open.length === 0;
    if (!ready) return;
    const wanted = open.map((name) => {
      const element = made.get(name) ?? untracked(() => pane(view, name));
      made.set(name, element);
      return element;
    });
    for (const element of made.values()) element.hidden = !wanted.includes(element);
    const shown = [...column.children].filter((child) => wanted.includes(child as HTMLElement));
    // Only what has to move is moved: an element that is taken out and put in loses its scrolling.
    if (wanted.some((element, index) => element !== shown[index])) column.append(...wanted);
  });
  return side;
}

function pane(view: View, name: PaneName): HTMLElement {
  const { title, content } = PANES[name];
  const height: Signal<number | null> = signal(null);
  const close = h("button", { type: "button", class: "svr-tool svr-icon" }, "×");
  close.setAttribute("aria-label", `close ${title.toLowerCase()}`);
  view.listen(close, "click", () => view.state.togglePane(name));
  const { head, body } = content(view);
  body.classList.add("svr-pane-body");
  const element = h(
    "section",
    { class: "svr-pane", "data-pane": name, "aria-label": title },
    h("div", { class: "svr-pane-head" }, h("h3", {}, title), head ?? h("span"), close),
    body,
  );
  const rule = dragHandle(view, {
    label: `height of ${title.toLowerCase()}`,
    runs: "horizontal",
    direction: 1,
    value: () => element.offsetHeight,
    range: () => [LOWEST, HIGHEST],
    set: (pixels) => (height.value = pixels),
    reset: () => (height.value = null),
  });
  element.append(rule);
  view.watch(() => {
    element.classList.toggle("svr-sized", height.value !== null);
    element.style.setProperty("--svr-pane", `${height.value ?? 0}px`);
  });
  return element;
}

/** The buttons that open and close the panes. */
export function paneToggles(view: View): HTMLElement {
  const { state } = view;
  const buttons = NAMES.map((name) => {
    const button = h("button", { type: "button", class: "svr-toggle" }, PANES[name].title);
    view.watch(() => button.setAttribute("aria-pressed", String(state.panes.value.includes(name))));
    view.listen(button, "click", () => state.togglePane(name));
    return button;
  });
  return h("div", { class: "svr-toggles", role: "group", "aria-label": "panes" }, ...buttons);
}
