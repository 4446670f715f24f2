// The pane of links: who speaks to whom as a matrix of maps or folded modules, or head by head.

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { factsInWords } from "../../logic/folding.js";
import { count, significant } from "../../logic/format.js";
import {
  darknessOf,
  headKinds,
  headMapOf,
  type LinkCell,
  type LinkMap,
  linkMapOf,
} from "../../logic/linkMap.js";
import type { InternalDimensions } from "../../logic/matrices.js";
import { foremostOf } from "../../logic/threshold.js";
import { css } from "../../paint/palette.js";
import { withoutLinks } from "../../wire/links/names.js";
import { fill, h, nameOf, segmented } from "../kit/dom.js";
import type { View } from "../view.js";
import { createPicture, inkOf, type Measure, type Picture, type Place } from "./linkCells.js";
import { blockOf, linkDimensions } from "./linkDimensions.js";

type Shown = "links" | "OV" | "QK" | "internal";

const EMPTY: LinkMap = { rows: [], columns: [], cells: [], most: 0 };
const STEPS = 9;

const NO_BLOCK = { d_out: 0, d_in: 0, deviation: 0, p_value: 1 };

export function linkMapPane(view: View) {
  const { state } = view;
  const what = signal<Shown>("links");
  const at = signal<Place | null>(null);
  const shown = computed<LinkMap>(() => {
    const [scene, cut, folding] = [state.scene.value, state.cut.value, state.folding.value];
    if (!scene || !cut || !folding || !state.panes.value.includes("links")) return EMPTY;
    const kind = what.value;
    if (kind === "OV" || kind === "QK") return headMapOf(scene, cut, kind);
    return linkMapOf(scene, cut, folding, state.bundles.value);
  });
  const cellAt = (place: Place | null) =>
    shown.peek().cells.find(({ row, column }) => row === place?.row && column === place.column);
  const dimensions = linkDimensions(
    view,
    computed(() => what.value === "internal" && state.panes.value.includes("links")),
  );
  /** What makes a cell dark: edges beyond chance, or the largest block on one of its links. */
  const measure = computed<Measure>(() => {
    const { value: map } = shown;
    if (what.value !== "internal") {
      const of = ({ beyond }: LinkCell) => darknessOf(beyond, map.most);
      return { of, most: map.most, unit: "beyond chance" };
    }
    const { value: known } = dimensions.known;
    const largest = (cell: LinkCell) => {
      let most = 0;
      for (const link of cell.links) most = Math.max(most, blockOf(known.get(link) ?? NO_BLOCK));
      return most;
    };
    const most = map.cells.reduce((found, cell) => Math.max(found, largest(cell)), 0);
    const of = (cell: LinkCell) => (most > 0 ? largest(cell) / most : 0);
    return { of, most, unit: "neurons, the root of d_out × d_in" };
  });
  const picture = createPicture(view, shown, measure, at);
  follow(view, picture, shown, at, cellAt);
  view.watch(() => {
    shown.value;
    at.value = null;
  });

  const words = h("div", { class: "svr-link-words", role: "status", "data-svr": "link-cell" });
  view.watch(() => {
    const [scene, map, place] = [state.scene.value, shown.value, at.value];
    const cell = cellAt(place);
    const said = scene ? wordsFor(map, place, cell, what.value, withoutLinks(scene)) : [];
    const blocks =
      what.value === "internal" && cell ? blockWords(cell, dimensions.known.value) : "";
    fill(words, ...said, blocks !== "" && h("div", {}, blocks));
  });
  const message = h("div", { class: "svr-soft", role: "status" });
  view.watch(() => {
    message.textContent = what.value === "internal" ? dimensions.message.value : "";
  });
  const frame = h(
    "div",
    { class: "svr-link-frame" },
    h("div", { class: "svr-soft svr-link-across" }, "from →"),
    picture.holder,
  );
  view.watch(() => {
    frame.hidden = shown.value.cells.length === 0;
  });
  const body = h(
    "div",
    { class: "svr-link-map" },
    choice(view, what),
    frame,
    h("div", { class: "svr-captions" }, words, scale(view, shown, measure), message),
  );
  return { body };
}

/** All links, or the heads, where there are any. */
function choice(view: View, what: { value: Shown }): HTMLElement {
  const { state } = view;
  const options = segmented<Shown>(
    "what is shown",
    [
      ["links", "Links", "Who feeds whom: rows read what columns write"],
      ["OV", "OV heads", "What the heads write, a row a layer"],
      ["QK", "QK heads", "What the heads compare, a row a layer"],
      ["internal", "Dimensions", "How many neurons speak and listen: internal dimensions (3.2)"],
    ],
    (chosen) => {
      what.value = chosen;
    },
  );
  const element = h("div", { class: "svr-pane-tools" }, options.element);
  view.watch(() => {
    const scene = state.scene.value;
    const kinds: readonly string[] = scene ? headKinds(scene) : [];
    for (const button of options.element.querySelectorAll("button")) {
      const { value } = button.dataset;
      button.hidden = isOfHeads(value) && !kinds.includes(value ?? "");
    }
    if (isOfHeads(what.value) && !kinds.includes(what.value)) what.value = "links";
    options.show(what.value);
  });
  return element;
}

const isOfHeads = (value: string | undefined) => value === "OV" || value === "QK";

/** The largest block on any of a cell's links, as far as they are known. */
function blockWords({ links }: LinkCell, known: ReadonlyMap<number, InternalDimensions>): string {
  const found = [...links].flatMap((link) => known.get(link) ?? []);
  if (found.length === 0) return "";
  const best = found.reduce((most, next) => (blockOf(next) > blockOf(most) ? next : most));
  if (blockOf(best) === 0) return "no internal block beyond chance";
  const p =
    best.p_value === null
      ? ""
      : `, p ${best.p_value < 0.001 ? "< 0.001" : `= ${significant(best.p_value, 2)}`}`;
  return `internal ${best.d_out} × ${best.d_in}${p}`;
}

function wordsFor(
  map: LinkMap,
  place: Place | null,
  cell: LinkCell | undefined,
  what: Shown,
  without: string,
): (Node | string)[] {
  if (map.cells.length === 0) return [without];
  if (!place) {
    const some = map.cells.filter(({ isClear }) => isClear).length;
    const unit = isOfHeads(what) ? "heads" : "links between columns";
    return [`more than chance in ${count(some)} of ${count(map.cells.length)} ${unit}`];
  }
  const [row, column] = [nameOf(map.rows[place.row]), nameOf(map.columns[place.column])];
  const title = !isOfHeads(what)
    ? place.row === place.column
      ? ["within ", row]
      : [column, " → ", row]
    : [row, " head ", column];
  if (!cell) return [h("b", {}, ...title), h("div", {}, "no link")];
  const many = cell.links.length === 1 ? "" : `${count(cell.links.length)} links: `;
  return [h("b", {}, ...title), h("div", {}, `${many}${factsInWords(cell)}`)];
}

/** What the darkness of a cell means. */
function scale(
  view: View,
  shown: ReadonlySignal<LinkMap>,
  measure: ReadonlySignal<Measure>,
): HTMLElement {
  const element = h("div", { class: "svr-soft svr-colour-scale", "data-svr": "link-scale" });
  element.title = "Edges beyond those that chance gives are shown by orders of magnitude";
  view.watch(() => {
    const [palette, { cells }, { most, unit }] = [view.palette.value, shown.value, measure.value];
    element.hidden = !palette || cells.length === 0 || most <= 0;
    if (!palette || element.hidden) return;
    const colours = Array.from({ length: STEPS }, (_, step) =>
      css(inkOf(palette, step / (STEPS - 1))),
    );
    const style = `background:linear-gradient(to right, ${colours.join(", ")})`;
    fill(
      element,
      "0",
      h("i", { class: "svr-scale-ramp", style }),
      `${significant(most, 2)} ${unit}`,
    );
  });
  return element;
}

/** Pointer and keyboard: what is pointed at lights up in the graph, a click chooses its link. */
function follow(
  view: View,
  { canvas, grid }: Picture,
  shown: ReadonlySignal<LinkMap>,
  at: { value: Place | null; peek(): Place | null },
  cellAt: (place: Place | null) => LinkCell | undefined,
): void {
  const { state } = view;
  const linkAt = (place: Place | null) => {
    const [scene, cut, cell] = [state.scene.peek(), state.cut.peek(), cellAt(place)];
    return scene && cut && cell ? foremostOf(scene, cut, cell.links) : null;
  };
  const go = (place: Place | null) => {
    at.value = place;
    const link = linkAt(place);
    state.hover.value = link === null ? null : { kind: "ribbon", link, from: "links" };
  };
  const choose = () => {
    const link = linkAt(at.peek());
    if (link !== null) state.chooseLink(link);
  };
  const placeAt = (event: PointerEvent): Place | null => {
    const box = canvas.getBoundingClientRect();
    const { left, top, width, height } = grid.peek();
    const { rows, columns } = shown.peek();
    const column = Math.floor(((event.clientX - box.left - left) / width) * columns.length);
    const row = Math.floor(((event.clientY - box.top - top) / height) * rows.length);
    const inside = row >= 0 && row < rows.length && column >= 0 && column < columns.length;
    return inside ? { row, column } : null;
  };
  view.listen(canvas, "pointermove", (event) => go(placeAt(event)));
  view.listen(canvas, "pointerleave", () => go(null));
  view.listen(canvas, "blur", () => go(null));
  view.listen(canvas, "click", choose);
  view.listen(canvas, "keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") choose();
    else {
      const { rows, columns } = shown.peek();
      const by = {
        ArrowLeft: [0, -1],
        ArrowRight: [0, 1],
        ArrowUp: [-1, 0],
        ArrowDown: [1, 0],
      }[event.key];
      if (!by || rows.length === 0) return;
      const from = at.peek() ?? { row: 0, column: 0 };
      const within = (value: number, many: number) => Math.min(many - 1, Math.max(0, value));
      go({
        row: within(from.row + by[0], rows.length),
        column: within(from.column + by[1], columns.length),
      });
    }
    event.preventDefault();
  });
}
