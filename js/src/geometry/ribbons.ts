// Links by construction, behind everything: a wide band each, from the course of the first neuron to
// that of the last. Those of all others are in bands.ts.

import { columnsOf } from "../wire/links/columns.js";
import type { Scene } from "../wire/scene.js";
import { shapeOf } from "./columns.js";
import type { Layout } from "./layout.js";
import { createPath, tracePath } from "./paths.js";
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

export function ribbonsOf(scene: Scene, layout: Layout): Ribbon[] {
  const found: Ribbon[] = [];
  for (const link of columnsOf(scene.links).tied) {
    const { producer, consumer } = scene.links[link];
    if (shapeOf(layout.folding, { producer, consumer }) === "inner") continue;
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
