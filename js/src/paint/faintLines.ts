// Adds many faint lines to an accumulator at once. The picture is cut into strips across the lines'
// major axis; in each, lines that coincide but for little are summed, and each sum is drawn. A
// million lines so cost little more than the pixels of the picture times the slopes there are.
//
// A line lies within OFF pixels of its true place, and its ink is the same. All is done in integers:
// a line drawn alone and one summed with others leave the same, to the bit, so which of the two is
// done is a matter of cost alone, and a line's negative takes it away again.

import { type Accumulator, MARGIN, QUARTERS, type Strips, type Waiting } from "./raster.js";
import {
  createSums,
  drawSingly,
  forGroups,
  isCheaperSummed,
  type Lines,
  LONGEST,
  ROWS,
  SLOPES,
  type Sorted,
  type Sums,
} from "./strips.js";

/** More lines do not wait before they are drawn. */
const MOST = 2 ** 19;
/** Of fewer lines no sums are made. */
const FEW = 8192;

/** Thicker lines might leave the margin. */
export const THICKEST = 2 * MARGIN - 3;

export interface FaintLines extends Waiting {
  /** Whether no line must be added before those that wait are drawn. */
  readonly isFull: boolean;
  /**
   * Draws all lines that wait; yields in between. Until it is through, the accumulator is as it was
   * before, and no line must be added.
   */
  draw(): Generator<void, void, void>;
}

/** `cuts` are the x at which most lines begin or end, in pixels. */
export function createFaintLines(
  target: Accumulator,
  thickness: number,
  cuts: Iterable<number>,
): FaintLines {
  const { width, height, stride, depth } = target;
  const flat = createStrips(boundsOf(width, cuts), height, [1, stride], thickness);
  const steep = createStrips(boundsOf(height, []), width, [stride, 1], thickness);
  let layer: Int32Array | null = null;
  const layerOf = () => (layer ??= new Int32Array(depth.length));
  return {
    layer: layerOf,
    flat,
    steep,
    get isFull() {
      return flat.waiting() + steep.waiting() >= MOST;
    },
    *draw() {
      if (flat.waiting() + steep.waiting() === 0) return;
      const layer = layerOf();
      yield* flat.draw(layer);
      yield* steep.draw(layer);
      for (let at = 0; at < depth.length; at++) depth[at] += layer[at];
      layer.fill(0);
    },
  };
}

/** Where strips begin, and at last where they end: a cell that a line's end cuts is by itself. */
function boundsOf(cells: number, cuts: Iterable<number>): Int32Array {
  const places = [...cuts].flatMap((cut) => [Math.ceil(cut) - 1, Math.floor(cut) + 1]);
  // What leaves the picture is cut in its outermost cells.
  const inside = [...places, 1, cells - 1].filter((place) => place > 0 && place < cells);
  const sorted = [...new Set([0, ...inside, cells])].sort((a, b) => a - b);
  const begins = sorted.slice(0, -1).flatMap((begin, index) => {
    const length = sorted[index + 1] - begin;
    const parts = Math.ceil(length / LONGEST);
    return Array.from({ length: parts }, (_, part) => begin + Math.floor((length * part) / parts));
  });
  return Int32Array.from([...begins, cells]);
}

interface DrawnStrips extends Strips {
  waiting(): number;
  /** Draws the lines that wait on a layer like the accumulator; yields after each strip. */
  draw(layer: Int32Array): Generator<void, void, void>;
}

function createStrips(
  bounds: Int32Array,
  breadth: number,
  [along, over]: readonly [number, number],
  thickness: number,
): DrawnStrips {
  const count = bounds.length - 1;
  const across = QUARTERS * (breadth + 2 * MARGIN);
  const lines = createLines();
  const cells = bounds[count];
  const begun = new Int32Array(cells + 1);
  const ended = new Int32Array(cells + 1);
  for (let cell = 0, first = 0, last = 0; cell <= cells; cell++) {
    while (first < count && bounds[first] < cell) first++;
    while (last < count && bounds[last + 1] <= cell) last++;
    begun[cell] = first;
    ended[cell] = last;
  }
  let sums: Sums | null = null;
  return {
    waiting: () => lines.count(),
    firstFrom: (cell) => begun[cell],
    endingBy: (cell) => ended[cell],
    startOf: (strip) => bounds[strip],
    add: lines.add,
    *draw(layer) {
      const waiting = lines.all();
      if (waiting.count === 0) return;
      // The few that a slider's step adds are not worth a look at each slope.
      const order = waiting.count < FEW ? null : sorted(waiting);
      yield;
      for (let index = 0; index < count; index++) {
        const begin = bounds[index];
        const strip = { index, begin, cells: bounds[index + 1] - begin, along, over, thickness };
        if (!order) drawSingly(waiting, 0, waiting.count, strip, layer);
        else if (isCheaperSummed(order, index, across)) {
          sums ??= createSums(across);
          sums.draw(order, strip, layer);
        } else forGroups(order, index, (from, to) => drawSingly(order, from, to, strip, layer));
        yield;
      }
      lines.clear();
    },
  };
}

const createArrays = (room: number) => ({
  edges: new Float32Array(room),
  slopes: new Float32Array(room),
  amounts: new Int32Array(room),
  firsts: new Uint16Array(room),
  lasts: new Uint16Array(room),
  rows: new Uint8Array(room),
});

function createLines() {
  let lines = createArrays(1024);
  let count = 0;
  const grow = () => {
    const old = lines;
    lines = createArrays(2 * count);
    for (const name of Object.keys(old) as (keyof typeof old)[]) lines[name].set(old[name]);
  };
  return {
    count: () => count,
    add(edge: number, slope: number, amount: number, first: number, last: number) {
      if (count === lines.edges.length) grow();
      lines.edges[count] = QUARTERS * edge + 0.5;
      lines.slopes[count] = QUARTERS * slope;
      lines.amounts[count] = amount;
      lines.firsts[count] = first;
      lines.lasts[count] = last;
      lines.rows[count] = Math.round(slope * SLOPES) + SLOPES;
      count++;
    },
    all: (): Lines => ({ ...lines, count }),
    clear() {
      count = 0;
    },
  };
}

/** By the strip in which they begin, and then by slope: what is near in memory is drawn together. */
function sorted(lines: Lines): Sorted {
  const { count, edges, slopes, amounts, firsts, lasts, rows } = lines;
  let strips = 0;
  for (let line = 0; line < count; line++) strips = Math.max(strips, firsts[line] + 1);
  const places = new Int32Array(strips * ROWS + 1);
  for (let line = 0; line < count; line++) places[firsts[line] * ROWS + rows[line] + 1]++;
  for (let key = 1; key < places.length; key++) places[key] += places[key - 1];
  const groups = new Int32Array(3 * strips * ROWS);
  for (let key = 0; key < strips * ROWS; key++) {
    groups[3 * key] = places[key];
    groups[3 * key + 1] = places[key + 1];
  }
  const out = createArrays(count);
  for (let line = 0; line < count; line++) {
    const key = firsts[line] * ROWS + rows[line];
    const at = places[key]++;
    out.edges[at] = edges[line];
    out.slopes[at] = slopes[line];
    out.amounts[at] = amounts[line];
    out.firsts[at] = firsts[line];
    out.lasts[at] = lasts[line];
    out.rows[at] = rows[line];
    groups[3 * key + 2] = Math.max(groups[3 * key + 2], lasts[line]);
  }
  return { ...out, count, groups };
}
