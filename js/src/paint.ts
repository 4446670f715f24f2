// Paints edges and neurons into pixels. Pure: typed arrays in, typed arrays out.

import type { Layout } from "./layout.js";
import { createPath, isDashed, tracePath } from "./paths.js";
import { type Accumulator, addDisc, addLine, opticalDepth } from "./raster.js";
import type { Scene } from "./scene.js";

export type Rgb = readonly [number, number, number];

export interface Palette {
  readonly paper: Rgb;
  readonly ink: Rgb;
  readonly accent: Rgb;
  /** A neuron whose column looks random. */
  readonly neutral: Rgb;
  readonly kinds: Readonly<Record<string, Rgb>>;
}

/** Even the weakest edge that is drawn can be seen where it is alone. */
export const FAINTEST = 0.12;
const STRONGEST = 0.94;
/** Weights are at most 1: a network without strong edges looks paler than one that has them. */
const LEAST_FULL_WEIGHT = 0.5;
/** An edge of this weight and more is drawn half as wide again, or twice on a coarse screen. */
const HEAVY = 0.4;
/** Edges of one link that overlap deeper than this begin to make room for the stronger ones. */
const CROWD = 0.22;
/** An edge's depth never shrinks below this share of what it has alone. */
const LEAST_SHARE = 0.05;

export const NEURON_RADIUS = 3;
const NULL_RADIUS = 2;

/** The opacity of one edge alone. */
export function edgeAlpha(weight: number, largest: number, faintest = FAINTEST): number {
  const full = Math.max(largest, LEAST_FULL_WEIGHT);
  return faintest + (STRONGEST - faintest) * Math.min(1, weight / full) ** 0.8;
}

/** How wide an edge is drawn where lines can have any width, in CSS pixels. */
export const edgeWidth = (weight: number) => (weight >= HEAVY ? 1.5 : 1);

/** Edges of a link that are painted before the next link has its turn. */
const TURN = 256;

/** Edges of one scene in one layout, on one accumulator; it knows which of them are there. */
export interface EdgePainter {
  /**
   * Adds and takes away edges until the first `drawn[link]` of each link are there, strong ones
   * first. The links take turns, and after each turn the generator yields: whoever runs it may
   * pause there and show what there is, or leave it and go on towards other numbers.
   */
  towards(drawn: ArrayLike<number>): Generator<void, void, void>;
}

export interface EdgeChoice {
  /** Only edges that begin or end in a neuron with a 1 here are painted. */
  readonly only?: Uint8Array | null;
  readonly faintest?: number;
}

interface LinkInk {
  readonly index: number;
  readonly start: number;
  readonly dash: number;
  readonly band: number;
  /** Its first `there` edges are on the accumulator; of the first `known` the depth is known. */
  there: number;
  known: number;
  /** Depth of the `known` ones, each alone, over the band that they cross. */
  crowd: number;
}

/**
 * Begins with an empty accumulator.
 *
 * Where a link is crowded, an edge's depth shrinks by the depth of the stronger ones before it, so
 * that their sum grows as a logarithm: a crowd of weak edges stays grey, and strong ones stand out
 * of it. An edge's own depth does not change with the threshold, only with the layout, so a
 * threshold that moves costs no more than the edges that come or go.
 */
export function createEdgePainter(
  scene: Scene,
  layout: Layout,
  ratio: number,
  target: Accumulator,
  { only = null, faintest = FAINTEST }: EdgeChoice = {},
): EdgePainter {
  target.depth.fill(0);
  const thickness = Math.max(1, Math.round(ratio));
  const path = createPath();
  const depths = new Float32Array(scene.edgeWeight.length);
  const links: LinkInk[] = scene.links.map((link, index) => ({
    index,
    start: link.start,
    dash: isDashed(scene, index) ? 2 : 1,
    band: bandHeight(scene, layout, index),
    there: 0,
    known: 0,
    crowd: 0,
  }));

  const isChosen = ({ index }: LinkInk, edge: number) => {
    const { producer, consumer } = scene.links[index];
    const m = scene.maps[producer].start + scene.edgeM[edge];
    const n = scene.maps[consumer].start + scene.edgeN[edge];
    return only === null || only[m] !== 0 || only[n] !== 0;
  };
  const depthOf = (link: LinkInk, edge: number) => {
    if (edge === link.start + link.known) {
      const alpha = edgeAlpha(scene.edgeWeight[edge], scene.largestWeight, faintest);
      const alone = isChosen(link, edge) ? opticalDepth(alpha) : 0;
      depths[edge] = alone * Math.max(LEAST_SHARE, CROWD / (CROWD + link.crowd));
      link.crowd += alone / link.band;
      link.known++;
    }
    return depths[edge];
  };
  const paint = (link: LinkInk, edge: number, sign: 1 | -1) => {
    const depth = sign * depthOf(link, edge);
    if (depth === 0) return;
    const width = thickness + (scene.edgeWeight[edge] >= HEAVY ? 1 : 0);
    tracePath(scene, layout, link.index, scene.edgeM[edge], scene.edgeN[edge], path);
    const { points, length } = path;
    for (let at = 2; at < length; at += 2 * link.dash) {
      const x0 = points[at - 2] * ratio;
      const y0 = points[at - 1] * ratio;
      const x1 = points[at] * ratio;
      addLine(target, x0, y0, x1, points[at + 1] * ratio, depth, width);
    }
  };
  return {
    *towards(drawn) {
      let waiting = links.filter((link) => link.there !== drawn[link.index]);
      while (waiting.length > 0) {
        for (const link of waiting) {
          const wanted = drawn[link.index];
          const more = Math.min(wanted, link.there + TURN);
          const fewer = Math.max(wanted, link.there - TURN);
          while (link.there < more) paint(link, link.start + link.there++, 1);
          while (link.there > fewer) paint(link, link.start + --link.there, -1);
          yield;
        }
        waiting = waiting.filter((link) => link.there !== drawn[link.index]);
      }
    },
  };
}

/** The height of the band that a link's edges cross halfway, as if they filled it evenly. */
function bandHeight(scene: Scene, layout: Layout, index: number): number {
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

/** Stamps every neuron, weak ones first, so that large singular values lie on top. */
export function paintNeurons(
  scene: Scene,
  layout: Layout,
  palette: Palette,
  ratio: number,
  pixels: Uint32Array,
  width: number,
  height: number,
): void {
  for (const [index, map] of scene.maps.entries()) {
    const x = layout.x[index] * ratio;
    if (x < -10 * ratio || x > width + 10 * ratio) continue;
    const hue = kindColour(palette, map.kind);
    for (const { neuron, intensity } of visibleNeurons(scene, layout, index, 0.5 / ratio)) {
      const y = layout.y[neuron] * ratio;
      const radius = scene.isNull[neuron] ? NULL_RADIUS : NEURON_RADIUS;
      addDisc(pixels, width, height, x, y, radius * ratio, mix(palette.neutral, hue, intensity));
    }
  }
}

/** The neurons of a map that others do not cover, weakest first; each as vivid as those it covers. */
function visibleNeurons(scene: Scene, layout: Layout, index: number, apart: number) {
  const { start, neurons } = scene.maps[index];
  const visible: { neuron: number; intensity: number }[] = [];
  for (let neuron = start; neuron < start + neurons; neuron++) {
    const intensity = scene.intensity[neuron];
    const last = visible.at(-1);
    if (last && layout.y[neuron] - layout.y[last.neuron] < apart) {
      last.intensity = Math.max(last.intensity, intensity);
    } else visible.push({ neuron, intensity });
  }
  return visible.reverse();
}

export function kindColour(palette: Palette, kind: string): Rgb {
  return palette.kinds[kind] ?? palette.kinds.other ?? palette.ink;
}

export function mix(from: Rgb, to: Rgb, share: number): Rgb {
  const t = Math.min(1, Math.max(0, share));
  return [0, 1, 2].map((i) => Math.round(from[i] + (to[i] - from[i]) * t)) as unknown as Rgb;
}

export const css = ([red, green, blue]: Rgb, alpha = 1) =>
  alpha === 1 ? `rgb(${red} ${green} ${blue})` : `rgb(${red} ${green} ${blue} / ${alpha})`;
