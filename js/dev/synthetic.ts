// Scenes that look like networks, for the page of this folder and for the tests. Weights and
// p-values are consistent with each other (the limit law of section 2.4), the stops with both.

import { log10NormalTail, normalQuantile } from "../src/logic/threshold.js";
import { encode, type Tensor } from "../src/wire/codec.js";
import { MODES, type Mode } from "../src/wire/scene.js";
import { normal, type Random } from "./random.js";

export interface MapPlan {
  name: string;
  kind: string;
  neurons: number;
  depth: number;
  /** Singular value of neuron k, and how structured it is. */
  value(k: number): number;
  intensity(k: number): number;
  rank?: number;
  kernel?: number[];
  nulls?: number;
}

export interface LinkPlan {
  producer: number;
  consumer: number;
  backward?: boolean;
  side?: "q" | "k";
  /** Which of parallel links it is. */
  number?: number;
  /** One tensor at both ends: nothing is tested. */
  byConstruction?: boolean;
  through?: string[];
  /** Shared channels: an entry's mean under chance is 1 / channels. */
  channels: number;
  edges: { m: number; n: number; weight: number }[];
  sent?: number;
}

const STOPS = 400;

/** log10 of the p-value of an entry when c times it is the square of a standard normal number. */
export function log10pOf(weight: number, channels: number): number {
  return Math.min(0, Math.log10(2) + log10NormalTail(Math.sqrt(channels * weight)));
}

/** Encodes maps and links as Python would. */
export function sceneBytes(model: string, maps: MapPlan[], links: LinkPlan[]): Uint8Array {
  const arrays = new Map<string, Tensor>();
  const add: Add = (name, data, shape = [data.length]) => arrays.set(name, { shape, data });
  const mapMeta = addNeurons(add, maps);
  const { linkMeta, widths, log10p } = addEdges(add, maps, links);
  const tests = linkMeta.reduce((total, link) => total + link.tests, 0);
  for (const law of ["exact", "chi2"]) addStops(add, law, linkMeta, log10p, widths, tests);
  const hasNorms = linkMeta.some(({ through }) => through.some((step) => step.includes("norm")));
  const norm = hasNorms ? "ignore" : null;
  const meta = { model, method: "svr", norm, maps: mapMeta, links: linkMeta, tests };
  return encode({ ...meta, modes: MODES, laws: ["exact", "chi2"] }, arrays);
}

type Add = (name: string, data: Tensor["data"], shape?: number[]) => void;

function addNeurons(add: Add, maps: MapPlan[]) {
  const neurons = maps.reduce((total, map) => total + map.neurons, 0);
  const value = new Float64Array(neurons);
  const intensity = new Float32Array(neurons);
  const isNull = new Uint8Array(neurons);
  let start = 0;
  const meta = maps.map((map) => {
    let energy = 0;
    for (let k = 0; k < map.neurons; k++) {
      value[start + k] = map.value(k);
      intensity[start + k] = Math.min(1, Math.max(0, map.intensity(k)));
      energy += value[start + k] ** 2;
      if (k >= map.neurons - (map.nulls ?? 0)) {
        isNull[start + k] = 1;
        value[start + k] = 0;
      }
    }
    const { name, kind, depth, kernel = [], neurons } = map;
    const rank = map.rank ?? neurons;
    start += neurons;
    const shape = { kernel, rank, out: rank, in: rank };
    return { name, map: name, kind, depth, ...shape, energy, start: start - neurons, neurons };
  });
  add("singular_value", value);
  add("intensity", intensity);
  add("null", isNull);
  return meta;
}

function addEdges(add: Add, maps: MapPlan[], links: LinkPlan[]) {
  const sorted = links.map((link) => [...link.edges].sort((a, b) => b.weight - a.weight));
  const sent = sorted.map((edges, index) => edges.slice(0, links[index].sent ?? edges.length));
  const flat = sent.flat();
  const weights = Float32Array.from(flat, (edge) => edge.weight);
  const channels = sent.flatMap((edges, index) => edges.map(() => links[index].channels));
  const log10p = Float64Array.from(weights, (weight, at) => log10pOf(weight, channels[at]));
  const column = (end: "m" | "n") => Uint32Array.from(flat, (edge) => edge[end]);
  add("edge_m", column("m"));
  add("edge_n", column("n"));
  add("edge_weight", weights);
  let offset = 0;
  const widths = [...new Set(links.map((link) => link.channels))];
  const linkMeta = links.map((link, index) => {
    const [best] = sent[index];
    const all = maps[link.producer].neurons * maps[link.consumer].neurons;
    const tests = link.byConstruction ? 0 : all;
    const p = best ? log10pOf(best.weight, link.channels) : 0;
    const meta = {
      producer: link.producer,
      consumer: link.consumer,
      through: link.through ?? ["ReLU"],
      backward: link.backward ?? false,
      by_construction: link.byConstruction ?? false,
      side: link.side ?? null,
      number: link.number ?? 0,
      start: offset,
      sent: sent[index].length,
      tests,
      law: widths.indexOf(link.channels),
      mean: 1 / link.channels,
      strongest: best ? { ...best, log10_p: { exact: p, chi2: p } } : null,
    };
    offset += sent[index].length;
    return meta;
  });
  return { linkMeta, widths, log10p };
}

type SentLink = { readonly start: number; readonly sent: number; readonly tests: number };

/** How many edges of a link have a p-value of at most 10^cut. */
function countUnder(cut: number, { start, sent, tests }: SentLink, log10p: Float64Array): number {
  const end = start + sent;
  let low = start;
  let high = end;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (log10p[middle] <= cut) low = middle + 1;
    else high = middle;
  }
  const rest = tests - sent;
  if (low < end || rest === 0) return low - start;
  // What was not sent is spread evenly over the p-values beyond.
  const last = sent > 0 ? 10 ** log10p[end - 1] : 0;
  return sent + Math.floor((rest * Math.max(0, 10 ** cut - last)) / (1 - last));
}

function addStops(
  add: Add,
  law: string,
  links: readonly SentLink[],
  log10p: Float64Array<ArrayBuffer>,
  widths: readonly number[],
  tests: number,
): void {
  const counter = (cut: number) => links.map((link) => countUnder(cut, link, log10p));
  add(`log10_p_${law}`, log10p);
  for (const mode of MODES) {
    const level = levels(mode);
    const cuts = level.map((at) => cutOf(mode, at, tests, counter));
    const counts = packIncrements([...cuts].map(counter));
    const expected = level.map((at, stop) => {
      if (mode === "bonferroni") return at;
      return mode === "fdr" ? at * total(counter(cuts[stop])) : tests * 10 ** cuts[stop];
    });
    const prefix = `stops_${law}_${mode}`;
    add(`${prefix}_level`, level);
    add(`${prefix}_log10_p`, cuts);
    add(`${prefix}_counts`, counts);
    add(`${prefix}_expected`, expected);
  }
  const stop = Uint32Array.from({ length: 80 }, (_, at) => Math.round((at * (STOPS - 1)) / 79));
  const cut = levels("p");
  const weight = Float32Array.from(
    widths.flatMap((channels) =>
      [...stop].map((at) => normalQuantile(Math.log10(cut[at] / 2)) ** 2 / channels),
    ),
  );
  add(`survival_stop_${law}`, stop);
  add(`survival_weight_${law}`, weight, [widths.length, stop.length]);
}

function levels(mode: Mode): Float64Array<ArrayBuffer> {
  const [from, to] = { fdr: [-8, -0.3], p: [-30, -0.3], bonferroni: [-20, -0.05], sigma: [0, 0] }[
    mode
  ];
  return Float64Array.from({ length: STOPS }, (_, stop) => {
    const share = stop / (STOPS - 1);
    return mode === "sigma" ? 12 * (1 - share) : 10 ** (from + (to - from) * share);
  });
}

function cutOf(mode: Mode, level: number, tests: number, count: (cut: number) => number[]): number {
  if (mode === "sigma") return log10NormalTail(level);
  if (mode === "p") return Math.log10(level);
  if (mode === "bonferroni") return Math.log10(level / tests);
  let cut = Math.log10(level);
  for (;;) {
    const next = Math.log10((level * total(count(cut))) / tests);
    if (!(next < cut)) return cut;
    cut = Math.max(next, -400);
    if (cut === -400) return cut;
  }
}

/** Rows of counts as Python packs them, see `src/wire/increments.ts`. */
export function packIncrements(rows: readonly (readonly number[])[]): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  const write = (number: number) => {
    let rest = number;
    for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
    bytes.push(rest);
  };
  let zeros = 0;
  rows.forEach((row, at) => {
    row.forEach((count, column) => {
      const gain = count - (rows[at - 1]?.[column] ?? 0);
      if (gain === 0) {
        zeros += 1;
        return;
      }
      if (zeros > 0) write(2 * zeros + 1);
      zeros = 0;
      write(2 * gain);
    });
  });
  if (zeros > 0) write(2 * zeros + 1);
  return Uint8Array.from(bytes);
}

const total = (counts: number[]) => counts.reduce((sum, count) => sum + count, 0);

/** All entries of a link: chance, with a block of structure in its corner. */
export function blockEdges(
  random: Random,
  [rows, columns]: [number, number],
  channels: number,
  [dOut, dIn]: [number, number],
  strength: number,
) {
  const edges: LinkPlan["edges"] = [];
  for (let n = 0; n < rows; n++) {
    for (let m = 0; m < columns; m++) {
      const chance = normal(random) ** 2 / channels;
      const near = Math.exp(-((n / Math.max(1, dOut) - m / Math.max(1, dIn)) ** 2) * 18);
      const inside = n < dOut && m < dIn;
      const structure = inside ? strength * (0.15 + 0.85 * near) * normal(random) ** 2 : 0;
      edges.push({ m, n, weight: Math.min(0.98, chance + structure) });
    }
  }
  return edges;
}
