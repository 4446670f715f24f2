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
  const counted = linkMeta.length <= COUNTED;
  if (!counted) packLinks(add, linkMeta, widths);
  const hasNorms = linkMeta.some(({ through }) => through.some((step) => step.includes("norm")));
  const norm = hasNorms ? "ignore" : null;
  const { modules, innermost } = modulesOf(maps.map(({ name }) => name));
  const placed = mapMeta.map((map, at) => ({
    ...map,
    label: map.name.replace(/^transformer\./, ""),
    module: innermost[at],
  }));
  const meta = { model, method: "svr", norm, maps: placed, modules, tests };
  const said = counted ? { links: linkMeta } : { through: [["ReLU"]] };
  return encode({ ...meta, ...said, modes: MODES, laws: ["exact", "chi2"] }, arrays);
}

/** Links of more than these come as columns, and are not counted one by one. */
const COUNTED = 512;

type LinkMeta = ReturnType<typeof addEdges>["linkMeta"][number];

function packLinks(add: Add, links: readonly LinkMeta[], widths: readonly number[]): void {
  const whole = (name: string, of: (link: LinkMeta) => number) =>
    add(`link_${name}`, Uint32Array.from(links, of));
  whole("producer", ({ producer }) => producer);
  whole("consumer", ({ consumer }) => consumer);
  whole("through", () => 0);
  whole("sent", ({ sent }) => sent);
  whole("tests", ({ tests }) => tests);
  whole("m", ({ strongest }) => strongest?.m ?? 0);
  whole("n", ({ strongest }) => strongest?.n ?? 0);
  add(
    "link_number",
    Uint16Array.from(links, ({ number }) => number),
  );
  add(
    "link_law",
    Uint16Array.from(links, ({ law }) => law),
  );
  add(
    "link_flags",
    Uint8Array.from(
      links,
      ({ backward, side }) => (backward ? 1 : 0) + (side === "q" ? 4 : side ? 8 : 0),
    ),
  );
  add(
    "link_strongest",
    Float64Array.from(links, ({ strongest }) => strongest?.weight ?? 0),
  );
  add(
    "law_mean",
    Float64Array.from(widths, (channels) => 1 / channels),
  );
  for (const law of ["exact", "chi2"] as const) {
    const p = ({ strongest }: LinkMeta) => strongest?.log10_p[law] ?? 0;
    add(`link_log10_p_${law}`, Float64Array.from(links, p));
  }
}

/** A likeness of what svr_widget/engine/graph/folding.py makes of the names. */
function modulesOf(names: readonly string[]) {
  const paths = names.map((name) => {
    const [path, bracket] = name.split("[");
    const parts = path.split(".");
    const above = parts.slice(1).map((_, end) => parts.slice(0, end + 1).join("."));
    return bracket === undefined ? above : [...above, path];
  });
  const counts = new Map<string, number>();
  for (const path of paths.flat()) counts.set(path, (counts.get(path) ?? 0) + 1);
  const known = [...counts]
    .filter(([, many]) => many > 1 && many < 0.75 * names.length)
    .sort(([a], [b]) => a.split(".").length - b.split(".").length)
    .map(([name]) => name);
  const place = new Map(known.map((name, at) => [name, at]));
  const levelOf = (name: string) => known.filter((other) => name.startsWith(`${other}.`)).length;
  const seen = (level: number) =>
    names.length -
    known
      .filter((name) => levelOf(name) === level)
      .reduce((sum, name) => sum + (counts.get(name) ?? 0) - 1, 0);
  const levels = [...new Set(known.map(levelOf))];
  const fitting = levels.filter((level) => seen(level) <= 24);
  const chosen = names.length <= 24 ? Number.POSITIVE_INFINITY : Math.max(0, ...fitting);
  const modules = known.map((name) => {
    const level = levelOf(name);
    return {
      name,
      label: name.replace(/^transformer\./, ""),
      parent: place.get(known.findLast((other) => name.startsWith(`${other}.`)) ?? "") ?? null,
      folded: level === chosen || (level > chosen && (counts.get(name) ?? 0) > 8),
    };
  });
  const innermost = paths.map(
    (path) => place.get(path.findLast((each) => place.has(each)) ?? "") ?? null,
  );
  return { modules, innermost };
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
  const counted = links.length <= COUNTED;
  const sorted = counted ? log10p : Float64Array.from(log10p).sort();
  const all = [{ start: 0, sent: sorted.length, tests }];
  const counter = (cut: number) =>
    (counted ? links : all).map((link) => countUnder(cut, link, sorted));
  add(`log10_p_${law}`, log10p);
  for (const mode of MODES) {
    const level = levels(mode);
    const cuts = level.map((at) => cutOf(mode, at, tests, counter));
    const counts = [...cuts].map(counter);
    const expected = level.map((at, stop) => {
      if (mode === "bonferroni") return at;
      return mode === "fdr" ? at * total(counter(cuts[stop])) : tests * 10 ** cuts[stop];
    });
    const prefix = `stops_${law}_${mode}`;
    add(`${prefix}_level`, level);
    add(`${prefix}_log10_p`, cuts);
    if (counted) add(`${prefix}_counts`, packIncrements(counts));
    else
      add(
        `${prefix}_significant`,
        Float64Array.from(counts, ([found]) => found),
      );
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
