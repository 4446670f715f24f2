// A link's adjacency as cells, each the largest of the entries that it stands for.

import { type Bytes, type Data, decode } from "./codec.js";
import type { Link, Scene } from "./scene.js";

export interface Adjacency {
  readonly link: number;
  /** Consumer's neurons by producer's neurons, as there are, and as cells. */
  readonly shape: readonly [number, number];
  readonly cells: readonly [number, number];
  readonly values: Float32Array;
  readonly max: number;
  readonly internal: InternalDimensions | null;
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

export function readAdjacency(bytes: Bytes): Adjacency {
  const { meta, arrays } = decode(bytes);
  const { link, shape, internal, max } = meta as Omit<Adjacency, "cells" | "values" | "complete">;
  const tensor = arrays.get("adjacency");
  const values = tensor && weightsOf(tensor.data, max);
  if (!values || tensor.shape.length !== 2) throw new Error("Python's answer holds no adjacency");
  const [rows, columns] = tensor.shape;
  return {
    link,
    shape,
    cells: [rows, columns],
    values,
    max,
    internal,
    complete: true,
  };
}

/** Entries as they are, or from the bytes of an exported page: the root of their share of `max`. */
function weightsOf(data: Data, max: number): Float32Array | null {
  if (data instanceof Float32Array) return data;
  return data instanceof Uint8Array ? Float32Array.from(data, (b) => max * (b / 255) ** 2) : null;
}

/** What can be known without Python: the edges that were sent, pooled. */
export function adjacencyOfSentEdges(scene: Scene, index: number, most: number): Adjacency {
  const link = scene.links[index];
  const shape = shapeOf(scene, link);
  const cells = [Math.min(shape[0], most), Math.min(shape[1], most)] as const;
  const values = new Float32Array(cells[0] * cells[1]);
  let max = 0;
  for (let edge = link.start; edge < link.start + link.sent; edge++) {
    const row = cellOf(scene.edgeN[edge], shape[0], cells[0]);
    const column = cellOf(scene.edgeM[edge], shape[1], cells[1]);
    const at = row * cells[1] + column;
    values[at] = Math.max(values[at], scene.edgeWeight[edge]);
    max = Math.max(max, scene.edgeWeight[edge]);
  }
  return { link: index, shape, cells, values, max, internal: null, complete: false };
}

/** Rows are the consumer's neurons, columns the producer's. */
export function shapeOf({ maps }: Scene, link: Link): readonly [number, number] {
  return [maps[link.consumer].neurons, maps[link.producer].neurons];
}

/** The cell that entry `index` of `entries` falls in, and the entries [from, to) of a cell. */
export const cellOf = (index: number, entries: number, cells: number) =>
  Math.min(cells - 1, Math.floor((index * cells) / entries));
export const entriesOf = (cell: number, entries: number, cells: number) =>
  [Math.ceil((cell * entries) / cells), Math.ceil(((cell + 1) * entries) / cells)] as const;

/** Whether there is a block to show; one of unknown significance counts. */
export const hasBlock = ({ p_value }: InternalDimensions) => p_value === null || p_value < BLOCK_P;

/** "internal 31 × 28, p < 0.001", "no block, p = 0.4". */
export function internalWords(internal: InternalDimensions): string {
  const { d_out, d_in, p_value } = internal;
  if (p_value === null) return `internal ${d_out} × ${d_in}, significance unknown`;
  const p = p_value < 0.001 ? "p < 0.001" : `p = ${Number(p_value.toPrecision(1))}`;
  return hasBlock(internal) ? `internal ${d_out} × ${d_in}, ${p}` : `no block, ${p}`;
}
