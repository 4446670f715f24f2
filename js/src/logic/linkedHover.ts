// What is pointed at anywhere in the widget, in the terms of a matrix and of the graph. Pure.

import type { Edge, Neuron, Scene } from "../wire/scene.js";
import { edgeOf, type Facts } from "./matrices.js";
import { type Cell, type Extent, isSingle, type Pair } from "./tiles.js";

/** Where something is pointed at. */
type Pane = "graph" | "adjacency" | "links" | "images" | "filters" | "table" | "keyboard";

/** The neuron, edge or band that is pointed at, anywhere in the widget. */
export type Hover =
  | { readonly kind: "neuron"; readonly neuron: Neuron; readonly from: Pane }
  /** The band of a link: of all between its two columns, or by itself where it is by construction. */
  | { readonly kind: "ribbon"; readonly link: number; readonly from: Pane }
  | {
      readonly kind: "edge";
      readonly link: number;
      readonly m: number;
      readonly n: number;
      readonly weight: number;
      /** Null where the edge was not sent, so that its p-value is not known here. */
      readonly edge: number | null;
      readonly from: Pane;
    };

/** A cell, or a whole row or column. */
export interface Target {
  readonly cell: Cell | null;
  readonly row: number | null;
  readonly column: number | null;
}

/** Rows and columns that are marked. */
export interface Marks {
  readonly cell: Extent | null;
  readonly row: number | null;
  readonly column: number | null;
  readonly rows: ReadonlySet<number>;
  readonly columns: ReadonlySet<number>;
}

/** What lights up in the graph; null for cells whose edge was not sent, and for channels. */
export function hoverOf(scene: Scene, facts: Facts, target: Target): Hover | null {
  const { cell } = target;
  if (cell && facts.which === "adjacency") {
    const edge = edgeOf(scene, facts.link, cell);
    const from = { kind: "edge", from: "adjacency" } as const;
    if (edge) return { ...from, ...edge, weight: scene.edgeWeight[edge.edge] };
    if (!isSingle(cell) || !facts.complete) return null;
    const [n, m] = [cell.rows[0], cell.columns[0]];
    return { ...from, link: facts.link, m, n, weight: cell.value, edge: null };
  }
  const [neuron] = neuronsOf(scene, facts, target);
  return neuron ? { kind: "neuron", neuron, from: "adjacency" } : null;
}

/** The graph's neurons that a click there selects. */
export function neuronsOf(scene: Scene, facts: Facts, { cell, row, column }: Target): Neuron[] {
  const { producer, consumer } = scene.links[facts.link];
  if (cell && facts.which === "adjacency") {
    const edge = edgeOf(scene, facts.link, cell);
    if (!edge && !isSingle(cell)) return [];
    return [
      { map: producer, k: edge?.m ?? cell.columns[0] },
      { map: consumer, k: edge?.n ?? cell.rows[0] },
    ];
  }
  const single = (range: Pair | undefined) =>
    range && range[1] - range[0] === 1 ? range[0] : null;
  const m = column ?? single(cell?.columns);
  const n = row ?? single(cell?.rows);
  const found: Neuron[] = [];
  if (m !== null && facts.columnsShown) found.push({ map: producer, k: m });
  if (n !== null && facts.rowsShown) found.push({ map: consumer, k: n });
  return found;
}

/** What is marked in the matrix: what is pointed at there, else in the graph; and the selection. */
export function marksOf(
  scene: Scene | null,
  facts: Facts | null,
  at: { target: Target | null; hover: Hover | null; selected: readonly Neuron[] },
): Marks {
  if (!scene || !facts) {
    return { cell: null, row: null, column: null, rows: new Set(), columns: new Set() };
  }
  const { producer, consumer } = scene.links[facts.link];
  const of = (map: number, shown: boolean) => (neuron: Neuron) => shown && neuron.map === map;
  const isRow = of(consumer, facts.rowsShown);
  const isColumn = of(producer, facts.columnsShown);
  const rows = new Set(at.selected.filter(isRow).map(({ k }) => k));
  const columns = new Set(at.selected.filter(isColumn).map(({ k }) => k));
  if (at.target) return { ...at.target, rows, columns };
  const { hover } = at;
  if (hover?.kind === "neuron") {
    const row = isRow(hover.neuron) ? hover.neuron.k : null;
    const column = isColumn(hover.neuron) ? hover.neuron.k : null;
    return { cell: null, row, column, rows, columns };
  }
  const here = hover?.kind === "edge" && facts.which === "adjacency" && hover.link === facts.link;
  const cell = here
    ? { rows: [hover.n, hover.n + 1] as const, columns: [hover.m, hover.m + 1] as const }
    : null;
  return { cell, row: null, column: null, rows, columns };
}

/** The neurons that an edge joins. */
export function endsOf(scene: Scene, { link, m, n }: Omit<Edge, "edge">): Neuron[] {
  const { producer, consumer } = scene.links[link];
  return [
    { map: producer, k: m },
    { map: consumer, k: n },
  ];
}
