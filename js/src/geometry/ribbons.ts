// Who feeds whom, behind everything: each link, or all between two columns, as one faint band, above
// the neurons where it skips columns and below them where it runs back. Links by construction are
// wide ones of their own, from the course of the first neuron to that of the last.

import type { Scene } from "../wire/scene.js";
import type { Bundle } from "./columns.js";
import type { Layout } from "./layout.js";
import { arcLift, createPath, tracePath } from "./paths.js";
import type { Point } from "./placement.js";
import { crossings } from "./selection.js";

export interface Ribbon {
  readonly link: number;
  /** A closed line. */
  readonly outline: readonly Point[];
  /** Where its words stand: above the middle of its upper edge. */
  readonly words: Point;
}

/** A band of neurons at one height is still to be seen, and to be pointed at. */
const LEAST_HALF = 3;

/** So far from its edges a band is pointed at; the inside of a wide one is left to what is there. */
const RIM = 24;
/** So far above its edge the words stand, and so far beneath the top at least. */
const WORDS_ABOVE = 6;
const LEAST_WORDS = 14;

const tied = new WeakMap<Scene["links"], readonly number[]>();

/** The links by construction. */
function tiedLinks({ links }: Scene): readonly number[] {
  const before = tied.get(links);
  const found = before ?? [...links.keys()].filter((link) => links[link].by_construction);
  tied.set(links, found);
  return found;
}

export function ribbonsOf(scene: Scene, layout: Layout): Ribbon[] {
  const found: Ribbon[] = [];
  for (const link of tiedLinks(scene)) {
    const { producer, consumer } = scene.links[link];
    if (layout.shapes[link] === "inner") continue;
    const first = lineOf(link, 0, 0);
    const last = lineOf(link, lastOf(producer), lastOf(consumer));
    const upper = first.map(({ x, y }, at) => ({ x, y: Math.min(y, last[at].y) - LEAST_HALF }));
    const lower = first.map(({ x, y }, at) => ({ x, y: Math.max(y, last[at].y) + LEAST_HALF }));
    found.push({ link, outline: [...upper, ...lower.reverse()], words: aboveMiddle(upper) });
  }
  return found;

  function lineOf(link: number, m: number, n: number): Point[] {
    const { points, length } = tracePath(scene, layout, link, m, n, createPath());
    return Array.from({ length: length / 2 }, (_, at) => ({
      x: points[2 * at],
      y: points[2 * at + 1],
    }));
  }

  /** The last neuron whose singular value is not zero; the first of a map of zeros. */
  function lastOf(map: number): number {
    const { start, neurons } = scene.maps[map];
    let k = neurons - 1;
    while (k > 0 && scene.isNull[start + k]) k -= 1;
    return k;
  }
}

function aboveMiddle(line: readonly Point[]): Point {
  const at = (line.length - 1) / 2;
  const [from, to] = [line[Math.floor(at)], line[Math.ceil(at)]];
  return { x: (from.x + to.x) / 2, y: Math.max(LEAST_WORDS, (from.y + to.y) / 2 - WORDS_ABOVE) };
}

/** The link whose band is pointed at: of several the one that joins the closest columns. */
export function pickRibbon(scene: Scene, layout: Layout, x: number, y: number): number | null {
  const under = ribbonsOf(scene, layout).filter(({ outline }) => isAt(outline, x, y));
  const width = ({ link }: Ribbon) => {
    const { producer, consumer } = scene.links[link];
    return Math.abs(layout.x[producer] - layout.x[consumer]);
  };
  under.sort((a, b) => width(a) - width(b));
  return under[0]?.link ?? null;
}

function isAt(outline: readonly Point[], x: number, y: number): boolean {
  const [top, bottom] = crossings(outline, x);
  return y > top && y < bottom && Math.min(y - top, bottom - y) <= RIM;
}

/** A closed line as the data of an SVG path. */
export const pathOf = (outline: readonly Point[]) =>
  `M${outline.map(({ x, y }) => `${x.toFixed(2)} ${y.toFixed(2)}`).join("L")}Z`;

/** A cubic curve: from its first point to its last, with two handles between. */
export type Curve = readonly [Point, Point, Point, Point];

/** The heights between which the neurons of each column stand. */
export interface Reach {
  readonly top: Float64Array;
  readonly middle: Float64Array;
  readonly bottom: Float64Array;
}

export function reachOf(scene: Scene, layout: Layout): Reach {
  const {
    folding: { columns },
    y,
  } = layout;
  // Of a column of which nothing is known yet the middle of the plot.
  const { size, margins, camera } = layout;
  const empty = ((margins.top + size.height - margins.bottom) / 2) * camera.zoom + camera.y;
  const [top, middle, bottom] = [0, 0, 0].map(() => new Float64Array(columns.length));
  columns.forEach(({ maps }, column) => {
    let [low, high, sum, many] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
    for (const map of maps) {
      const { start, neurons } = scene.maps[map];
      many += neurons;
      for (let at = start; at < start + neurons; at++) {
        low = Math.min(low, y[at]);
        high = Math.max(high, y[at]);
        sum += y[at];
      }
    }
    top[column] = many > 0 ? low : empty;
    middle[column] = many > 0 ? sum / many : empty;
    bottom[column] = many > 0 ? high : empty;
  });
  return { top, middle, bottom };
}

/** The loop above a folded module that stands for its inner links. */
const LOOP = { apart: 5, wide: 13, high: 17 };

/** What there is between the axis and the names, and what a band bends at least. */
const BELOW = 18;
const LEAST_BEND = 10;

/** The course of a bundle. */
export function curveOf(layout: Layout, reach: Reach, { from, to, links }: Bundle): Curve {
  const { columnX } = layout;
  const [x0, x1] = [columnX[from], columnX[to]];
  if (from === to) {
    const y = reach.top[from] - LOOP.apart;
    const [wide, high] = [LOOP.wide, y - LOOP.high];
    return [
      { x: x0 - 2, y },
      { x: x0 - wide, y: high },
      { x: x0 + wide, y: high },
      { x: x0 + 2, y },
    ];
  }
  if (layout.shapes[links[0]] === "line") {
    const [y0, y1] = [reach.middle[from], reach.middle[to]];
    const half = (x0 + x1) / 2;
    return [
      { x: x0, y: y0 },
      { x: half, y: y0 },
      { x: half, y: y1 },
      { x: x1, y: y1 },
    ];
  }
  const back = x1 < x0;
  const ends = back ? reach.bottom : reach.top;
  const [y0, y1] = [ends[from], ends[to]];
  const most = layout.size.height - layout.margins.bottom + BELOW - Math.max(y0, y1);
  const bent = arcLift(layout, x0, y0, x1, y1, back);
  const lift = back ? Math.max(LEAST_BEND, Math.min(bent, most / 0.75)) : bent;
  const [third, rise] = [(x1 - x0) / 3, (y1 - y0) / 3];
  return [
    { x: x0, y: y0 },
    { x: x0 + third, y: y0 + rise + lift },
    { x: x1 - third, y: y1 - rise + lift },
    { x: x1, y: y1 },
  ];
}

/** A band on which nothing was found, and one on which most was, in CSS pixels. */
export const NARROWEST = 2;
const WIDEST = 12;
/** More bands than these are narrower. */
const FEW = 30;

/** How wide the bands are, by how many edges were found on each. */
export function widthsOf(found: ArrayLike<number>): Float64Array {
  let most = 0;
  for (let at = 0; at < found.length; at++) most = Math.max(most, found[at]);
  // Many wide ones would be one grey.
  const more = (WIDEST - NARROWEST) * Math.min(1, Math.sqrt(FEW / Math.max(1, found.length)));
  return Float64Array.from(
    found,
    (edges) => NARROWEST + (most > 0 ? more * Math.sqrt(edges / most) : 0),
  );
}

/** How dark a band is among so many: a few are seen each, of thousands what they are together. */
export const bandOpacity = (many: number) => 0.22 * Math.min(1, Math.sqrt(80 / Math.max(1, many)));

/** Whether a curve is seen at all. */
export const isInSight = ([{ x: a }, , , { x: b }]: Curve, { size }: Layout) =>
  Math.max(a, b) >= 0 && Math.min(a, b) <= size.width;

const PIECES = 24;
/** A band is pointed at from so near its middle, if it is not wider. */
const NEAR = 4;

/** The bundle whose band is pointed at: the nearest one. */
export function pickBand(
  scene: Scene,
  layout: Layout,
  bundles: readonly Bundle[],
  widths: ArrayLike<number>,
  x: number,
  y: number,
): Bundle | null {
  const reach = reachOf(scene, layout);
  let best: Bundle | null = null;
  let nearest = 1;
  bundles.forEach((bundle, at) => {
    const ends = [layout.columnX[bundle.from], layout.columnX[bundle.to]];
    const beyond = bundle.from === bundle.to ? LOOP.wide : NEAR;
    if (x < Math.min(...ends) - beyond || x > Math.max(...ends) + beyond) return;
    const curve = curveOf(layout, reach, bundle);
    // The inside of the small loop belongs to it.
    const within = bundle.from === bundle.to ? LOOP.wide / 2 : Math.max(NEAR, widths[at] / 2);
    const away = distanceTo(curve, x, y) / within;
    if (away >= nearest) return;
    nearest = away;
    best = bundle;
  });
  return best;
}

function distanceTo(curve: Curve, x: number, y: number): number {
  let nearest = Number.POSITIVE_INFINITY;
  let before = curve[0];
  for (let piece = 1; piece <= PIECES; piece++) {
    const next = pointOn(curve, piece / PIECES);
    const [dx, dy] = [next.x - before.x, next.y - before.y];
    const along = ((x - before.x) * dx + (y - before.y) * dy) / (dx * dx + dy * dy || 1);
    const t = Math.min(1, Math.max(0, along));
    nearest = Math.min(nearest, Math.hypot(before.x + t * dx - x, before.y + t * dy - y));
    before = next;
  }
  return nearest;
}

/** The point at a share of a curve. */
export function pointOn([a, b, c, d]: Curve, t: number): Point {
  const s = 1 - t;
  const weights = [s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t];
  const mix = (of: (point: Point) => number) =>
    weights[0] * of(a) + weights[1] * of(b) + weights[2] * of(c) + weights[3] * of(d);
  return { x: mix(({ x }) => x), y: mix(({ y }) => y) };
}
