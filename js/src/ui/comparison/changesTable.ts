// What became of every neuron, as a table: births, deaths, and what stayed.

import { computed, signal } from "@preact/signals-core";
import type { Change, Fate } from "../../logic/differences.js";
import { count, pValue, signed, significant } from "../../logic/format.js";
import type { Neuron, Scene } from "../../wire/scene.js";
import { fill, h, segmented, setAttributes, tailOf, uniqueId } from "../kit/dom.js";
import { heightOf, ROW_HEIGHT, revealRow, rowsSeen } from "../kit/virtualList.js";
import type { View } from "../view.js";
import type { Compared } from "./own.js";

type Shown = Fate | "all";

interface Column {
  readonly words: (names: readonly [string, string]) => string;
  /** What the column is sorted by. */
  readonly key: (change: Change) => number | string;
  readonly explained: string;
  /** From the large end first. */
  readonly large: boolean;
}

const COLUMNS: readonly Column[] = [
  { words: () => "", key: ({ fate }) => fate, explained: "what became of it", large: false },
  {
    words: ([base]) => base,
    key: ({ column, base }) => column * 1e7 + (base?.k ?? 0),
    explained: "the neuron here, or in brackets the nearest to it",
    large: false,
  },
  {
    words: ([, other]) => other,
    key: ({ column, other }) => column * 1e7 + (other?.k ?? 0),
    explained: "the neuron there, or in brackets the nearest to it",
    large: false,
  },
  {
    words: ([base]) => `σ ${base}`,
    key: ({ value }) => value,
    explained: "its singular value",
    large: true,
  },
  {
    words: ([, other]) => `σ ${other}`,
    key: ({ otherValue }) => otherValue,
    explained: "its singular value",
    large: true,
  },
  {
    words: () => "change",
    key: ({ difference }) => Math.abs(difference),
    explained: "of the singular value; one that is not there has 0",
    large: true,
  },
  {
    words: () => "cosine",
    key: ({ overlap }) => overlap,
    explained: "to its partner or the nearest: |⟨u, u′⟩ ⟨v, v′⟩|",
    large: false,
  },
  {
    words: () => "p",
    key: ({ log10p }) => log10p,
    explained: "how likely chance gives a cosine as large",
    large: false,
  },
];
const FIRST = { column: 5, descending: true };

export function changesTable(views: readonly View[], own: Compared): HTMLElement {
  const view = views[0];
  const shown = signal<Shown>("all");
  const sorting = signal(FIRST);
  const rows = computed(() => {
    const all = own.changes.value ?? [];
    const some = all
      .map((change, place) => ({ change, place }))
      .filter(({ change }) => shown.value === "all" || change.fate === shown.value);
    const { column, descending } = sorting.value;
    const { key } = COLUMNS[column];
    const sign = descending ? -1 : 1;
    return some.sort((a, b) => {
      const [x, y] = [key(a.change), key(b.change)];
      return x === y ? a.place - b.place : x < y ? -sign : sign;
    });
  });
  const grid = changesGrid(views, own, rows, sorting);
  const empty = h("p", { class: "svr-soft" });
  view.watch(() => {
    const none = rows.value.length === 0;
    grid.hidden = none;
    empty.hidden = !none;
    empty.textContent = own.changes.value
      ? "None."
      : "The two have no map of the same name and form, so no neurons are matched.";
  });
  return h(
    "section",
    { class: "svr-changes", "aria-label": "changes", "data-svr": "changes" },
    head(views, own, shown),
    grid,
    empty,
  );
}

/** Which rows, of which network, and how near is near. */
function head(views: readonly View[], own: Compared, shown: { value: Shown }): HTMLElement {
  const [view] = views;
  const choice = segmented<Shown>(
    "rows",
    [
      ["all", "All", "All neurons, the largest changes first"],
      ["new", "New", "Neurons without a partner before"],
      ["gone", "Gone", "Neurons without a partner now"],
      ["same", "Same", "Neurons with a partner"],
    ],
    (fate) => (shown.value = fate),
  );
  view.watch(() => {
    choice.show(shown.value);
    const all = own.changes.value ?? [];
    for (const button of choice.element.querySelectorAll("button")) {
      const fate = button.dataset.value as Shown;
      const number = fate === "all" ? all.length : all.filter((at) => at.fate === fate).length;
      const words = { all: "All", new: "New", gone: "Gone", same: "Same" }[fate];
      fill(button, words, h("span", { class: "svr-soft" }, ` ${count(number)}`));
    }
  });
  const networks = h("select", { "aria-label": "compared with the first" });
  view.watch(() => {
    const [base, ...others] = own.names.value;
    fill(
      networks,
      ...others.map((name, at) => h("option", { value: at + 1 }, `${name} with ${base}`)),
    );
    networks.value = String(own.place.value);
    networks.hidden = others.length < 2;
  });
  view.listen(networks, "change", () => (own.place.value = Number(networks.value)));
  return h(
    "div",
    { class: "svr-changes-head" },
    h("h3", {}, "Neurons"),
    choice.element,
    networks,
    h("span", { class: "svr-grow" }),
    leastField(view, own),
  );
}

function leastField(view: View, own: Compared): HTMLElement {
  const field = h("input", {
    type: "number",
    min: 0,
    max: 1,
    step: 0.05,
    "aria-label": "cosine below which a neuron is new or gone",
  });
  view.watch(() => {
    field.value = String(own.least.value);
    field.disabled = view.state.python.value !== "here";
  });
  view.listen(field, "change", () => {
    const typed = Number(field.value);
    if (field.value !== "" && typed >= 0 && typed <= 1) own.set("least", typed);
    else field.value = String(own.least.peek());
  });
  const title =
    "A neuron is new, or gone, where no neuron of the other network has a cosine with it of at " +
    "least this, beyond chance: |⟨u, u′⟩ ⟨v, v′⟩|";
  return h(
    "label",
    { class: "svr-field", title },
    h("i", { class: "svr-ring" }),
    "new or gone: cosine <",
    field,
  );
}

interface Row {
  readonly change: Change;
  readonly place: number;
}

function changesGrid(
  views: readonly View[],
  own: Compared,
  rows: { readonly value: readonly Row[]; peek(): readonly Row[] },
  sorting: { value: typeof FIRST; peek(): typeof FIRST },
): HTMLElement {
  const [view] = views;
  const active = signal(0);
  const id = uniqueId("svr-change");
  const header = h("div", { class: "svr-row svr-header", role: "row" });
  const inner = h("div", { class: "svr-rows", role: "rowgroup" });
  const sized = h("div", { class: "svr-sized-rows" }, inner);
  // What scrolls has the focus: its keys move the row.
  const grid = h(
    "div",
    {
      class: "svr-grid-table svr-scroll",
      role: "grid",
      tabindex: 0,
      "aria-label": "changes",
      "data-kind": "changes",
    },
    h("div", { class: "svr-stuck", role: "rowgroup" }, header),
    sized,
  );
  const scrolled = signal(0);
  const tall = signal(0);
  const resizes = new ResizeObserver(
    view.guard(() => (tall.value = grid.clientHeight - ROW_HEIGHT)),
  );
  resizes.observe(grid);
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });
  view.listen(grid, "scroll", () => (scrolled.value = grid.scrollTop));
  view.watch(() => fill(header, ...columnHeads(own, sorting.value)));
  view.watch(() => {
    const all = rows.value;
    const { first, end, top } = rowsSeen(all.length, scrolled.value, tall.value);
    sized.style.height = `${heightOf(all.length)}px`;
    inner.style.transform = `translateY(${top}px)`;
    grid.setAttribute("aria-rowcount", String(all.length + 1));
    const [base, other] = [views[0].state.scene.value, views[own.place.value].state.scene.value];
    if (!base || !other) return;
    const lines = all.slice(first, end).map((row, index) => {
      const at = first + index;
      const line = lineOf(base, other, row.change);
      line.classList.toggle("svr-active", at === active.value);
      line.classList.toggle("svr-hovered", row.place === own.at.value);
      setAttributes(line, { id: `${id}-${at}`, "aria-rowindex": at + 2, "data-row": at });
      return line;
    });
    fill(inner, ...lines);
    setAttributes(grid, { "aria-activedescendant": all.length > 0 && `${id}-${active.value}` });
  });
  view.listen(header, "click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-column]");
    if (!button) return;
    const column = Number(button.dataset.column);
    const now = sorting.peek();
    const descending = now.column === column ? !now.descending : COLUMNS[column].large;
    sorting.value = { column, descending };
    grid.scrollTop = 0;
    active.value = 0;
  });
  followRows({ views, own, rows, active, grid });
  return grid;
}

interface Followed {
  readonly views: readonly View[];
  readonly own: Compared;
  readonly rows: { peek(): readonly Row[] };
  readonly active: { value: number; peek(): number };
  readonly grid: HTMLElement;
}

function followRows({ views, own, rows, active, grid }: Followed): void {
  const [view] = views;
  const point = (at: number | null) => {
    own.at.value = at === null ? null : (rows.peek()[at]?.place ?? null);
  };
  const rowAt = (event: Event) => {
    const line = (event.target as Element).closest<HTMLElement>("[data-row]");
    return line ? Number(line.dataset.row) : null;
  };
  const choose = (at: number) => {
    active.value = at;
    const row = rows.peek()[at];
    if (row) selectBoth(views, own, row.change);
  };
  view.listen(grid, "pointermove", (event) => point(rowAt(event)));
  view.listen(grid, "pointerleave", () => point(null));
  // Not click: the line is made anew as it is pointed at.
  view.listen(grid, "pointerup", (event) => {
    const at = rowAt(event);
    if (at !== null) choose(at);
  });
  const page = () => Math.max(1, Math.floor(grid.clientHeight / ROW_HEIGHT) - 2);
  const move = (to: number) => {
    const last = rows.peek().length - 1;
    active.value = Math.max(0, Math.min(last, to));
    const { scrollTop, clientHeight } = grid;
    grid.scrollTop = revealRow(last + 1, scrollTop, clientHeight - ROW_HEIGHT, active.peek());
    point(active.peek());
  };
  const actions: Record<string, () => void> = {
    ArrowUp: () => move(active.peek() - 1),
    ArrowDown: () => move(active.peek() + 1),
    PageUp: () => move(active.peek() - page()),
    PageDown: () => move(active.peek() + page()),
    Home: () => move(0),
    End: () => move(rows.peek().length - 1),
    Enter: () => choose(active.peek()),
  };
  view.listen(grid, "keydown", (event) => {
    const action = event.target === grid ? actions[event.key] : undefined;
    if (!action) return;
    event.preventDefault();
    action();
  });
  view.listen(grid, "blur", () => point(null));
}

/** Selects a neuron and its partner, each in its own network. */
export function selectBoth(views: readonly View[], own: Compared, change: Change): void {
  const { fate, base, other } = change;
  const [here, there] = [views[0], views[own.place.peek()]];
  if (fate === "new" && other) there.state.select([other]);
  else if (base) here.state.select([base]);
}

function columnHeads(own: Compared, { column, descending }: typeof FIRST): HTMLElement[] {
  const names = [own.names.value[0], own.names.value[own.place.value]] as const;
  return COLUMNS.map(({ words, explained }, index) => {
    const mine = index === column;
    const order = mine ? (descending ? "descending" : "ascending") : "none";
    const mark = h("span", { "aria-hidden": true }, mine ? (descending ? " ↓" : " ↑") : "");
    const label = words(names);
    const attributes = { type: "button", tabindex: -1, "data-column": index, title: explained };
    const named = label === "" ? { "aria-label": "what became of it" } : {};
    const button = h(
      "button",
      { ...attributes, ...named },
      h("span", { class: "svr-cut-short" }, label),
      mark,
    );
    return h("div", { role: "columnheader", "aria-sort": order }, button);
  });
}

function lineOf(base: Scene, other: Scene, change: Change): HTMLElement {
  const { fate, value, otherValue, difference, overlap, log10p, ringed } = change;
  const there = (is: boolean, words: string) => (is ? words : "–");
  const cells = [
    h(
      "span",
      { class: `svr-fate svr-fate-${fate}` },
      ringed && h("i", { class: "svr-ring" }),
      fate,
    ),
    nameIn(base, change.base, fate === "new"),
    nameIn(other, change.other, fate === "gone"),
    there(fate !== "new", significant(value)),
    there(fate !== "gone", significant(otherValue)),
    signed(difference),
    change.base && change.other ? overlap.toFixed(2) : "–",
    change.base && change.other ? pValue(log10p) : "–",
  ];
  return h(
    "div",
    { class: "svr-row", role: "row" },
    ...cells.map((cell) => h("div", { role: "gridcell" }, cell)),
  );
}

/** In brackets where it is only the nearest. */
function nameIn({ maps }: Scene, neuron: Neuron | null, nearest: boolean): HTMLElement {
  if (!neuron) return h("span", {}, "–");
  const { name, label } = maps[neuron.map];
  const index = h("span", {}, `\u00a0·\u00a0${count(neuron.k)}`);
  const words = [tailOf(label), index];
  const [open, close] = nearest ? ["(", ")"] : ["", ""];
  const attributes = { class: `svr-neuron-name${nearest ? " svr-soft" : ""}`, title: name };
  return h("span", attributes, open, ...words, close);
}
