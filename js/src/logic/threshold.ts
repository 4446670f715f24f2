// Which edges are significant, wholly in the page. Python sends a table of stops for each law and
// mode, exact for all tests; between the stops a level is exact as long as the edges that were
// sent reach down to it. Where they do not, Python tells the cut; until then, and where it is not
// there, the nearest stop stands in and says so.

import { type Bytes, decode } from "../wire/codec.js";
import { CONTRACT } from "../wire/contract.js";
import { columnsOf, type Links, leastP } from "../wire/links/columns.js";
import type { Law, Mode, Scene, Stops } from "../wire/scene.js";
import { count, foundInWords } from "./format.js";

export interface Cut {
  readonly mode: Mode;
  readonly law: Law;
  readonly level: number;
  /** Edges with a p-value of at most 10^log10p are significant. */
  readonly log10p: number;
  /** Significant edges of each link; null where only Python knows, and the graph's number is. */
  readonly significantPerLink: Uint32Array | null;
  /** Those of them that were sent and can be drawn. */
  readonly drawnPerLink: Uint32Array;
  readonly significant: number;
  readonly drawn: number;
  /** How many would be significant by chance. */
  readonly expected: number;
  /** The position on the slider, between 0 and its number of stops less one. */
  readonly stop: number;
  /** False where the nearest stop stands in for a level that the sent edges do not reach. */
  readonly exact: boolean;
}

/** A number of edges, or what is known of it. */
export interface Found {
  readonly edges: number;
  /** Whether it may be more: all that were sent are significant, and not all were sent. */
  readonly atLeast: boolean;
}

/** How many edges of some links are significant. */
export function significantOn({ links }: Scene, cut: Cut, of: Links): Found {
  const { significantPerLink: known, drawnPerLink: drawn } = cut;
  let edges = 0;
  for (const link of of) edges += (known ?? drawn)[link];
  const { sent, tests } = columnsOf(links);
  const open = (link: number) => drawn[link] === sent[link] && drawn[link] < tests[link];
  // Where as many are drawn as are significant, none of any link is missing.
  return { edges, atLeast: known === null && cut.drawn < cut.significant && of.some(open) };
}

/**
 * Whether more is found than chance gives, as Python's `exceeds_chance`: at a level of each test by
 * more than twice the standard deviation of such a count; the others find nothing among chance.
 */
export function exceedsChance(mode: Mode, found: number, expected: number): boolean {
  if (mode === "fdr" || mode === "bonferroni") return found > 0;
  return found > expected + 2 * Math.sqrt(expected);
}

/** How many edges a cut leaves, and how many chance gives. */
export const cutInWords = ({ mode, significant, expected }: Cut) =>
  foundInWords(significant, expected, exceedsChance(mode, significant, expected));

/** The link with most significant edges at a cut, among equals the one with the strongest. */
export function foremostLink(scene: Scene, cut: Cut): number | null {
  const { links } = scene;
  return foremostOf(scene, cut, columnsOf(links).tested) ?? (links.length > 0 ? 0 : null);
}

/** The same of some links. */
export function foremostOf({ links }: Scene, cut: Cut, of: Links): number | null {
  if (of.length === 0) return null;
  const p = leastP(links, cut.law);
  const found = cut.significantPerLink ?? cut.drawnPerLink;
  const told = (link: number) => (Number.isNaN(p[link]) ? 1 : p[link]);
  const better = (a: number, b: number) => found[a] - found[b] || told(b) - told(a);
  let [best] = of;
  for (const link of of) if (better(link, best) > 0) best = link;
  return best;
}

/** Whether a level means something in its mode. */
export function isLevel(mode: Mode, level: number): boolean {
  const { lowest, highest, includes } = CONTRACT.levels[mode];
  const [low, high] = includes;
  return (low ? level >= lowest : level > lowest) && (high ? level <= highest : level < highest);
}

/** The levels that mean something in a mode: "above 0 and at most 1". */
export function rangeInWords(mode: Mode): string {
  const { lowest, highest, includes } = CONTRACT.levels[mode];
  const [low, high] = includes;
  if (low && high) return `from ${count(lowest)} to ${count(highest)}`;
  return `${low ? "at least" : "above"} ${lowest} and ${high ? "at most" : "below"} ${highest}`;
}

/** The cut at a stop of the slider. */
export function cutAtStop(scene: Scene, law: Law, mode: Mode, stop: number): Cut {
  const { level, log10p, expected, significant, counts } = scene.stops[law][mode];
  const links = scene.links.length;
  const perLink = counts?.subarray(stop * links, (stop + 1) * links) ?? null;
  const of = { mode, law, level: level[stop], log10p: log10p[stop], expected: expected[stop] };
  return cutOf(scene, { ...of, stop, significant: significant[stop] }, perLink);
}

/** The cut at any level: a stop's own, exact on the sent edges, or the nearest stop's. */
export function cutAtLevel(scene: Scene, law: Law, mode: Mode, level: number): Cut {
  const stops = scene.stops[law][mode];
  const nearest = nearestStop(stops, mode, level);
  if (Math.abs(stops.level[nearest] - level) <= 1e-9 * Math.abs(level)) {
    return cutAtStop(scene, law, mode, nearest);
  }
  const log10p =
    mode === "fdr"
      ? falseDiscoveryCut(scene, law, stops, level)
      : log10pOf(mode, level, scene.tests);
  const counts = log10p === null ? null : countsAt(scene, law, log10p);
  if (log10p === null || counts === null) {
    return { ...cutAtStop(scene, law, mode, nearest), exact: false };
  }
  const significant = sum(counts);
  const expected = expectedByChance(mode, level, log10p, scene.tests, significant);
  const stop = position(stops, mode, level);
  return cutOf(scene, { mode, law, level, log10p, expected, stop, significant }, counts);
}

/** The cut as Python tells it for a level that the sent edges do not reach. */
export function readCut(scene: Scene, bytes: Bytes): Cut {
  const { meta, arrays } = decode(bytes);
  const { law, mode, level, log10_p, significant, expected } = meta as {
    law: Law;
    mode: Mode;
    level: number;
    log10_p: number;
    significant: number;
    expected: number;
  };
  const counts = arrays.get("counts")?.data ?? null;
  if (counts && !(counts instanceof Uint32Array && counts.length === scene.links.length)) {
    throw new Error("Python's cut does not count the edges of every link");
  }
  const stop = position(scene.stops[law][mode], mode, level);
  const told = { mode, law, level, log10p: log10_p, expected, stop, significant };
  return cutOf(scene, told, counts);
}

/**
 * The level of another mode that cuts nearest to where `cut` does, to the three digits that a
 * person reads in the field; Python, where nobody reads it, gives twelve.
 */
export function convert(scene: Scene, cut: Cut, mode: Mode): number {
  const { log10p } = cut;
  const between = (level: number, low: number, high: number) =>
    Math.min(high, Math.max(low, Number(level.toPrecision(3))));
  if (mode === "sigma") {
    const { lowest, highest } = CONTRACT.levels.sigma;
    return between(normalQuantile(log10p), lowest, highest);
  }
  const p = 10 ** log10p;
  if (mode === "p") return between(p, Number.MIN_VALUE, 1);
  if (mode === "bonferroni") return between(p * scene.tests, Number.MIN_VALUE, 1);
  if (cut.significant === 0) return CONTRACT.levels[mode].default;
  return between((p * scene.tests) / cut.significant, Number.MIN_VALUE, 0.999);
}

/** The stop whose level is nearest, in logarithms (linearly for sigma). */
function nearestStop(stops: Stops, mode: Mode, level: number): number {
  return Math.round(position(stops, mode, level));
}

/** How many of each link's edges have a p-value of at most 10^log10p; null where unknown. */
function countsAt(scene: Scene, law: Law, log10p: number): Uint32Array | null {
  const { sent, tests } = columnsOf(scene.links);
  const counts = sentAt(scene, law, log10p);
  for (let link = 0; link < counts.length; link++) {
    if (counts[link] === sent[link] && sent[link] !== tests[link]) return null;
  }
  return counts;
}

/** How many of the edges that were sent have a p-value of at most 10^log10p, link by link. */
function sentAt(scene: Scene, law: Law, log10p: number): Uint32Array {
  const { start, sent, withEdges } = columnsOf(scene.links);
  const counts = new Uint32Array(start.length);
  for (const link of withEdges) {
    const end = start[link] + sent[link];
    counts[link] = upperBound(scene.log10p[law], start[link], end, log10p) - start[link];
  }
  return counts;
}

/**
 * The largest p with p <= q R(p) / tests (Benjamini-Hochberg), by descending fixed point; where
 * none is significant, that of a first one, q / tests.
 *
 * R is known only down to the weakest edge that was sent, so the descent begins at the first
 * looser stop, whose cut is exact and no smaller; null where the sent edges do not reach that far.
 */
function falseDiscoveryCut(scene: Scene, law: Law, stops: Stops, q: number): number | null {
  const looser = stops.level.findIndex((level) => level >= q);
  let log10p = looser < 0 ? Math.log10(q) : Math.min(stops.log10p[looser], Math.log10(q));
  if (looser >= 0 && !Number.isFinite(stops.log10p[looser])) return Number.NEGATIVE_INFINITY;
  for (;;) {
    const counts = countsAt(scene, law, log10p);
    if (counts === null) return null;
    const next = Math.log10((q * Math.max(1, sum(counts))) / scene.tests);
    if (!(next < log10p)) return log10p;
    log10p = next;
  }
}

function log10pOf(mode: Mode, level: number, tests: number): number {
  if (mode === "sigma") return log10NormalTail(level);
  return Math.log10(level) - (mode === "bonferroni" ? Math.log10(tests) : 0);
}

function expectedByChance(
  mode: Mode,
  level: number,
  log10p: number,
  tests: number,
  found: number,
): number {
  if (mode === "fdr") return level * found;
  return mode === "bonferroni" ? level : tests * 10 ** log10p;
}

function cutOf(
  scene: Scene,
  known: Omit<Cut, "significantPerLink" | "drawnPerLink" | "drawn" | "exact">,
  significantPerLink: Uint32Array | null,
): Cut {
  const { sent } = columnsOf(scene.links);
  const drawnPerLink =
    significantPerLink?.map((n, link) => Math.min(n, sent[link])) ??
    sentAt(scene, known.law, known.log10p);
  return { ...known, significantPerLink, drawnPerLink, drawn: sum(drawnPerLink), exact: true };
}

/** Where a level stands among the stops, with a fraction; both ends clamp. */
function position({ level: levels }: Stops, mode: Mode, level: number): number {
  const last = levels.length - 1;
  // Sigma falls from strict to loose, the others rise: compare what always rises.
  const rising = (value: number) => (mode === "sigma" ? -value : Math.log(value));
  const target = rising(level);
  if (last < 1 || target <= rising(levels[0])) return 0;
  if (target >= rising(levels[last])) return last;
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (rising(levels[middle]) <= target) low = middle;
    else high = middle;
  }
  const from = rising(levels[low]);
  const width = rising(levels[high]) - from;
  return width > 0 ? low + (target - from) / width : low;
}

/** The first index in [low, high) whose value exceeds the limit, in ascending values. */
function upperBound(values: Float64Array, low: number, high: number, limit: number): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (values[middle] <= limit) from = middle + 1;
    else to = middle;
  }
  return from;
}

function sum(values: Uint32Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** log10 of 1 - Phi(sigma), to about 1e-12 relative. */
export function log10NormalTail(sigma: number): number {
  if (sigma < 0) return Math.log1p(-(10 ** log10NormalTail(-sigma))) / Math.LN10;
  const logDensity = -0.5 * sigma * sigma - 0.5 * Math.log(2 * Math.PI);
  if (sigma >= 3) return (logDensity + Math.log(millsRatio(sigma))) / Math.LN10;
  // Phi(x) = 1/2 + phi(x) (x + x^3/3 + x^5/15 + ...): all terms positive, so nothing cancels.
  let term = sigma;
  let sum = sigma;
  for (let odd = 3; term > sum * 1e-17; odd += 2) {
    term *= (sigma * sigma) / odd;
    sum += term;
  }
  return Math.log10(0.5 - Math.exp(logDensity) * sum);
}

/** The sigma whose upper tail is 10^log10p: the inverse of `log10NormalTail`, by Newton's method. */
export function normalQuantile(log10p: number): number {
  if (log10p > Math.log10(0.5)) {
    return log10p >= 0 ? Number.NEGATIVE_INFINITY : -normalQuantile(Math.log10(1 - 10 ** log10p));
  }
  let sigma = Math.sqrt(Math.max(0, -2 * Math.LN10 * log10p - Math.log(2 * Math.PI))) || 0.1;
  for (let step = 0; step < 60; step++) {
    const tail = log10NormalTail(sigma);
    const logDensity = -0.5 * sigma * sigma - 0.5 * Math.log(2 * Math.PI);
    const slope = -Math.exp(logDensity - tail * Math.LN10) / Math.LN10;
    const change = (tail - log10p) / slope;
    sigma = Math.max(0, sigma - change);
    if (Math.abs(change) < 1e-13 * (1 + sigma)) break;
  }
  return sigma;
}

// (1 - Phi(x)) / phi(x) as the continued fraction 1/(x + 1/(x + 2/(x + 3/(x + ...)))).
function millsRatio(x: number): number {
  let fraction = x;
  for (let depth = 120; depth >= 1; depth--) fraction = x + depth / fraction;
  return 1 / fraction;
}
