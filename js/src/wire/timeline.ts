// The checkpoints of a timeline, as Python describes them, and neurons followed through them.

import { type Bytes, decode } from "./codec.js";
import { readScene, type Scene, SceneError } from "./scene.js";

/** What is known of every checkpoint that was computed, its scene apart. */
export interface History {
  readonly steps: readonly number[];
  readonly labels: readonly string[];
  /** The columns of the scenes, in their order. */
  readonly columns: readonly string[];
  readonly metrics: readonly { readonly name: string; readonly values: Float64Array }[];
  /** Leading singular values `[checkpoint, column, LEADING]`; NaN for none. */
  readonly leading: Float32Array;
  readonly perColumn: number;
  /** Neurons that are new since the checkpoint before, and those that were its last. */
  readonly born: Uint32Array;
  readonly died: Uint32Array;
  readonly notes: readonly string[];
}

/** Null where there is none yet. */
export function readHistory(source: Bytes | null | undefined): History | null {
  if (!source || source.byteLength === 0) return null;
  const { meta, arrays } = decode(source);
  const { steps, labels, columns, metrics, notes } = meta as Record<string, never[]>;
  const array = <T>(name: string, type: new (length: number) => T): T => {
    const data = arrays.get(name)?.data;
    if (!(data instanceof type)) throw new SceneError(`the history has no array "${name}"`);
    return data;
  };
  const leading = array("leading", Float32Array);
  return {
    steps,
    labels,
    columns,
    metrics: metrics.map((name, at) => ({ name, values: array(`metric_${at}`, Float64Array) })),
    leading,
    perColumn: leading.length / Math.max(1, steps.length * columns.length),
    born: array("born", Uint32Array),
    died: array("died", Uint32Array),
    notes,
  };
}

/** The `k`-th singular value of a column over the checkpoints. */
export function track(history: History, column: number, k: number): number[] {
  const { steps, columns, leading, perColumn } = history;
  return steps.map((_, at) => leading[(at * columns.length + column) * perColumn + k]);
}

/** Scenes by step, as many as fit; those asked for longest ago go first. */
export interface SceneStore {
  has(step: number): boolean;
  get(step: number): Scene | null;
  add(step: number, bytes: Bytes): void;
  /** Keeps only these steps. */
  keep(steps: readonly number[]): void;
  clear(): void;
}

export function createSceneStore(budget: number): SceneStore {
  const kept = new Map<number, { bytes: Bytes; scene: Scene | null }>();
  let size = 0;
  const drop = (step: number) => {
    size -= kept.get(step)?.bytes.byteLength ?? 0;
    kept.delete(step);
  };
  return {
    has: (step) => kept.has(step),
    get(step) {
      const entry = kept.get(step);
      if (!entry) return null;
      kept.delete(step);
      kept.set(step, entry);
      entry.scene ??= readScene(entry.bytes);
      return entry.scene;
    },
    add(step, bytes) {
      drop(step);
      kept.set(step, { bytes, scene: null });
      size += bytes.byteLength;
      for (const oldest of kept.keys()) {
        if (size <= budget || kept.size === 1) break;
        drop(oldest);
      }
    },
    keep(steps) {
      const wanted = new Set(steps);
      for (const step of [...kept.keys()]) if (!wanted.has(step)) drop(step);
    },
    clear() {
      kept.clear();
      size = 0;
    },
  };
}

/** A neuron that was chosen: which one of all checkpoints it is; by its place where it is null. */
export interface Chosen {
  readonly map: string;
  readonly number: number;
  readonly k: number;
}

export type Selection = readonly (readonly [string, number])[];

export function chosenOf(scene: Scene, selection: Selection): Chosen[] {
  const byName = new Map(scene.maps.map((map) => [map.name, map]));
  return selection.flatMap(([name, k]) => {
    const map = byName.get(name);
    if (!map || k >= map.neurons) return [];
    return [{ map: name, number: scene.identity?.[map.start + k] ?? -1, k }];
  });
}

/** Where the chosen neurons are in a scene; those that do not live then are left out. */
export function presentIn(scene: Scene, chosen: readonly Chosen[]): [string, number][] {
  const byName = new Map(scene.maps.map((map) => [map.name, map]));
  return chosen.flatMap(({ map: name, number, k }) => {
    const map = byName.get(name);
    if (!map) return [];
    const at = number < 0 ? k : placeOf(scene, map.start, map.neurons, number);
    return at < 0 || at >= map.neurons ? [] : [[name, at] as [string, number]];
  });
}

function placeOf({ identity }: Scene, start: number, neurons: number, number: number): number {
  return identity ? identity.subarray(start, start + neurons).indexOf(number) : -1;
}

/** For each neuron of `to`, the same one in `from`, or -1 where it was not there. */
export function ancestors(from: Scene, to: Scene): Int32Array {
  const found = new Int32Array(to.singularValue.length).fill(-1);
  if (!from.identity || !to.identity || !sameColumns(from, to)) return found;
  from.maps.forEach(({ start, neurons }, index) => {
    const places = new Map<number, number>();
    for (let at = start; at < start + neurons; at++) {
      const number = from.identity?.[at] ?? -1;
      if (number >= 0) places.set(number, at);
    }
    const { start: begin, neurons: count } = to.maps[index];
    for (let at = begin; at < begin + count; at++) {
      found[at] = places.get(to.identity?.[at] ?? -1) ?? -1;
    }
  });
  return found;
}

/** Whether two scenes show the same columns, so that a place in one is a place in the other. */
export function sameColumns(a: Scene, b: Scene): boolean {
  return (
    a.maps.length === b.maps.length &&
    a.maps.every((map, at) => map.name === b.maps[at].name && map.depth === b.maps[at].depth)
  );
}
