// The survival curve: how many entries reach each weight, and how many would by chance. For one
// link over its weights; for the whole graph, whose links follow different laws, over p-values.

import type { Law, Scene } from "../wire/scene.js";
import type { Cut } from "./threshold.js";

export interface SurvivalPoint {
  /** log10 of the weight, or of one over the p-value: strict cuts have large ones. */
  readonly x: number;
  readonly log10p: number;
  /** Entries that reach it, and how many would by chance. */
  readonly found: number;
  readonly expected: number;
}

export interface Survival {
  readonly over: "weight" | "p";
  readonly tests: number;
  /** From loose cuts to strict ones. */
  readonly points: readonly SurvivalPoint[];
}

/** The curve of a link, or of the whole graph; null where nothing was tested. */
export function survivalOf(scene: Scene, law: Law, link: number | null): Survival | null {
  const { stop: chosen, weight } = scene.survival[law];
  const { significant, log10p } = scene.stops[law].p;
  const tests = link === null ? scene.tests : scene.links[link].tests;
  if (tests === 0) return null;
  const points: SurvivalPoint[] = [];
  for (let point = chosen.length - 1; point >= 0; point--) {
    const p = log10p[chosen[point]];
    let found: number | null = significant[chosen[point]];
    let x = -p;
    if (link !== null) {
      found = foundOn(scene, law, link, chosen[point]);
      x = Math.log10(weight[scene.links[link].law * chosen.length + point]);
    }
    if (found === null) continue;
    // Chance gives no entry so small a p-value.
    if (!Number.isFinite(x)) continue;
    points.push({ x, log10p: p, found, expected: tests * 10 ** p });
  }
  return points.length < 2 ? null : { over: link === null ? "p" : "weight", tests, points };
}

/** How many of a link's entries are significant at a stop of mode "p"; null where nobody knows. */
function foundOn(scene: Scene, law: Law, link: number, stop: number): number | null {
  const { counts, log10p } = scene.stops[law].p;
  if (counts) return counts[stop * scene.links.length + link];
  const { start, sent, tests } = scene.links[link];
  let found = 0;
  while (found < sent && scene.log10p[law][start + found] <= log10p[stop]) found++;
  return found < sent || sent === tests ? found : null;
}

/** Where a cut stands along the curve; null beyond its ends. */
export function placeOfCut({ points }: Survival, log10p: number): number | null {
  return between(
    points,
    (point) => -point.log10p,
    -log10p,
    (point) => point.x,
  );
}

/** The p-value, as log10, at a place along the curve; at its ends beyond them. */
export function cutAtPlace({ points }: Survival, x: number): number {
  const [first, last] = [points[0], points[points.length - 1]];
  if (x <= first.x) return first.log10p;
  if (x >= last.x) return last.log10p;
  return (
    between(
      points,
      (point) => point.x,
      x,
      (point) => point.log10p,
    ) ?? last.log10p
  );
}

/** Interpolates between the points around `wanted` on an axis along which they rise. */
function between(
  points: readonly SurvivalPoint[],
  axis: (point: SurvivalPoint) => number,
  wanted: number,
  value: (point: SurvivalPoint) => number,
): number | null {
  const after = points.findIndex((point) => axis(point) >= wanted);
  if (after < 0 || wanted < axis(points[0])) return null;
  if (after === 0) return value(points[0]);
  const [a, b] = [points[after - 1], points[after]];
  const width = axis(b) - axis(a);
  const share = width > 0 ? (wanted - axis(a)) / width : 0;
  return value(a) + share * (value(b) - value(a));
}

/** The stop of a cut's own mode whose cut is nearest to a p-value. */
export function nearestStopTo(scene: Scene, { law, mode }: Cut, log10p: number): number {
  const cuts = scene.stops[law][mode].log10p;
  let nearest = 0;
  cuts.forEach((at, stop) => {
    if (Math.abs(at - log10p) < Math.abs(cuts[nearest] - log10p)) nearest = stop;
  });
  return nearest;
}
