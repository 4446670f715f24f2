// Who feeds whom, behind everything: each link, or all between two columns, as one faint band, above
// the neurons where it skips columns and below them where it runs back.

import type { Scene } from "../wire/scene.js";
import type { Bundles } from "./bundles.js";
import { shapeBetween } from "./columns.js";
import type { Layout } from "./layout.js";
import { arcLift } from "./paths.js";
import type { Point } from "./placement.js";

/** A cubic curve: from its first point to its last, with two handles between. */
export type Curve = readonly [Point, Point, Point, Point];

/** The columns that a band joins. */
export interface Ends {
  readonly from: number;
  readonly to: number;
}

/** The columns that each of many bands joins. */
export type ManyEnds = Pick<Bundles, "length" | "from" | "to">;

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

/** The course of all links between two columns. */
export function curveOf(layout: Layout, reach: Reach, { from, to }: Ends): Curve {
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
  if (shapeBetween(layout.folding, from, to) === "line") {
    const [y0, y1] = [reach.middle[from], reach.middle[to]];
    const half = (x0 + x1) / 2;
    return [
      { x: x0, y: y0 },
      { x: half, y: y0 },
      { x: half, y: y1 },
      { x: x1, y: y1 },
    ];
  }
  const { y0, y1, lift } = arcOf(layout, reach, from, to);
  return parabola(x0, x1, y0, y1, lift);
}

/** An arc: its handles leave the straight line at its thirds. */
function parabola(x0: number, x1: number, y0: number, y1: number, lift: number): Curve {
  const [third, rise] = [(x1 - x0) / 3, (y1 - y0) / 3];
  return [
    { x: x0, y: y0 },
    { x: x0 + third, y: y0 + rise + lift },
    { x: x1 - third, y: y1 - rise + lift },
    { x: x1, y: y1 },
  ];
}

/** Where an arc begins and ends, and how far its handles leave the straight line between. */
function arcOf(layout: Layout, reach: Reach, from: number, to: number) {
  const [x0, x1] = [layout.columnX[from], layout.columnX[to]];
  const back = x1 < x0;
  const ends = back ? reach.bottom : reach.top;
  const [y0, y1] = [ends[from], ends[to]];
  const bent = arcLift(layout, x0, y0, x1, y1, back);
  if (!back) return { y0, y1, lift: bent };
  // What runs back stays above the names.
  const most = layout.size.height - layout.margins.bottom + BELOW - Math.max(y0, y1);
  return { y0, y1, lift: Math.max(LEAST_BEND, Math.min(bent, most / 0.75)) };
}

/** The height of an arc, which is a parabola over x, at a share of the way. */
const heightOf = ({ y0, y1, lift }: ReturnType<typeof arcOf>, t: number) =>
  y0 + (y1 - y0) * t + 3 * lift * t * (1 - t);

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
  const widths = new Float64Array(found.length).fill(NARROWEST);
  for (let at = 0; at < found.length; at++) {
    if (found[at] > 0) widths[at] += more * Math.sqrt(found[at] / most);
  }
  return widths;
}

/** More bands than these are drawn together where no eye would tell them apart. */
const EACH = 4000;
/** More are no darker together than these. */
const DENSE = 20_000;
/** However many lie above each other, what is drawn on them is still read. */
const DARKEST = 2 / 3;

/**
 * How dark a band is among so many, and how dark all of them may become: a few are seen each, of
 * thousands what they are together.
 */
export function bandInk(many: number): { readonly opacity: number; readonly together: number } {
  const plain = 0.22 * Math.min(1, Math.sqrt(80 / Math.max(1, many)));
  if (many <= EACH) return { opacity: plain, together: 1 };
  const share = Math.min(1, Math.sqrt(DENSE / many));
  return { opacity: 1 - Math.exp((-plain * share) / DARKEST), together: DARKEST };
}

/** The bands that are seen at all, from left to right. */
export function bandsInSight({ columnX, size }: Layout, bands: ManyEnds): Uint32Array {
  const seen = new Uint32Array(bands.length);
  let many = 0;
  for (let at = 0; at < bands.length; at++) {
    const [a, b] = [columnX[bands.from[at]], columnX[bands.to[at]]];
    // The small loop ends a little beside its column.
    const beyond = bands.from[at] === bands.to[at] ? 2 : 0;
    if (Math.max(a, b) + beyond >= 0 && Math.min(a, b) - beyond <= size.width) seen[many++] = at;
  }
  return seen.subarray(0, many);
}

/** The mark of links within a folded module is no wider, and always to be seen. */
const INNER = { widest: 4, opacity: 0.8 };

/** Bands that are drawn in one. */
export interface Stroke {
  readonly curve: Curve;
  readonly width: number;
  readonly opacity: number;
  /** How many they are. */
  readonly many: number;
}

/** Bands that are compared before others may have a turn. */
const TURN = 1000;

/** What is to be drawn of the bands; null where work was done and others may have a turn. */
export function* strokesOf(
  layout: Layout,
  reach: Reach,
  bands: ManyEnds,
  widths: ArrayLike<number>,
  seen: Uint32Array = bandsInSight(layout, bands),
): Generator<Stroke | null, void, void> {
  const { opacity: faint, together } = bandInk(seen.length);
  const strokeOf = (at: number): Stroke => {
    const [from, to] = [bands.from[at], bands.to[at]];
    const curve = curveOf(layout, reach, { from, to });
    if (from !== to) return { curve, many: 1, width: widths[at], opacity: faint };
    const opacity = Math.min(1, INNER.opacity / together);
    return { curve, many: 1, width: Math.min(INNER.widest, widths[at]), opacity };
  };
  if (seen.length <= EACH) {
    for (const at of seen) yield strokeOf(at);
    return;
  }
  const { groups, add } = alikeBands(layout, reach, bands, widths, seen.length);
  for (let next = 0; next < seen.length; next++) {
    add(seen[next]);
    if (next % TURN === TURN - 1) yield null;
  }
  for (const { first, many, curve } of groups()) {
    // As dark as so many of them above each other.
    if (many === 1) yield strokeOf(first);
    else yield { curve: curve(), many, width: widths[first], opacity: 1 - (1 - faint) ** many };
  }
}

/**
 * Bands whose courses in sight differ by less than such a part of a pixel are alike; of so many that
 * each by itself is fainter than a screen can show, by less than a pixel, half a band's width.
 */
const PARTS = 4;
const PARTS_OF_DENSE = 1;
/** Where an arc enters and leaves, its heights there and half way, which tell a parabola. */
const TOLD = 5;
/** Beyond what is seen, so that no end of a stroke is. */
const OUTSIDE = 16;

/** Puts bands together that look alike; what is no arc stays by itself. */
function alikeBands(
  layout: Layout,
  reach: Reach,
  bands: ManyEnds,
  widths: ArrayLike<number>,
  most: number,
) {
  const { columnX, size, folding } = layout;
  const [first, many, rounded, sums]: number[][] = [[], [], [], []];
  const parts = most > DENSE ? PARTS_OF_DENSE : PARTS;
  const slots = 2 ** Math.ceil(Math.log2(2 * most));
  /** Open addressing: 0, or 1 and the group. */
  const table = new Uint32Array(slots);
  /** Of the band at hand, and its width beside it in parts. */
  const told = new Float64Array(TOLD);
  const own = new Int32Array(TOLD + 1);
  const start = (at: number) => {
    first.push(at);
    many.push(1);
    for (const part of own) rounded.push(part);
    for (const value of told) sums.push(value);
  };
  const tell = (from: number, to: number, width: number) => {
    const arc = arcOf(layout, reach, from, to);
    const [x0, x1] = [columnX[from], columnX[to]];
    const left = Math.max(-OUTSIDE, Math.min(x0, x1));
    const right = Math.min(size.width + OUTSIDE, Math.max(x0, x1));
    const height = (x: number) => heightOf(arc, (x - x0) / (x1 - x0));
    told[0] = left;
    told[1] = right;
    told[2] = height(left);
    told[3] = height((left + right) / 2);
    told[4] = height(right);
    for (let place = 0; place < TOLD; place++) own[place] = Math.round(parts * told[place]);
    own[TOLD] = Math.round(PARTS * width);
  };
  const isOf = (group: number) => {
    let same = 0;
    while (same <= TOLD && rounded[(TOLD + 1) * group + same] === own[same]) same++;
    return same > TOLD;
  };
  const add = (at: number) => {
    const [from, to] = [bands.from[at], bands.to[at]];
    if (shapeBetween(folding, from, to) !== "arc") return start(at);
    tell(from, to, widths[at]);
    let hash = 0;
    for (const part of own) hash = Math.imul(hash ^ part, 0x9e3779b1);
    let slot = (hash >>> 7) & (slots - 1);
    while (table[slot] > 0 && !isOf(table[slot] - 1)) slot = (slot + 1) & (slots - 1);
    const group = table[slot] - 1;
    if (group < 0) {
      table[slot] = first.length + 1;
      return start(at);
    }
    many[group] += 1;
    for (let place = 0; place < TOLD; place++) sums[TOLD * group + place] += told[place];
  };
  /** The course between all of a group. */
  const curve = (group: number) => {
    const [left, right, begin, middle, end] = [0, 1, 2, 3, 4].map(
      (place) => sums[TOLD * group + place] / many[group],
    );
    return parabola(left, right, begin, end, (middle - (begin + end) / 2) / 0.75);
  };
  function* groups() {
    for (let group = 0; group < first.length; group++) {
      yield { first: first[group], many: many[group], curve: () => curve(group) };
    }
  }
  return { groups, add };
}

/** Pieces that a curve is measured in. */
const PIECES = 24;
/** A band is pointed at from so near its middle, if it is not wider. */
const NEAR = 4;

/** The place of the band that is pointed at, the nearest one; -1 for none. */
export function pickBand(
  scene: Scene,
  layout: Layout,
  bands: ManyEnds,
  widths: ArrayLike<number>,
  x: number,
  y: number,
): number {
  const reach = reachOf(scene, layout);
  const { columnX, folding } = layout;
  let best = -1;
  let nearest = 1;
  for (let at = 0; at < bands.length; at++) {
    const [from, to] = [bands.from[at], bands.to[at]];
    const [x0, x1] = [columnX[from], columnX[to]];
    const isLoop = from === to;
    const beyond = isLoop ? LOOP.wide : NEAR;
    if (x < Math.min(x0, x1) - beyond || x > Math.max(x0, x1) + beyond) continue;
    // The inside of the small loop belongs to it.
    const within = isLoop ? LOOP.wide / 2 : Math.max(NEAR, widths[at] / 2);
    let [begin, end] = [0, PIECES];
    if (x0 !== x1 && shapeBetween(folding, from, to) === "arc") {
      // Along an arc x grows evenly: what of it is near lies between two shares of it.
      const share = (px: number) => Math.min(1, Math.max(0, (px - x0) / (x1 - x0)));
      const [a, b] = [share(x - within), share(x + within)].sort((p, q) => p - q);
      const arc = arcOf(layout, reach, from, to);
      const [ya, yb] = [heightOf(arc, a), heightOf(arc, b)];
      const stretch = b - a + 1 / PIECES;
      const room = within + 0.75 * Math.abs(arc.lift) * stretch * stretch;
      if (Math.min(ya, yb) > y + room || Math.max(ya, yb) < y - room) continue;
      [begin, end] = [Math.floor(a * PIECES), Math.max(1, Math.ceil(b * PIECES))];
      begin = Math.min(begin, end - 1);
    }
    const curve = curveOf(layout, reach, { from, to });
    const away = distanceTo(curve, x, y, begin, end) / within;
    if (away >= nearest) continue;
    nearest = away;
    best = at;
  }
  return best;
}

/** The distance from a point to some pieces of a curve. */
function distanceTo(curve: Curve, x: number, y: number, begin: number, end: number): number {
  let nearest = Number.POSITIVE_INFINITY;
  let before = pointOn(curve, begin / PIECES);
  for (let piece = begin + 1; piece <= end; piece++) {
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
