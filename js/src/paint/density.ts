// How deep each edge is drawn, so that density reads as density at ten edges and at a million.
//
// Where edges crowd, an edge's depth shrinks by the depth of the stronger ones that cross the same
// gaps between columns, of its own link and of all others: their sum grows as a logarithm, many
// weak edges stay grey, and strong ones stand out of them. The few that are the first of their own
// link keep their depth, however many others cross it. An edge's depth follows from the layout alone, not from the threshold, so a threshold that moves costs no more than the edges that
// come or go.

import { shapeOf } from "../geometry/columns.js";
import type { Layout } from "../geometry/layout.js";
import type { Drawable } from "../wire/scene.js";
import { opticalDepth } from "./raster.js";

/** Even the weakest edge that is drawn can be seen where it is alone. */
export const FAINTEST = 0.12;
const STRONGEST = 0.94;
/** Weights are at most 1: a network without strong edges looks paler than one that has them. */
const LEAST_FULL_WEIGHT = 0.5;
/**
 * So many edges of a link, and so many links, stand out of whatever crosses them; those after them
 * fade by their rank.
 */
const FIRST = 3;
const FIRST_LINKS = 12;
/** Edges that overlap deeper than this begin to make room for the stronger ones. */
const DENSE = 0.22;
/** Weights are told apart by their logarithm, in so many steps. */
const LEVELS = 512;
/** Weights below this share of the largest are one level. */
const LEAST_WEIGHT = 1e-4;

export interface EdgeChoice {
  /** Only edges that begin or end in a neuron with a 1 here are painted. */
  readonly only?: Uint8Array | null;
  readonly faintest?: number;
}

/** The opacity of one edge alone, `full` being the weight of the deepest. */
export function edgeAlpha(weight: number, full: number, faintest = FAINTEST): number {
  return faintest + (STRONGEST - faintest) * Math.min(1, weight / full) ** 0.8;
}

/**
 * The weight from which a link's edges are as deep as any: of its own strongest edge, whatever other
 * links have, and not below 0.5, or, of wide maps, whose weights are all small, twice what the largest
 * of so many entries has by chance.
 */
export function fullWeight(
  { links, edgeWeight }: Pick<Drawable, "links" | "edgeWeight">,
  link: number,
) {
  const { start, sent, tests, mean } = links[link];
  const byChance = 2 * mean * Math.log(Math.max(2, tests));
  return Math.max(sent > 0 ? edgeWeight[start] : 0, Math.min(LEAST_FULL_WEIGHT, 2 * byChance)) || 1;
}

/** Gives the optical depth of an edge of a link; 0 where it is not one of the chosen. */
export function edgeDepths(
  scene: Drawable,
  layout: Layout,
  choice: EdgeChoice,
): (link: number, edge: number) => number {
  const { edgeWeight } = scene;
  const levelOf = levels(scene);
  const isChosen = chooser(scene, choice);
  const { depths, place, width } = depthTable(scene, layout, choice);
  return (link, edge) =>
    isChosen(link, edge) ? depths[levelOf(edgeWeight[edge]) * width + place[link]] : 0;
}

export interface DepthTable {
  /** Row by row, a level a row. */
  readonly depths: Float32Array;
  /** Where in a row each link has its depth; -1 for a link without an edge that is drawn. */
  readonly place: Int32Array;
  /** The length of a row. */
  readonly width: number;
}

/** The depth of the chosen edges of every level and link. */
export function depthTable(scene: Drawable, layout: Layout, choice: EdgeChoice): DepthTable {
  const { only = null, faintest = FAINTEST } = choice;
  const { edgeWeight } = scene;
  const levelOf = levels(scene);
  const isChosen = chooser(scene, choice);
  const place = new Int32Array(scene.links.length).fill(-1);
  const drawn = [...scene.links.keys()].filter(
    (link) =>
      scene.links[link].sent > 0 &&
      (only || shapeOf(layout.folding, scene.links[link]) !== "inner"),
  );
  drawn.forEach((link, at) => {
    place[link] = at;
  });
  const links = drawn.map((link) => scene.links[link]);
  const counts = new Uint32Array(LEVELS * links.length);
  links.forEach(({ start, sent }, link) => {
    const end = start + sent;
    for (let edge = start; edge < end; ) {
      const level = levelOf(edgeWeight[edge]);
      // A link's edges are sorted by weight: of all of them, a level is one run.
      const next =
        only === null ? firstWhere(edge, end, (at) => levelOf(edgeWeight[at]) > level) : edge + 1;
      if (isChosen(drawn[link], edge)) counts[level * links.length + link] += next - edge;
      edge = next;
    }
  });
  const full = drawn.map((link) => fullWeight(scene, link));
  const alone = new Float32Array(counts.length);
  for (let level = 0; level < LEVELS; level++) {
    const weight = scene.largestWeight * LEAST_WEIGHT ** ((level + 0.5) / LEVELS);
    for (let link = 0, at = level * links.length; link < links.length; link++, at++) {
      if (counts[at] > 0) alone[at] = opticalDepth(edgeAlpha(weight, full[link], faintest));
    }
  }
  return { depths: shrunk(scene, drawn, layout, counts, alone), place, width: links.length };
}

/** Whether an edge of a link is one of the chosen. */
function chooser(scene: Drawable, { only = null }: EdgeChoice) {
  const { links } = scene;
  return (link: number, edge: number): boolean => {
    if (only === null) return true;
    const { producer, consumer } = links[link];
    const m = scene.maps[producer].start + scene.edgeM[edge];
    const n = scene.maps[consumer].start + scene.edgeN[edge];
    return only[m] !== 0 || only[n] !== 0;
  };
}

/** From the strongest level to the weakest: what each link's edges of it have left. */
function shrunk(
  scene: Drawable,
  drawn: readonly number[],
  layout: Layout,
  counts: Uint32Array,
  alone: Float32Array,
): Float32Array {
  const links = drawn.map((link) => scene.links[link]);
  // Beside the last column there is room for loops.
  const columns = Float64Array.from(new Set([...layout.x, Math.max(...layout.x) + layout.reach]));
  columns.sort();
  const last = columns.length - 1;
  const place = new Map([...columns].map((x, index) => [x, index]));
  const spans = links.map(({ producer, consumer }, index) => {
    const ends = [producer, consumer].map((map) => place.get(layout.x[map]) as number);
    const from = Math.min(...ends);
    const to = Math.max(...ends, from + 1);
    return { from, to, band: bandHeight(scene, layout, drawn[index]) };
  });
  const density = new Float64Array(columns.length);
  const before = new Float64Array(columns.length);
  const steps = new Float64Array(columns.length + 1);
  const depths = new Float32Array(counts.length);
  const prominence = prominences(links);
  /** How many of each link are stronger. */
  const stronger = new Float64Array(links.length);
  for (let level = 0; level < LEVELS; level++) {
    // Density times width of all gaps to the left of each column.
    for (let gap = 0; gap < last; gap++) {
      before[gap + 1] = before[gap] + density[gap] * (columns[gap + 1] - columns[gap]);
    }
    steps.fill(0);
    spans.forEach(({ from, to, band }, link) => {
      const at = level * links.length + link;
      if (counts[at] === 0) return;
      const each = alone[at] / band;
      const own = counts[at] * each;
      const others = (before[to] - before[from]) / (columns[to] - columns[from]);
      // Of its own level, half of the other edges are taken to be the stronger ones.
      const crowded = DENSE / (DENSE + others + (own - each) / 2);
      const rank = stronger[link] + (counts[at] - 1) / 2;
      stronger[link] += counts[at];
      depths[at] = alone[at] * Math.max(crowded, prominence[link] * keptAt(rank, FIRST));
      steps[from] += own;
      steps[to] -= own;
    });
    let step = 0;
    for (let gap = 0; gap < columns.length; gap++) {
      step += steps[gap];
      density[gap] += step;
    }
  }
  return depths;
}

const keptAt = (rank: number, many: number) => 1 / (1 + (rank / many) ** 4);

/** How much of their depth the first edges of each link keep in any crowd: by its strongest one's p. */
function prominences(links: Drawable["links"]): Float64Array {
  const evidence = links.map(({ strongest }) => -(strongest?.log10_p.exact ?? 0));
  const order = [...links.keys()].sort((a, b) => evidence[b] - evidence[a]);
  const kept = new Float64Array(links.length);
  for (const [rank, link] of order.entries()) kept[link] = keptAt(rank, FIRST_LINKS);
  return kept;
}

/** The first index in [low, high) for which `holds` is true, once true always true; else high. */
function firstWhere(low: number, high: number, holds: (at: number) => boolean): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (holds(middle)) to = middle;
    else from = middle + 1;
  }
  return from;
}

/** The level of a weight: 0 for the largest ones. */
export function levels({ largestWeight }: Drawable): (weight: number) => number {
  const scale = LEVELS / Math.log(LEAST_WEIGHT);
  return (weight) => {
    const level = Math.log(weight / largestWeight) * scale;
    return level < LEVELS ? Math.max(0, level | 0) : LEVELS - 1;
  };
}

/** The height of the band that a link's edges cross halfway, as if they filled it evenly. */
function bandHeight(scene: Drawable, layout: Layout, index: number): number {
  const { start, sent, producer, consumer } = scene.links[index];
  const left = scene.maps[producer].start;
  const right = scene.maps[consumer].start;
  const step = Math.max(1, Math.floor(sent / 512));
  let sum = 0;
  let squares = 0;
  let samples = 0;
  for (let edge = start; edge < start + sent; edge += step) {
    const middle = (layout.y[left + scene.edgeM[edge]] + layout.y[right + scene.edgeN[edge]]) / 2;
    sum += middle;
    squares += middle * middle;
    samples++;
  }
  const variance = samples > 0 ? Math.max(0, squares / samples - (sum / samples) ** 2) : 0;
  return Math.max(24, Math.sqrt(12 * variance));
}
