// A link's matrices, as Python answers or as far as the edges that were sent tell; the mirror of
// svr_widget/widget/answers/matrices.py. Rows are the consumer's neurons, columns the producer's.

import { type Bytes, decode } from "../wire/codec.js";
import { sameEnds } from "../wire/links/names.js";
import type { Matrix } from "../wire/requests.js";
import type { Edge, Law, Scene, StrongestEdge } from "../wire/scene.js";
import { type Cell, extentOf, type Pair, type Place, type Tile } from "./tiles.js";

/** The graph's own adjacency; |V~^T U| (Fig 7 of the paper); the producer's |U| (Fig 8). */

/** What is known of a whole matrix. */
export interface Facts {
  readonly link: number;
  readonly which: Matrix;
  readonly shape: Pair;
  readonly max: number;
  /** Singular values of the rows and columns; of rows that are channels there are none. */
  readonly rows: Float64Array | null;
  readonly columns: Float64Array;
  /** Whether rows and columns are neurons that the graph shows. */
  readonly rowsShown: boolean;
  readonly columnsShown: boolean;
  /** The steps of the one tile there is, in a page without Python. */
  readonly steps: Pair | null;
  /** False where Python did not answer and only the edges that were sent are here. */
  readonly complete: boolean;
}

/** Section 3.2, with the p-value of so large a deviation under chance. */
export interface InternalDimensions {
  readonly d_out: number;
  readonly d_in: number;
  readonly deviation: number;
  /** Null where the law of chance of such a link is not known. */
  readonly p_value: number | null;
}

/** Above this p-value there is no block. */
const BLOCK_P = 0.05;

export function readFacts(bytes: Bytes, link: number, which: Matrix): Facts {
  const { meta, arrays } = decode(bytes);
  const { shape, max, steps, rows_shown, columns_shown } = meta as {
    shape: Pair;
    max: number;
    steps: Pair | null;
    rows_shown: boolean;
    columns_shown: boolean;
  };
  const columns = arrays.get("columns")?.data;
  const rows = arrays.get("rows")?.data ?? null;
  if (!(columns instanceof Float64Array) || !(rows === null || rows instanceof Float64Array)) {
    throw new Error("Python's answer holds no singular values");
  }
  const shown = { rowsShown: rows_shown, columnsShown: columns_shown };
  return { link, which, shape, max, rows, columns, steps, ...shown, complete: true };
}

export function readInternal(bytes: Bytes): InternalDimensions {
  return decode(bytes).meta as InternalDimensions;
}

export function readTile(bytes: Bytes): Tile {
  const { arrays } = decode(bytes);
  const values = arrays.get("values");
  const log10p = arrays.get("log10_p")?.data ?? null;
  if (!(values?.data instanceof Float32Array) || values.shape.length !== 2) {
    throw new Error("Python's answer holds no tile");
  }
  if (!(log10p === null || log10p instanceof Float32Array)) {
    throw new Error("Python's answer holds ill-typed p-values");
  }
  return { cells: [values.shape[0], values.shape[1]], values: values.data, log10p };
}

/**
 * The one tile of an exported page, whose values are bytes, the root of their share of the largest;
 * of an adjacency exact, and with a p-value, where one of the edges sent is the cell's strongest.
 */
export function readCoarseTile(bytes: Bytes, max: number, sent: Tile | null): Tile {
  const tile = decode(bytes).arrays.get("values");
  if (!(tile?.data instanceof Uint8Array) || tile.shape.length !== 2) {
    throw new Error("the page holds no tile");
  }
  if (sent && sent.values.length !== tile.data.length)
    throw new Error("the page's tile is another");
  const isExact = (value: number, share: number) =>
    max > 0 && Math.abs(Math.sqrt(value / max) - share / 255) < 0.51 / 255;
  const values = Float32Array.from(tile.data, (share, at) =>
    sent && isExact(sent.values[at], share) ? sent.values[at] : max * (share / 255) ** 2,
  );
  return { cells: [tile.shape[0], tile.shape[1]], values, log10p: sent?.log10p ?? null };
}

/** The adjacency as far as it is known without Python. */
export function factsOfSentEdges(scene: Scene, index: number): Facts {
  const { producer, consumer } = scene.links[index];
  const neurons = (map: number) => {
    const { start, neurons } = scene.maps[map];
    return scene.singularValue.subarray(start, start + neurons);
  };
  const [rows, columns] = [neurons(consumer), neurons(producer)];
  let max = 0;
  for (const link of sameEnds(scene, index)) {
    const { start, sent } = scene.links[link];
    if (sent > 0) max = Math.max(max, scene.edgeWeight[start]);
  }
  const shape = [rows.length, columns.length] as const;
  const whole = { rows, columns, steps: null, rowsShown: true, columnsShown: true };
  return { link: index, which: "adjacency", shape, max, ...whole, complete: false };
}

export function tileOfSentEdges(scene: Scene, index: number, law: Law, place: Place): Tile {
  const { producer, consumer } = scene.links[index];
  const shape = [scene.maps[consumer].neurons, scene.maps[producer].neurons] as const;
  const { rows, columns } = extentOf(place, shape);
  const cells = [rows, columns].map(([from, to], axis) =>
    Math.ceil((to - from) / place.steps[axis]),
  );
  const values = new Float32Array(cells[0] * cells[1]);
  const log10p = new Float32Array(values.length);
  for (const link of sameEnds(scene, index)) {
    const { start, sent } = scene.links[link];
    for (let edge = start; edge < start + sent; edge++) {
      const n = scene.edgeN[edge];
      const m = scene.edgeM[edge];
      if (n < rows[0] || n >= rows[1] || m < columns[0] || m >= columns[1]) continue;
      const row = Math.floor((n - rows[0]) / place.steps[0]);
      const at = row * cells[1] + Math.floor((m - columns[0]) / place.steps[1]);
      values[at] = Math.max(values[at], scene.edgeWeight[edge]);
      log10p[at] = Math.min(log10p[at], scene.log10p[law][edge]);
    }
  }
  return { cells: [cells[0], cells[1]], values, log10p };
}

/** The edge that a cell of an adjacency shows, among those that were sent. */
export function edgeOf(scene: Scene, index: number, cell: Cell): Edge | null {
  const { rows, columns, value } = cell;
  for (const link of sameEnds(scene, index)) {
    const { start, sent } = scene.links[link];
    for (let edge = start; edge < start + sent; edge++) {
      if (scene.edgeWeight[edge] < value * (1 - SAME)) break;
      const n = scene.edgeN[edge];
      const m = scene.edgeM[edge];
      if (n < rows[0] || n >= rows[1] || m < columns[0] || m >= columns[1]) continue;
      if (scene.edgeWeight[edge] <= value * (1 + SAME)) return { link, m, n, edge };
    }
  }
  return null;
}

/** Weights that differ by less are one weight, rounded differently. */
const SAME = 1e-5;

/** Whether there is a block to show; one of unknown significance counts. */
export const hasInternalBlock = ({ p_value }: InternalDimensions) =>
  p_value === null || p_value < BLOCK_P;

/** What that means, for somebody who has not read the paper. */
export function internalMeaning(internal: InternalDimensions): string {
  const { d_out, d_in } = internal;
  return hasInternalBlock(internal)
    ? `Internal dimensions: the first ${d_out} neurons of the consumer and the first ${d_in} of the ` +
        "producer, above and left of the cross, have the block that stands out most from chance; p " +
        "is how often chance gives one like it (paper, section 3.2)."
    : "No block of first neurons stands out from chance: p is how often chance gives one as " +
        "pronounced as the most pronounced here (paper, section 3.2).";
}

/** Where the largest entry of an adjacency is that is a test; null of other matrices. */
export function largestEntry(scene: Scene, { link, which }: Pick<Facts, "link" | "which">) {
  if (which !== "adjacency") return null;
  let best: StrongestEdge | null = null;
  for (const index of sameEnds(scene, link)) {
    const { strongest } = scene.links[index];
    if (strongest && strongest.weight > (best?.weight ?? 0)) best = strongest;
  }
  return best && { row: best.n, column: best.m };
}

/** "internal 31 × 28, p < 0.001", "no block, p = 0.4". */
export function internalWords(internal: InternalDimensions): string {
  const { d_out, d_in, p_value } = internal;
  if (p_value === null) return `internal ${d_out} × ${d_in}, significance unknown`;
  const p =
    p_value < 0.001 ? "p\u00a0<\u00a00.001" : `p\u00a0=\u00a0${Number(p_value.toPrecision(1))}`;
  return hasInternalBlock(internal) ? `internal ${d_out} × ${d_in}, ${p}` : `no block, ${p}`;
}
