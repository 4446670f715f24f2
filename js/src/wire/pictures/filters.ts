// The filters of neurons and edges, as Python sends them; the mirror of
// svr_widget/widget/answers/filters.py.

import { type Bytes, decode } from "../codec.js";
import { CONTRACT } from "../contract.js";
import type { Link, Neuron } from "../scene.js";

/** Effective filters (section 4.2) between rows and columns of a link's neurons. */
export interface EffectiveFilters {
  readonly rows: readonly number[];
  readonly columns: readonly number[];
  readonly kernel: readonly number[];
  /** One array a row and column, row by row. */
  readonly filters: readonly Float32Array[];
}

/** The strongest channels of one side of a neuron. */
export interface Side {
  readonly kernel: readonly number[];
  /** How many channels there are in all. */
  readonly total: number;
  readonly channels: Uint32Array;
  readonly filters: readonly Float32Array[];
}

export function readFilters(bytes: Bytes): EffectiveFilters {
  const { meta, arrays } = decode(bytes);
  const { rows, columns, kernel } = meta as EffectiveFilters;
  const data = floats(arrays.get("filters")?.data);
  return { rows, columns, kernel, filters: split(data, rows.length * columns.length) };
}

export function readVectors(bytes: Bytes): { readonly V: Side; readonly U: Side } {
  const { meta, arrays } = decode(bytes);
  const side = (name: "V" | "U"): Side => {
    const { kernel, total } = (meta as Record<string, Side>)[name];
    const channels = arrays.get(`${name}_channels`)?.data;
    if (!(channels instanceof Uint32Array)) throw new Error("Python's answer holds no channels");
    const filters = split(floats(arrays.get(name)?.data), channels.length);
    return { kernel, total, channels, filters };
  };
  return { V: side("V"), U: side("U") };
}

function floats(data: unknown): Float32Array {
  if (!(data instanceof Float32Array)) throw new Error("Python's answer holds no filters");
  return data;
}

function split(data: Float32Array, parts: number): Float32Array[] {
  const size = parts > 0 ? data.length / parts : 0;
  return Array.from({ length: parts }, (_, at) => data.subarray(at * size, (at + 1) * size));
}

const { first_neurons: FIRST_NEURONS, most_neurons: MOST_NEURONS } = CONTRACT.filters;

/** The neurons of a map to show: those selected, else the first; and how many are left out. */
export function neuronsWithFilters(
  map: number,
  neurons: number,
  selected: readonly Neuron[],
): { readonly shown: number[]; readonly leftOut: number } {
  const mine = selected.filter((neuron) => neuron.map === map).map(({ k }) => k);
  if (mine.length === 0) {
    const first = Math.min(neurons, FIRST_NEURONS);
    return { shown: Array.from({ length: first }, (_, k) => k), leftOut: 0 };
  }
  return { shown: mine.slice(0, MOST_NEURONS), leftOut: Math.max(0, mine.length - MOST_NEURONS) };
}

/** The neuron whose own filters are shown: the last selected, else the producer's first. */
export const neuronOf = (link: Link | undefined, selected: readonly Neuron[]): Neuron | null =>
  selected.at(-1) ?? (link ? { map: link.producer, k: 0 } : null);
