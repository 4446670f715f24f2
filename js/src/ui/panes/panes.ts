// The side panes: which are open, how much room they have, and what they have in common.

import {
  computed,
  type ReadonlySignal,
  type Signal,
  signal,
  untracked,
} from "@preact/signals-core";
import type { PaneName } from "../../wire/host.js";
import { fill, h } from "../kit/dom.js";
import { dragHandle } from "../kit/dragHandle.js";
import { matrixPane } from "../matrix/matrixPane.js";
import type { View } from "../view.js";
import { filtersPane } from "./filtersPane.js";
import { imagesPane } from "./imagesPane.js";
import { linkMapPane } from "./linkMap.js";
import { tablePane } from "./tablePane.js";

/** What fills a pane; it is made when the pane is opened for the first time. */
export type PaneContent = (view: View) => { readonly head?: Node; readonly body: HTMLElement };

interface PaneKind {
  readonly title: string;
  readonly content: PaneContent;
}

const PANES: Readonly<Record<PaneName, PaneKind>> = {
  adjacency: { title: "Adjacency", content: matrixPane },
  links: { title: "Links", content: linkMapPane },
  images: { title: "Images", content: imagesPane },
  filters: { title: "Filters", content: filtersPane },
  table: { title: "Table", content: tablePane },
};
const NAMES = Object.keys(PANES) as PaneName[];

const NARROWEST = 240;
/** What the graph keeps, however wide the panes are made. */
const GRAPH_KEEPS = 320;
const LOWEST = 160;
const HIGHEST = 1600;
/** A widget up to this width has its panes beneath the graph; from the other on, in two columns. */
const BENEATH = 860;
const TWO_COLUMNS = 1500;
/** Panes that would be lower than this stand behind each other, each with a tab. */
const LEAST_PANE = 210;

/** How the open panes share the room. */
type Arrangement = "beneath" | "stack" | "columns" | "tabs";

/** The column of panes with the rule that parts it from the graph. */
export function panes(view: View): HTMLElement {
  const { state } = view;
  const column = h("div", { class: "svr-panes" });
  const side = h("div", { class: "svr-side" });
  const room = signal({ width: 0, height: 0 });
  const rule = dragHandle(view, {
    label: "width of the panes",
    runs: "vertical",
    direction: -1,
    value: () => column.offsetWidth,
    range: () => [NARROWEST, room.peek().width - GRAPH_KEEPS],
    set: (pixels) => state.apply({ panes_width: pixels }),
    reset: () => state.apply({ panes_width: null }),
  });
  const open = computed(() => [...state.panes.value].filter((name) => NAMES.includes(name)));
  const front = frontOf(view, open);
  const arrangement = computed(() => arrangementOf(room.value, open.value.length));
  side.append(
    rule,
    h("div", { class: "svr-side-body" }, tabs(view, open, front, arrangement), column),
  );
  // The body is there once the side stands in it.
  const resizes = new ResizeObserver(
    view.guard(() => {
      const { offsetWidth: width = 0, offsetHeight: height = 0 } = side.parentElement ?? {};
      const known = room.peek();
      if (width !== known.width || height !== known.height) room.value = { width, height };
    }),
  );
  queueMicrotask(() => {
    if (side.parentElement && !view.signal.aborted) resizes.observe(side.parentElement);
  });
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });
  view.watch(() => {
    const { value } = state.panes_width;
    if (value) side.style.setProperty("--svr-panes", `${value}px`);
    else side.style.removeProperty("--svr-panes");
    side.dataset.arrangement = arrangement.value;
  });

  const made = new Map<PaneName, HTMLElement>();
  // Its room is kept, so that the graph stays where it is when there is something to show.
  const waiting = h("div", { class: "svr-soft svr-status" }, "comes with the edges");
  view.watch(() => {
    const ready = state.scene.value !== null;
    const early = state.preview.value !== null;
    side.hidden = !(ready || early) || open.value.length === 0;
    if (early) column.append(waiting);
    else waiting.remove();
    if (!ready) return;
    const wanted = open.value.map((name) => {
      const element = made.get(name) ?? untracked(() => pane(view, name));
      made.set(name, element);
      return element;
    });
    const seen = arrangement.value === "tabs" ? [made.get(front.value)] : wanted;
    for (const element of made.values()) element.hidden = !seen.includes(element);
    const shown = [...column.children].filter((child) => wanted.includes(child as HTMLElement));
    // Only what has to move is moved: an element that is taken out and put in loses its scrolling.
    if (wanted.some((element, index) => element !== shown[index])) column.append(...wanted);
  });
  return side;
}

function arrangementOf(
  { width, height }: { width: number; height: number },
  many: number,
): Arrangement {
  if (width <= BENEATH) return "beneath";
  const columns = width >= TWO_COLUMNS && many > 1 ? 2 : 1;
  if (Math.ceil(many / columns) * LEAST_PANE > height) return "tabs";
  return columns === 2 ? "columns" : "stack";
}

/** The pane whose tab is chosen: the one that was opened last, until one chooses another. */
function frontOf(view: View, open: ReadonlySignal<readonly PaneName[]>): Signal<PaneName> {
  const front = signal<PaneName>(open.peek()[0] ?? NAMES[0]);
  let before = open.peek();
  view.watch(() => {
    const now = open.value;
    const opened = now.find((name) => !before.includes(name));
    before = now;
    if (opened) front.value = opened;
    else if (!now.includes(front.peek())) front.value = now.at(-1) ?? NAMES[0];
  });
  return front;
}

/** A tab for each open pane, where they do not all fit. */
function tabs(
  view: View,
  open: ReadonlySignal<readonly PaneName[]>,
  front: Signal<PaneName>,
  arrangement: ReadonlySignal<Arrangement>,
): HTMLElement {
  const list = h("div", { class: "svr-tabs", role: "tablist", "aria-label": "panes" });
  view.watch(() => {
    list.hidden = arrangement.value !== "tabs";
    if (list.hidden) return fill(list);
    fill(
      list,
      ...open.value.map((name) =>
        h(
          "button",
          {
            type: "button",
            role: "tab",
            class: "svr-toggle",
            "data-tab": name,
            "aria-selected": String(name === front.value),
            tabindex: name === front.value ? 0 : -1,
          },
          PANES[name].title,
        ),
      ),
    );
  });
  const show = (name: PaneName | undefined) => {
    if (name === undefined) return;
    front.value = name;
    list.querySelector<HTMLElement>(`[data-tab="${name}"]`)?.focus();
  };
  view.listen(list, "click", (event) => {
    const tab = (event.target as Element).closest<HTMLElement>("[data-tab]");
    show(tab?.dataset.tab as PaneName | undefined);
  });
  view.listen(list, "keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    const names = open.peek();
    show(names.at((names.indexOf(front.peek()) + by) % names.length));
    event.preventDefault();
  });
  return list;
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
    view.watch(() => {
      // There is nothing to show beside a picture that is not there.
      button.disabled = !state.scene.value;
      button.setAttribute("aria-pressed", String(state.panes.value.includes(name)));
    });
    view.listen(button, "click", () => state.togglePane(name));
    return button;
  });
  return h("div", { class: "svr-toggles", role: "group", "aria-label": "panes" }, ...buttons);
}
