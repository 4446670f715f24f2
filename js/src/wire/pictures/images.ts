// Spectral images as Python sends them; the mirror of `pack` in
// svr_widget/widget/answers/images.py and of gallery.py beside it. What is drawn is a grid of cells, whichever way it is arranged.

import { type Bytes, type Container, decode } from "../codec.js";
import { CONTRACT } from "../contract.js";
import type { Neuron, Scene } from "../scene.js";

/** What can be shown, as Python says in a trait. */
export interface Inputs {
  readonly labels: readonly string[];
  /** False for bare weights, which no input can be run through. */
  readonly model: boolean;
  /** What images are compared with: `"sobel"`, or the name of the caller's function. */
  readonly reference: string;
  readonly revision: number;
}

export interface ShownInput {
  readonly number: number;
  readonly label: string;
  readonly thumbnail: { readonly size: readonly [number, number]; readonly rgb: Uint8Array } | null;
}

export interface SpectralImage {
  readonly kind: "bar" | "line" | "image";
  readonly shape: readonly number[];
  readonly values: Float32Array;
  readonly scale: number;
  /** Likeness to the reference image of the input; null where it is not asked for or is none. */
  readonly cosine: number | null;
}

export interface Images {
  readonly inputs: readonly ShownInput[];
  /** By input, map and place among the neurons asked for; null where there is nothing. */
  image(input: number, map: string, place: number): SpectralImage | null;
  /** The neurons of a map, in the order asked for. */
  neurons(map: string): readonly number[];
  readonly leftOut: Readonly<Record<string, string>>;
}

interface Group {
  readonly inputs: readonly { number: number; label: string; thumbnail: boolean }[];
  readonly maps: readonly {
    name: string;
    kind: SpectralImage["kind"];
    neurons: readonly number[];
    cosine: boolean;
  }[];
  readonly left_out: Readonly<Record<string, string>>;
}

export function readImages(bytes: Bytes): Images {
  const container = decode(bytes);
  const { groups } = container.meta as { groups: readonly Group[] };
  const inputs = new Map<number, ShownInput>();
  groups.forEach((group, place) => {
    group.inputs.forEach(({ number, label, thumbnail }, index) => {
      const found = thumbnail ? container.arrays.get(`${place}_thumbnail_${index}`) : undefined;
      const rgb = found?.data instanceof Uint8Array ? found.data : null;
      const size = found ? ([found.shape[0], found.shape[1]] as const) : null;
      inputs.set(number, { number, label, thumbnail: rgb && size && { size, rgb } });
    });
  });
  return {
    inputs: [...inputs.values()],
    image(input, map, neuron) {
      for (const [place, group] of groups.entries()) {
        const row = group.inputs.findIndex(({ number }) => number === input);
        const at = group.maps.findIndex(({ name }) => name === map);
        if (row >= 0 && at >= 0) return cut(container, group, place, at, row, neuron);
      }
      return null;
    },
    neurons: (map) =>
      groups.flatMap(({ maps }) => maps).find(({ name }) => name === map)?.neurons ?? [],
    leftOut: Object.assign({}, ...groups.map(({ left_out }) => left_out)),
  };
}

function cut(
  { arrays }: Container,
  group: Group,
  place: number,
  at: number,
  row: number,
  neuron: number,
): SpectralImage | null {
  const { kind, neurons, cosine } = group.maps[at];
  const read = (name: string) => {
    const tensor = arrays.get(`${place}_${name}_${at}`);
    if (!(tensor?.data instanceof Float32Array)) throw new Error(`Python's images hold no ${name}`);
    return { shape: tensor.shape, data: tensor.data };
  };
  if (neuron < 0 || neuron >= neurons.length) return null;
  const { shape, data } = read("values");
  const positions = shape.slice(2);
  const size = positions.reduce((product, length) => product * length, 1);
  const index = row * neurons.length + neuron;
  return {
    kind,
    shape: positions,
    values: data.subarray(index * size, (index + 1) * size),
    scale: read("scale").data[index],
    cosine: cosine ? read("cosine").data[index] : null,
  };
}

/** Of a sample; without a deviation where it is of one. Null where it is empty. */
export function likeness(
  cosines: readonly number[],
): { readonly mean: number; readonly sd: number | null; readonly n: number } | null {
  const n = cosines.length;
  if (n === 0) return null;
  const mean = cosines.reduce((sum, value) => sum + value, 0) / n;
  const squares = cosines.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, sd: n > 1 ? Math.sqrt(squares / (n - 1)) : null, n };
}

/** Maps or inputs that stand side by side, at most. */
export const MOST_COLUMNS = CONTRACT.images.most_columns;

/** The first, second and last neuron, as in Figure 5b, or those of a map that are selected. */
export function neuronsShown(
  scene: Scene,
  map: number,
  selected: readonly Neuron[],
): readonly number[] {
  const mine = selected.filter((neuron) => neuron.map === map).map(({ k }) => k);
  if (mine.length > 0 || selected.length > 0) return mine.slice(0, MOST_COLUMNS);
  const { neurons } = scene.maps[map];
  return [...new Set([0, 1, neurons - 1])].filter((k) => k >= 0 && k < neurons);
}

/** The maps with neurons to show. */
export function mapsShown(scene: Scene, selected: readonly Neuron[]): readonly number[] {
  return scene.maps
    .map((_, map) => map)
    .filter((map) => neuronsShown(scene, map, selected).length > 0);
}
