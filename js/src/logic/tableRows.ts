// Rows of the table pane: which there are, in which order, and as text. Pure. A row is a number:
// an edge's or a neuron's place in the scene's arrays. Sorting is by counting digits, so that a
// million rows take a frame or two.

import { lowerBound } from "../geometry/picking.js";
import { linksWithEdges } from "../wire/links/columns.js";
import { entered, hasParallels } from "../wire/links/names.js";
import type { Scene } from "../wire/scene.js";
import type { Cut } from "./threshold.js";

export type Kind = "edges" | "neurons";

const COLUMNS: Readonly<Record<Kind, readonly string[]>> = {
  edges: ["producer", "consumer", "weight", "p"],
  neurons: ["neuron", "σ", "energy", "intensity", "FDR"],
};

/** With a column that tells parallel links apart where there are any. */
export function columnsOf(scene: Scene, kind: Kind): readonly string[] {
  if (kind === "edges") return hasParallels(scene) ? [...COLUMNS.edges, "link"] : COLUMNS.edges;
  // Scenes of before know the intensity only.
  return scene.log10pAdjusted ? COLUMNS.neurons : COLUMNS.neurons.slice(0, -1);
}

export interface Sorting {
  readonly column: number;
  readonly descending: boolean;
}

/** What each table begins with: the strongest edges, the neurons in their maps' order. */
export const FIRST: Readonly<Record<Kind, Sorting>> = {
  edges: { column: 2, descending: true },
  neurons: { column: 0, descending: false },
};

/** The significant edges that are here; with a mask, those that touch one of its neurons. */
export function edgeRows(scene: Scene, cut: Cut, mask: Uint8Array | null): Uint32Array {
  const found = new Uint32Array(cut.drawn);
  let count = 0;
  for (const link of linksWithEdges(scene.links)) {
    const { start, producer, consumer } = scene.links[link];
    const from = scene.maps[producer].start;
    const to = scene.maps[consumer].start;
    const end = start + cut.drawnPerLink[link];
    for (let edge = start; edge < end; edge++) {
      const touches = !mask || mask[from + scene.edgeM[edge]] || mask[to + scene.edgeN[edge]];
      if (touches) found[count++] = edge;
    }
  }
  return found.subarray(0, count);
}

/** The neurons of a map, or of all; with a mask, those in it. */
export function neuronRows(scene: Scene, map: number | null, mask: Uint8Array | null): Uint32Array {
  const { start, neurons } =
    map === null ? { start: 0, neurons: scene.singularValue.length } : scene.maps[map];
  const all = Uint32Array.from({ length: neurons }, (_, k) => start + k);
  return mask ? all.filter((neuron) => mask[neuron]) : all;
}

/** The link of an edge, the map of a neuron. */
export function linkOf({ links }: Scene, edge: number): number {
  let [low, high] = [0, links.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (links[middle].start <= edge) low = middle;
    else high = middle;
  }
  return low;
}

export function mapOf({ maps }: Scene, neuron: number): number {
  const starts = Float64Array.from(maps, ({ start }) => start);
  let map = lowerBound(starts, 0, starts.length, neuron + 1) - 1;
  while (map > 0 && maps[map].neurons === 0) map--;
  return map;
}

/** The rows sorted by a column; equal ones keep their order. */
export function sorted(
  scene: Scene,
  law: keyof Scene["log10p"],
  kind: Kind,
  rows: Uint32Array,
  { column, descending }: Sorting,
): Uint32Array {
  const keys =
    kind === "edges" ? edgeKeys(scene, law, rows, column) : neuronKeys(scene, rows, column);
  let order = Uint32Array.from(rows, (_, at) => at);
  // The least important key first: sorting by a later one keeps its order among equals.
  for (const key of keys.reverse()) order = byKey(key, order, descending);
  return order.map((at) => rows[at]);
}

/** Keys by falling importance, one value for each row. */
function edgeKeys(
  scene: Scene,
  law: keyof Scene["log10p"],
  rows: Uint32Array,
  column: number,
): Uint32Array[] {
  if (column === 2) return [Uint32Array.from(rows, (edge) => sortable(scene.edgeWeight[edge]))];
  if (column === 3) return [Uint32Array.from(rows, (edge) => sortable(scene.log10p[law][edge]))];
  const ends = new Uint32Array(scene.edgeWeight.length);
  for (const at of linksWithEdges(scene.links)) {
    const link = scene.links[at];
    const end = [link.producer, link.consumer][column] ?? link.number;
    ends.fill(end, link.start, link.start + link.sent);
  }
  if (column > 1) return [Uint32Array.from(rows, (edge) => ends[edge])];
  const neurons = column === 0 ? scene.edgeM : scene.edgeN;
  return [
    Uint32Array.from(rows, (edge) => ends[edge]),
    Uint32Array.from(rows, (edge) => neurons[edge]),
  ];
}

function neuronKeys(scene: Scene, rows: Uint32Array, column: number): Uint32Array[] {
  if (column === 0) return [rows.slice()];
  if (column === 1) return [Uint32Array.from(rows, (k) => sortable(scene.singularValue[k]))];
  if (column === 3) return [Uint32Array.from(rows, (k) => sortable(scene.intensity[k]))];
  const adjusted = scene.log10pAdjusted;
  if (column === 4 && adjusted) {
    // What is no test stands last among the large ones.
    return [Uint32Array.from(rows, (k) => sortable(Number.isNaN(adjusted[k]) ? 1 : adjusted[k]))];
  }
  const energy = energies(scene);
  return [Uint32Array.from(rows, (neuron) => sortable(energy[neuron]))];
}

/** Each neuron's share of its map's energy. */
function energies({ maps, singularValue }: Scene): Float64Array {
  const shares = new Float64Array(singularValue.length);
  for (const { start, neurons, energy } of maps) {
    for (let at = start; at < start + neurons; at++) {
      shares[at] = energy > 0 ? singularValue[at] ** 2 / energy : 0;
    }
  }
  return shares;
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** A whole number that is as large among its like as the value among its own. */
function sortable(value: number): number {
  float[0] = value;
  return bits[0] >>> 31 ? ~bits[0] >>> 0 : (bits[0] | 0x80000000) >>> 0;
}

const DIGIT = 16;

/** Positions by their keys, counting 16 bits at a time; stable in both directions. */
function byKey(
  keys: Uint32Array,
  order: Uint32Array,
  descending: boolean,
): Uint32Array<ArrayBuffer> {
  let from = order;
  let to = new Uint32Array(order.length);
  for (let shift = 0; shift < 32; shift += DIGIT) {
    const places = new Uint32Array(2 ** DIGIT + 1);
    const digit = (at: number) => {
      const found = (keys[at] >>> shift) & 0xffff;
      return descending ? 0xffff - found : found;
    };
    for (const at of from) places[digit(at) + 1]++;
    for (let value = 0; value < 2 ** DIGIT; value++) places[value + 1] += places[value];
    for (const at of from) to[places[digit(at)]++] = at;
    [from, to] = [to, shift === 0 ? new Uint32Array(order.length) : to];
  }
  return from as Uint32Array<ArrayBuffer>;
}

/** The table as tab-separated values, named as Python's `SVR.edges` and `SVR.neurons` name them. */
export function tabSeparated(
  scene: Scene,
  law: keyof Scene["log10p"],
  kind: Kind,
  rows: Uint32Array,
): string {
  const lines: string[] = [];
  if (kind === "edges") {
    const parallels = hasParallels(scene);
    lines.push(`producer\tm\tconsumer\tn\tweight\tlog10_p${parallels ? "\tlink" : ""}`);
    for (const edge of rows) {
      const link = scene.links[linkOf(scene, edge)];
      const ends = [
        plain(scene.maps[link.producer].name),
        scene.edgeM[edge],
        plain(entered(scene.maps[link.consumer].name, link)),
        scene.edgeN[edge],
      ];
      const values = [scene.edgeWeight[edge], scene.log10p[law][edge]];
      lines.push([...ends, ...values, ...(parallels ? [link.number] : [])].join("\t"));
    }
  } else {
    const adjusted = scene.log10pAdjusted;
    lines.push(`map\tk\tsingular_value\tintensity${adjusted ? "\tp_adjusted" : ""}\tnull`);
    for (const neuron of rows) {
      const map = scene.maps[mapOf(scene, neuron)];
      const values = [scene.singularValue[neuron], scene.intensity[neuron]];
      if (adjusted) values.push(10 ** adjusted[neuron]);
      lines.push(
        [plain(map.name), neuron - map.start, ...values, Boolean(scene.isNull[neuron])].join("\t"),
      );
    }
  }
  return `${lines.join("\n")}\n`;
}

/** A name without what would end its cell; a spreadsheet takes no name for a formula. */
function plain(name: string): string {
  const words = name.replaceAll(/[\t\r\n]+/g, " ");
  return /^[=+\-@]/.test(words) ? `'${words}` : words;
}
