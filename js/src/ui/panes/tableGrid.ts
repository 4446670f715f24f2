// The rows of the table on screen: of a list of any length, those that are seen.

import { type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { count, decimalsOf, pInColumn } from "../../logic/format.js";
import { endsOf, type Hover } from "../../logic/linkedHover.js";
import { columnsOf, type Kind, linkOf, mapOf, type Sorting } from "../../logic/tableRows.js";
import { entered } from "../../wire/links/names.js";
import type { Scene } from "../../wire/scene.js";
import { fill, fillChanged, h, setAttributes, tailOf, uniqueId } from "../kit/dom.js";
import { oncePerFrame } from "../kit/frames.js";
import { select } from "../kit/select.js";
import { heightOf, ROW_HEIGHT, revealRow, rowsSeen } from "../kit/virtualList.js";
import type { View } from "../view.js";

const LEAST_ROWS = 3;

export interface TableContent {
  readonly kind: ReadonlySignal<Kind>;
  readonly rows: ReadonlySignal<Uint32Array>;
  readonly sorting: Readonly<Record<Kind, Signal<Sorting>>>;
}

/** The part of the list on screen, and the row that the keyboard is at. */
interface Rows {
  readonly element: HTMLElement;
  readonly active: Signal<number>;
  /** Scrolls to a row, as little as it takes. */
  reveal(row: number): void;
  /** Rows that fit on the screen. */
  page(): number;
}

export function tableGrid(view: View, content: TableContent, copy: () => void): HTMLElement {
  const { kind } = content;
  const active = signal(0);
  const header = h("div", { class: "svr-row svr-header", role: "row" });
  const element = h(
    "div",
    { class: "svr-grid-table", role: "grid", tabindex: 0, "data-svr": "table" },
    h("div", { role: "rowgroup" }, header),
  );
  const rows = virtualRows(view, content, element, active);
  element.append(rows.element);
  view.watch(() => {
    element.setAttribute("aria-label", kind.value);
    element.dataset.kind = kind.value;
    const scene = view.state.scene.value;
    const names = scene ? columnsOf(scene, kind.value) : [];
    element.dataset.columns = String(names.length);
    fill(header, ...columnHeads(names, content.sorting[kind.value].value));
  });
  view.listen(header, "click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-column]");
    if (!button) return;
    const column = Number(button.dataset.column);
    const now = content.sorting[kind.peek()];
    const same = now.peek().column === column;
    // Numbers are asked for from the large end, p-values and names from the other.
    const large = kind.peek() === "edges" ? column === 2 : column > 0 && column < 4;
    now.value = { column, descending: same ? !now.peek().descending : large };
    rows.element.scrollTop = 0;
    active.value = 0;
  });
  showSelection(view, content, element, rows);
  followRows(view, content, element, rows, copy);
  return element;
}

function columnHeads(names: readonly string[], { column, descending }: Sorting): HTMLElement[] {
  return names.map((name, index) => {
    const mine = index === column;
    const order = mine ? (descending ? "descending" : "ascending") : "none";
    const mark = h("span", { "aria-hidden": true }, mine ? (descending ? "↓" : "↑") : "");
    const attributes = {
      type: "button",
      tabindex: -1,
      "data-column": index,
      title: EXPLAINED[name],
    };
    const button = h("button", attributes, name, mark);
    return h("div", { role: "columnheader", "aria-sort": order }, button);
  });
}

const EXPLAINED: Readonly<Record<string, string>> = {
  weight: "the entry of the link's adjacency",
  p: "how likely chance gives an entry as large",
  σ: "singular value",
  energy: "share of the map's squares of singular values",
  intensity: "how far its edges depart from chance, within its map (paper, section 3.2)",
  FDR: "smallest false discovery rate at which its intensity stands out among random neurons",
};

function virtualRows(
  view: View,
  { kind, rows }: TableContent,
  grid: HTMLElement,
  active: Signal<number>,
): Rows {
  const { state } = view;
  const id = uniqueId("svr-row");
  const inner = h("div", { class: "svr-rows", role: "rowgroup" });
  const sized = h("div", { class: "svr-sized-rows" }, inner);
  const viewport = h("div", { class: "svr-scroll" }, sized);
  const scrolled = signal(0);
  const tall = signal(0);
  // Whole rows: one that is cut looks like a fault.
  const fit = view.guard(() => {
    const room = grid.clientHeight - (grid.firstElementChild?.clientHeight ?? 0);
    viewport.style.height = `${Math.max(LEAST_ROWS, Math.floor(room / ROW_HEIGHT)) * ROW_HEIGHT}px`;
    tall.value = viewport.clientHeight;
  });
  const resizes = new ResizeObserver(fit);
  resizes.observe(grid);
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });
  view.listen(viewport, "scroll", () => (scrolled.value = viewport.scrollTop));

  const draw = oncePerFrame(view, () => {
    const scene = state.scene.peek();
    const all = rows.peek();
    const { first, end, top } = rowsSeen(all.length, scrolled.peek(), tall.peek());
    sized.style.height = `${heightOf(all.length)}px`;
    inner.style.transform = `translateY(${top}px)`;
    grid.setAttribute("aria-rowcount", String(all.length + 1));
    const seen = scene ? Array.from(all.subarray(first, end)) : [];
    const columns = scene ? columnsOf(scene, kind.peek()).length : 0;
    while (inner.children.length > seen.length) inner.lastElementChild?.remove();
    while (inner.children.length < seen.length)
      inner.append(h("div", { class: "svr-row", role: "row" }));
    seen.forEach((row, index) => {
      const line = inner.children[index];
      const at = first + index;
      line.classList.toggle("svr-active", at === active.peek());
      setAttributes(line, { id: `${id}-${at}`, "aria-rowindex": at + 2, "data-row": at });
      if (scene) {
        const highlighted = isHighlighted(scene, kind.peek(), row, state.hover.peek());
        line.classList.toggle("svr-hovered", highlighted);
        const chosen = isSelected(scene, kind.peek(), row, state.selectedMask.peek());
        line.setAttribute("aria-selected", String(chosen));
        const words = wordsOf(scene, state.law.peek(), kind.peek(), row).slice(0, columns);
        // A redraw between press and release must not take the pressed cell away, and the click.
        fillChanged(line, words.flat(), () => words.map(cellOf));
      }
    });
    const isSeen = active.peek() >= first && active.peek() < end;
    setAttributes(grid, { "aria-activedescendant": isSeen && `${id}-${active.peek()}` });
  });
  view.watch(() => {
    if (active.value >= rows.value.length) active.value = Math.max(0, rows.value.length - 1);
  });
  view.watch(() => {
    for (const cause of [rows, scrolled, tall, active, state.hover, state.selectedMask])
      cause.value;
    draw();
  });
  return {
    element: viewport,
    active,
    reveal(row) {
      const { scrollTop } = viewport;
      viewport.scrollTop = revealRow(rows.peek().length, scrollTop, viewport.clientHeight, row);
      scrolled.value = viewport.scrollTop;
    },
    page: () => Math.max(1, Math.floor(viewport.clientHeight / ROW_HEIGHT) - 1),
  };
}

/** What is selected in the graph comes into sight here. */
function showSelection(
  { state, watch }: View,
  { kind, rows }: TableContent,
  grid: HTMLElement,
  { reveal }: Rows,
): void {
  let chosen = state.selectedMask.peek();
  watch(() => {
    const mask = state.selectedMask.value;
    const scene = state.scene.peek();
    if (mask === chosen) return;
    chosen = mask;
    if (!mask || !scene || grid.matches(":focus")) return;
    const at = rows.peek().findIndex((row) => isSelected(scene, kind.peek(), row, mask));
    if (at >= 0) reveal(at);
  });
}

/** The pointer and the keyboard over the rows. */
function followRows(
  view: View,
  { kind, rows }: TableContent,
  grid: HTMLElement,
  { element, active, reveal, page }: Rows,
  copy: () => void,
): void {
  const { state } = view;
  const hoverRow = (at: number | null) => {
    const scene = state.scene.peek();
    const row = at === null ? undefined : rows.peek()[at];
    state.hover.value = scene && row !== undefined ? hoverOf(scene, kind.peek(), row) : null;
  };
  const selectRow = (at: number, add: boolean) => {
    const scene = state.scene.peek();
    const row = rows.peek()[at];
    if (!scene || row === undefined) return;
    active.value = at;
    const hover = hoverOf(scene, kind.peek(), row);
    if (hover.kind === "neuron") return select(view, [hover.neuron], add);
    if (hover.kind === "edge") select(view, endsOf(scene, hover), add);
    state.chooseLink(hover.link);
  };
  const rowAt = (event: Event) => {
    const line = (event.target as Element).closest<HTMLElement>("[data-row]");
    return line ? Number(line.dataset.row) : null;
  };
  view.listen(element, "pointermove", (event) => hoverRow(rowAt(event)));
  view.listen(element, "pointerleave", () => hoverRow(null));
  view.listen(element, "click", (event) => {
    const at = rowAt(event);
    if (at !== null) selectRow(at, event.shiftKey);
  });
  const move = (to: number) => {
    const last = rows.peek().length - 1;
    if (last < 0) return;
    active.value = Math.max(0, Math.min(last, to));
    reveal(active.peek());
    hoverRow(active.peek());
  };
  const actions: Record<string, (event: KeyboardEvent) => void> = {
    ArrowUp: () => move(active.peek() - 1),
    ArrowDown: () => move(active.peek() + 1),
    PageUp: () => move(active.peek() - page()),
    PageDown: () => move(active.peek() + page()),
    Home: () => move(0),
    End: () => move(rows.peek().length - 1),
    Enter: (event) => selectRow(active.peek(), event.shiftKey),
  };
  view.listen(grid, "keydown", (event) => {
    if (event.target !== grid || event.altKey) return;
    const command = event.ctrlKey || event.metaKey;
    const action = command ? (event.key === "c" ? copy : undefined) : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action(event);
  });
  view.listen(grid, "blur", () => hoverRow(null));
}

/** What a cell says: an end of an edge has a name, which loses its beginning, and a number. */
type Words = readonly [words: string] | readonly [name: string, number: string];

function cellOf([words, number]: Words): HTMLElement {
  const said = number === undefined ? [words] : [tailOf(words), number];
  return h("div", { role: "gridcell" }, ...said);
}

/** The numbers of a column have the same number of decimals. */
function wordsOf(scene: Scene, law: keyof Scene["log10p"], kind: Kind, row: number): Words[] {
  const end = (name: string, k: number): Words => [name, ` · ${count(k)}`];
  if (kind === "edges") {
    const link = scene.links[linkOf(scene, row)];
    return [
      end(scene.maps[link.producer].name, scene.edgeM[row]),
      end(entered(scene.maps[link.consumer].name, link), scene.edgeN[row]),
      [scene.edgeWeight[row].toFixed(decimalsOf(scene.largestWeight))],
      [pInColumn(scene.log10p[law][row])],
      [count(link.number)],
    ];
  }
  const map = scene.maps[mapOf(scene, row)];
  const value = scene.singularValue[row];
  return [
    end(map.name, row - map.start),
    [value.toFixed(decimalsOf(largestValue(scene)))],
    [`${(100 * (map.energy > 0 ? value ** 2 / map.energy : 0)).toFixed(1)} %`],
    [scene.isNull[row] ? "null" : orNone(scene.intensity[row], (value) => value.toFixed(2))],
    [orNone(scene.log10pAdjusted?.[row] ?? Number.NaN, pInColumn)],
  ];
}

const orNone = (value: number, words: (value: number) => string) =>
  Number.isNaN(value) ? "–" : words(value);

const largest = new WeakMap<Scene, number>();

function largestValue(scene: Scene): number {
  const known = largest.get(scene) ?? scene.singularValue.reduce((a, b) => Math.max(a, b), 0);
  largest.set(scene, known);
  return known;
}

function hoverOf(scene: Scene, kind: Kind, row: number): Hover {
  if (kind === "neurons") {
    const map = mapOf(scene, row);
    return { kind: "neuron", neuron: { map, k: row - scene.maps[map].start }, from: "table" };
  }
  const [m, n, weight] = [scene.edgeM[row], scene.edgeN[row], scene.edgeWeight[row]];
  return { kind: "edge", link: linkOf(scene, row), m, n, weight, edge: row, from: "table" };
}

function isHighlighted(scene: Scene, kind: Kind, row: number, hover: Hover | null): boolean {
  if (!hover) return false;
  if (hover.kind === "ribbon") return false;
  if (hover.kind === "edge") return kind === "edges" && hover.edge === row;
  const { map, k } = hover.neuron;
  if (kind === "neurons") return scene.maps[map].start + k === row;
  const { producer, consumer } = scene.links[linkOf(scene, row)];
  return (
    (producer === map && scene.edgeM[row] === k) || (consumer === map && scene.edgeN[row] === k)
  );
}

/** Whether a neuron, or both ends of an edge, are selected. */
function isSelected(scene: Scene, kind: Kind, row: number, mask: Uint8Array | null): boolean {
  if (!mask) return false;
  if (kind === "neurons") return mask[row] === 1;
  const { producer, consumer } = scene.links[linkOf(scene, row)];
  const from = scene.maps[producer].start + scene.edgeM[row];
  return mask[from] === 1 && mask[scene.maps[consumer].start + scene.edgeN[row]] === 1;
}
