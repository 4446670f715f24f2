// What Python sends once: maps, spectral neurons, edges sorted by weight, and the slider's stops.
// Everything is checked here, so that the rest of the front end can rely on it.

import {
  type Bytes,
  type Container,
  type Data,
  decode,
  type Kind,
  type Reader,
  SceneError,
} from "./codec.js";
import { CONTRACT } from "./contract.js";
import { unpackIncrements } from "./increments.js";
import { columnsOf, type Link, readLinks } from "./links/columns.js";
import { type Module, readModules } from "./modules.js";

export { SceneError } from "./codec.js";
export type { Link, StrongestEdge } from "./links/columns.js";
export const { methods: METHODS, modes: MODES, y_scales: Y_SCALES } = CONTRACT;
export type Method = (typeof METHODS)[number];
export type Norm = (typeof CONTRACT.norms)[number];
export type Mode = (typeof MODES)[number];
export type Law = (typeof CONTRACT.laws)[number];
export type Colour = (typeof CONTRACT.colours)[number];
export type YScale = (typeof Y_SCALES)[number];

/** A column of the picture: a linear map's neurons, or in a cross graph those of one of its sides. */
export interface LinearMap {
  readonly name: string;
  /** What it is called on the picture: without what all share; "Linear 1" where it has but a number. */
  readonly label: string;
  /** The linear map's own name. */
  readonly map: string;
  readonly kind: string;
  readonly depth: number;
  /** The innermost of the modules that it stands in; scenes of before do not say it. */
  readonly module?: number | null;
  readonly out: number;
  readonly in: number;
  readonly kernel: readonly number[];
  /** Spectral neurons that are shown, of `rank` that the map has. */
  readonly neurons: number;
  readonly rank: number;
  /** Where its neurons begin in the arrays of neurons. */
  readonly start: number;
  /** Sum of the squares of all its singular values, shown or not. */
  readonly energy: number;
}

/** A spectral neuron: its column, and its place in it from the largest singular value down. */
export interface Neuron {
  readonly map: number;
  readonly k: number;
}

/** An edge by its ends; `edge` is its place in the scene's arrays. */
export interface Edge {
  readonly link: number;
  readonly m: number;
  readonly n: number;
  readonly edge: number;
}

/** The slider's stops for one law and mode, from strict to loose. */
export interface Stops {
  readonly level: Float64Array;
  readonly log10p: Float64Array;
  /** How many edges are significant at each. */
  readonly significant: Float64Array;
  /**
   * Row k holds each link's number of significant edges at stop k; unpacked when first asked for.
   * Null where the links are too many for that: those that were sent tell theirs.
   */
  readonly counts: Uint32Array | null;
  readonly expected: Float64Array;
}

/** Some stops of mode "p", and for each law the weights at which chance has their p-values. */
export interface SurvivalTable {
  readonly stop: Uint32Array;
  /** Row by row, one law a row; infinite where chance gives no entry such a p-value. */
  readonly weight: Float32Array;
}

export interface Damaged {
  readonly name: string;
  readonly why: string;
}

export interface Scene {
  readonly model: string;
  /** What the names of most columns begin with and their labels leave out: "transformer.", or "". */
  readonly shared: string;
  readonly method: string;
  /** What became of the network's norms; null where it has none, or they are not known. */
  readonly norm: Norm | null;
  readonly maps: readonly LinearMap[];
  /** Each after the one that it stands in. */
  readonly modules: readonly Module[];
  /** Maps that are not drawn, for they have NaN or infinite entries. */
  readonly damaged: readonly Damaged[];
  /** Where nobody says which map feeds which: that, and what does. */
  readonly unlinked: string;
  readonly links: readonly Link[];
  readonly tests: number;
  readonly modes: readonly Mode[];
  readonly laws: readonly Law[];
  readonly singularValue: Float64Array;
  /** NaN where it is not known which map feeds which. */
  readonly intensity: Float32Array;
  /** Of the false discovery rate at which each stands out, the decimal logarithm; NaN for what is
   * no test. Null in scenes of before. */
  readonly log10pAdjusted: Float32Array | null;
  /** How vivid each is drawn, from 0 to 1; what it tells is a matter of the colouring. */
  readonly hue: Float32Array;
  /** Of each column whether its map feeds one; a neuron that feeds none is drawn hollow. */
  readonly feeds: readonly boolean[];
  readonly isNull: Uint8Array;
  /** Of a checkpoint: each neuron's number among those of all checkpoints; -1 for none. */
  readonly identity: Int32Array | null;
  readonly edgeM: Uint32Array;
  readonly edgeN: Uint32Array;
  readonly edgeWeight: Float32Array;
  readonly log10p: Readonly<Record<Law, Float64Array>>;
  readonly stops: Readonly<Record<Law, Readonly<Record<Mode, Stops>>>>;
  readonly survival: Readonly<Record<Law, SurvivalTable>>;
  /** The largest weight of any edge that was sent; 1 where none was. */
  readonly largestWeight: number;
}

/** What of a scene is needed to draw its edges. */
export type Drawable = Pick<
  Scene,
  "maps" | "links" | "edgeM" | "edgeN" | "edgeWeight" | "largestWeight"
>;

/** Reads a scene, or null where none was sent yet. */
export function readScene(source: Bytes | null | undefined): Scene | null {
  if (!source || source.byteLength === 0) return null;
  return sceneOf(decode(source));
}

/** What is said of the network, its columns and their modules, with edges or without. */
export const headOf = (meta: Partial<Scene>, maps: readonly LinearMap[]) => ({
  model: String(meta.model ?? ""),
  shared: String(meta.shared ?? ""),
  method: String(meta.method ?? "svr"),
  norm: meta.norm ?? null,
  maps,
  modules: readModules(
    meta.modules ?? [],
    maps.map(({ module }) => module ?? null),
  ),
});

export function sceneOf(container: Container): Scene {
  const meta = container.meta as Partial<Scene> | null;
  if (!meta || !Array.isArray(meta.maps)) throw new SceneError("the scene lists no maps");
  // Scenes of before have no labels.
  const maps = (meta.maps as readonly LinearMap[]).map((map) => ({
    ...map,
    label: map.label ?? map.name,
  }));
  const array = reader(container);
  const singularValue = array("singular_value", Float64Array);
  const neurons = singularValue.length;
  const edgeWeight = array("edge_weight", Float32Array);
  const edges = edgeWeight.length;
  const laws = known(CONTRACT.laws, meta.laws, "laws");
  const modes = known(MODES, meta.modes, "modes");
  const links = readLinks(container, meta, laws, array);
  const intensity = array("intensity", Float32Array, neurons);
  const log10pAdjusted = container.arrays.has("log10_p_adjusted")
    ? array("log10_p_adjusted", Float32Array, neurons)
    : null;
  const scene: Scene = {
    ...headOf(meta, maps),
    damaged: meta.damaged ?? [],
    unlinked: String(meta.unlinked ?? ""),
    links,
    tests: Number(meta.tests),
    modes,
    laws,
    singularValue,
    intensity,
    log10pAdjusted,
    hue: hueOf({ intensity, log10pAdjusted }, "chance"),
    feeds: feeding(maps, links),
    isNull: array("null", Uint8Array, neurons),
    identity: container.arrays.has("identity") ? array("identity", Int32Array, neurons) : null,
    edgeM: array("edge_m", Uint32Array, edges),
    edgeN: array("edge_n", Uint32Array, edges),
    edgeWeight,
    log10p: perLaw(laws, (law) => array(`log10_p_${law}`, Float64Array, edges)),
    stops: perLaw(laws, (law) => {
      const read = (mode: Mode) =>
        readStops(container, array, `stops_${law}_${mode}`, links.length);
      return Object.fromEntries(modes.map((mode) => [mode, read(mode)])) as Record<Mode, Stops>;
    }),
    survival: perLaw(laws, (law) => ({
      stop: array(`survival_stop_${law}`, Uint32Array),
      weight: array(`survival_weight_${law}`, Float32Array),
    })),
    largestWeight: edgeWeight.reduce((largest, weight) => Math.max(largest, weight), 0) || 1,
  };
  checkMaps(scene);
  checkLinks(scene);
  checkSurvival(scene);
  return scene;
}

const CERTAIN = Math.log10(CONTRACT.certain);

function hueOf(
  { intensity, log10pAdjusted }: Pick<Scene, "intensity" | "log10pAdjusted">,
  colour: Colour,
): Float32Array {
  if (colour === "paper" || !log10pAdjusted) return intensity;
  return log10pAdjusted.map((log10p) => Math.min(1, Math.max(0, log10p / CERTAIN || 0)));
}

/** The scene coloured otherwise; what a scene of before does not know it cannot show. */
export function coloured(scene: Scene, colour: Colour): Scene {
  if (colour === "chance" || !scene.log10pAdjusted) return scene;
  return { ...scene, hue: hueOf(scene, colour) };
}

/** In a cross graph a map that feeds one does so with one of its two columns. */
function feeding(maps: readonly LinearMap[], links: readonly Link[]): boolean[] {
  const feeds = new Uint8Array(maps.length);
  for (const producer of columnsOf(links).producer) feeds[producer] = 1;
  const producers = new Set(maps.filter((_, at) => feeds[at] === 1).map(({ map }) => map));
  return maps.map(({ map }) => producers.has(map));
}

export function reader(container: Container): Reader {
  return <T extends Data>(name: string, types: Kind<T> | readonly Kind<T>[], length?: number) => {
    const data = container.arrays.get(name)?.data;
    if (![types].flat().some((type) => data instanceof type)) {
      throw new SceneError(`array "${name}" is missing or ill-typed`);
    }
    const found = data as T;
    if (length !== undefined && found.length !== length) {
      throw new SceneError(`array "${name}" has ${found.length} values, not ${length}`);
    }
    return found;
  };
}

function readStops({ arrays }: Container, array: Reader, prefix: string, links: number): Stops {
  const level = array(`${prefix}_level`, Float64Array);
  const packed = arrays.has(`${prefix}_counts`) ? array(`${prefix}_counts`, Uint8Array) : null;
  const told = arrays.has(`${prefix}_significant`)
    ? array(`${prefix}_significant`, Float64Array, level.length)
    : null;
  if (!packed && !told) throw new SceneError(`array "${prefix}_significant" is missing`);
  let counts: Uint32Array | null = null;
  return {
    level,
    log10p: array(`${prefix}_log10_p`, Float64Array, level.length),
    get significant() {
      return told ?? rowSums(this.counts ?? new Uint32Array(), level.length);
    },
    get counts() {
      if (packed) counts ??= unpackCounts(packed, prefix, level.length, links);
      return counts;
    },
    expected: array(`${prefix}_expected`, Float64Array, level.length),
  };
}

/** Of scenes of before, which tell each link's numbers only. */
function rowSums(counts: Uint32Array, rows: number): Float64Array {
  const width = counts.length / Math.max(rows, 1);
  return Float64Array.from({ length: rows }, (_, row) =>
    counts.subarray(row * width, (row + 1) * width).reduce((sum, more) => sum + more, 0),
  );
}

function unpackCounts(packed: Uint8Array, prefix: string, stops: number, links: number) {
  try {
    return unpackIncrements(packed, stops, links);
  } catch (error) {
    throw new SceneError(`array "${prefix}_counts": ${(error as Error).message}`);
  }
}

function known<T extends string>(all: readonly T[], given: unknown, what: string): readonly T[] {
  const listed = Array.isArray(given) ? all.filter((name) => given.includes(name)) : [];
  if (listed.length === 0) throw new SceneError(`the scene names no ${what}`);
  return listed;
}

function perLaw<T>(laws: readonly Law[], value: (law: Law) => T): Record<Law, T> {
  return Object.fromEntries(laws.map((law) => [law, value(law)])) as Record<Law, T>;
}

export function checkMaps({ maps, singularValue }: Scene): void {
  let start = 0;
  for (const map of maps) {
    if (typeof map.name !== "string" || map.start !== start || !(map.neurons >= 0)) {
      throw new SceneError(`map "${map.name}" does not begin where the one before it ends`);
    }
    start += map.neurons;
  }
  if (start !== singularValue.length) throw new SceneError("the maps do not share out the neurons");
}

function checkLinks({ maps, links, edgeM, edgeN, edgeWeight }: Scene): void {
  const { producer, consumer, start, sent } = columnsOf(links);
  const named = (link: number) => `${maps[producer[link]].name} → ${maps[consumer[link]].name}`;
  for (let link = 0; link < producer.length; link++) {
    if (!(producer[link] < maps.length && consumer[link] < maps.length)) {
      throw new SceneError("a link names a map that is not there");
    }
    const end = start[link] + sent[link];
    if (end > edgeWeight.length) throw new SceneError(`link ${named(link)}: edges are missing`);
    if (sent[link] === 0) continue;
    const [emitted, read] = [maps[producer[link]].neurons, maps[consumer[link]].neurons];
    for (let edge = start[link]; edge < end; edge++) {
      if (edgeM[edge] >= emitted || edgeN[edge] >= read) {
        throw new SceneError(`link ${named(link)}: an edge ends in no neuron`);
      }
      if (edge > start[link] && edgeWeight[edge] > edgeWeight[edge - 1]) {
        throw new SceneError(`link ${named(link)}: edges are not sorted`);
      }
    }
  }
}

function checkSurvival({ links, laws, stops, survival }: Scene): void {
  for (const law of laws) {
    const { stop, weight } = survival[law];
    let rows = 0;
    for (const law of columnsOf(links).law) rows = Math.max(rows, law + 1);
    const beyond = stop.some((at) => at >= stops[law].p.level.length);
    if (beyond || weight.length !== rows * stop.length) {
      throw new SceneError("the survival table does not fit the links and their stops");
    }
  }
}
