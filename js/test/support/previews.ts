// A preview of three maps as Python sends it: one known whole, one nearly, of one nothing.

import { type Data, encode } from "../../src/wire/codec.js";
import type { LinearMap } from "../../src/wire/scene.js";

type Arrays = Record<string, Data>;

const map = (name: string, depth: number, neurons: number, rank: number, start: number) =>
  ({
    name,
    label: name,
    map: name,
    kind: "linear",
    depth,
    module: null,
    out: rank,
    in: rank,
    kernel: [],
    neurons,
    rank,
    start,
    energy: 0,
  }) satisfies LinearMap;

/** With some of its arrays replaced. */
export function previewBytes(replaced: Arrays = {}): Uint8Array {
  const maps = [map("fc1", 0, 3, 3, 0), map("fc2", 1, 2, 9, 3), map("fc3", 2, 0, 4, 5)];
  const meta = { model: "net", shared: "", method: "svr", norm: null, maps, modules: [] };
  const arrays: Arrays = {
    state: Uint8Array.of(2, 1, 0),
    singular_value: Float64Array.of(3, 2, 0, 5, 4),
    null: Uint8Array.of(0, 0, 1, 0, 0),
    link_producer: Uint32Array.of(0, 1),
    link_consumer: Uint32Array.of(1, 2),
    link_flags: Uint8Array.of(0, 1),
    ...replaced,
  };
  const tensors = Object.entries(arrays).map(
    ([name, data]) => [name, { data, shape: [data.length] }] as const,
  );
  return encode(meta, new Map(tensors));
}
