// The strips in which faint lines are drawn: see faintLines.ts. Within a strip a line is known by its
// slope and by where it crosses the middle, both rounded.

import { MARGIN, QUARTERS } from "./raster.js";

/** Cells of a strip along the lines' major axis, at most. */
export const LONGEST = 16;
/** Steps of a slope of one. */
export const SLOPES = 32;
/** Slopes from -1 to 1, and some more that nothing has: sums are moved four slopes at a time. */
export const ROWS = Math.ceil((2 * SLOPES + 1) / 4) * 4;
/**
 * How far from its true place a line may be drawn, in pixels across: its slope is rounded, where it
 * crosses the middle, and where it is in each cell.
 */
export const OFF = (LONGEST - 1) / (4 * SLOPES) + 2 / (2 * QUARTERS);
/** The most that a slope moves a line between the middle of a strip and its ends, in quarters. */
const SWAY = (QUARTERS * LONGEST) / 2;
/** What it costs to draw a line in a cell, by what it costs to move four sums by one quarter. */
const COST = 2;

export interface Lines {
  readonly count: number;
  /** Where each line is at major 0, in quarters, a half more so that it is rounded when cut. */
  readonly edges: Float32Array;
  /** Quarters a cell. */
  readonly slopes: Float32Array;
  readonly amounts: Int32Array;
  readonly firsts: Uint16Array;
  readonly lasts: Uint16Array;
  /** Row of the slope, rounded. */
  readonly rows: Uint8Array;
}

export interface Sorted extends Lines {
  /** Lines of one row that begin in one strip: three numbers each, `from`, `to` and the strip
   * before which all of them end. */
  readonly groups: Int32Array;
}

/** A strip as it is drawn: its cells, and the steps in an array from cell to cell and across. */
export interface Strip {
  readonly index: number;
  readonly begin: number;
  readonly cells: number;
  readonly along: number;
  readonly over: number;
  readonly thickness: number;
}

/** Whether the lines that cross a strip cost more, one by one, than sums of them do. */
export function isCheaperSummed(sorted: Sorted, strip: number, across: number): boolean {
  let fours = 0;
  let many = 0;
  forGroups(sorted, strip, (from, to, row) => {
    many += to - from;
    fours |= 1 << (row >> 2);
  });
  let sets = 0;
  for (let rest = fours; rest !== 0; rest &= rest - 1) sets++;
  return many * COST > sets * across;
}

/** Gives `use` the lines of each group that reaches into a strip, and the row of their slopes. */
export function forGroups(
  { groups }: Sorted,
  strip: number,
  use: (from: number, to: number, row: number) => void,
): void {
  const end = Math.min(groups.length, 3 * (strip + 1) * ROWS);
  for (let at = 0; at < end; at += 3) {
    if (groups[at + 2] > strip) use(groups[at], groups[at + 1], (at / 3) % ROWS);
  }
}

/** How many quarters a line of each slope is off the middle of a strip of some length, by cell. */
function swaysOf(cells: number): Int32Array {
  const known = sways.get(cells);
  if (known) return known;
  const table = Int32Array.from({ length: ROWS * LONGEST }, (_, at) => {
    const [row, cell] = [Math.floor(at / LONGEST), at % LONGEST];
    return Math.round(((row - SLOPES) * (2 * cell + 1 - cells) * QUARTERS) / (2 * SLOPES));
  });
  sways.set(cells, table);
  return table;
}

const sways = new Map<number, Int32Array>();

/** Draws those lines from one place to another that cross a strip. */
export function drawSingly(
  { edges, slopes, amounts, firsts, lasts, rows }: Lines,
  from: number,
  to: number,
  { index, begin, cells, along, over, thickness }: Strip,
  layer: Int32Array,
): void {
  const sways = swaysOf(cells);
  const middle = begin + cells / 2;
  const start = (begin + MARGIN) * along;
  for (let line = from; line < to; line++) {
    if (firsts[line] > index || lasts[line] <= index) continue;
    const at = (edges[line] + slopes[line] * middle) | 0;
    const amount = amounts[line];
    const whole = QUARTERS * amount;
    const row = rows[line] * LONGEST;
    for (let cell = 0; cell < cells; cell++) {
      const quarter = (at + sways[row + cell]) | 0;
      const part = Math.imul(amount, quarter & 3);
      let pixel = (start + cell * along + (quarter >> 2) * over) | 0;
      layer[pixel] = (layer[pixel] + whole - part) | 0;
      for (let inner = thickness; inner > 1; inner--) {
        pixel = (pixel + over) | 0;
        layer[pixel] = (layer[pixel] + whole) | 0;
      }
      layer[pixel + over] = (layer[pixel + over] + part) | 0;
    }
  }
}

export type Sums = ReturnType<typeof createSums>;

/** Draws the lines of a strip by their sums; `across` is how far they may lie, in quarters. */
export function createSums(across: number) {
  // Beside each row of slopes there is room for what sways out of it.
  const length = across + 2 * SWAY;
  const sums = new Int32Array(ROWS * length);
  /** Cell by cell, how much begins at each quarter of a pixel; each after a first 0. */
  const begins = new Int32Array(LONGEST * (across + 1));
  /** Moves the sums of four slopes to where these have them in each cell. */
  const spread = (row: number, cells: number) => {
    const [low, high] = extent(sums, row, length, across);
    if (high < low) return;
    const from = Math.max(0, low - SWAY);
    const many = Math.min(across, high + SWAY + 1) - from;
    const sways = swaysOf(cells);
    for (let cell = 0; cell < cells; cell++) {
      const [a, b, c, d] = [row, row + 1, row + 2, row + 3].map(
        (each) => each * length + SWAY - sways[each * LONGEST + cell] + from,
      );
      addFour(begins, cell * (across + 1) + 1 + from, many, sums, a, b, c, d);
    }
    sums.fill(0, row * length, (row + 4) * length);
  };
  return {
    draw(lines: Sorted, strip: Strip, layer: Int32Array) {
      forGroups(lines, strip.index, (from, to, row) => {
        sum(lines, from, to, strip, sums, row * length + SWAY);
      });
      for (let row = 0; row < ROWS; row += 4) spread(row, strip.cells);
      cover(begins, across, strip, layer);
      begins.fill(0);
    },
  };
}

/** Adds lines of one row of slopes to its sums. */
function sum(
  { edges, slopes, amounts, lasts }: Lines,
  from: number,
  to: number,
  { index, begin, cells }: Strip,
  sums: Int32Array,
  start: number,
): void {
  const middle = begin + cells / 2;
  for (let line = from; line < to; line++) {
    if (lasts[line] <= index) continue;
    const at = start + ((edges[line] + slopes[line] * middle) | 0);
    sums[at] = (sums[at] + amounts[line]) | 0;
  }
}

function addFour(
  target: Int32Array,
  start: number,
  many: number,
  from: Int32Array,
  a: number,
  b: number,
  c: number,
  d: number,
): void {
  for (let at = 0; at < many; at++) {
    const sum = (from[a + at] + from[b + at] + from[c + at] + from[d + at]) | 0;
    target[start + at] = (target[start + at] + sum) | 0;
  }
}

/** The first and the last quarter at which one of four rows is not empty. */
function extent(sums: Int32Array, row: number, length: number, across: number): [number, number] {
  let low = across;
  let high = -1;
  for (let next = row; next < row + 4; next++) {
    const start = next * length + SWAY;
    let from = 0;
    while (from < low && sums[start + from] === 0) from++;
    low = from;
    let to = across - 1;
    while (to > high && sums[start + to] === 0) to--;
    high = to;
  }
  return [low, high];
}

/** Gives each pixel the quarters that strokes cover of it, by how many begin where. */
function cover(begins: Int32Array, across: number, strip: Strip, layer: Int32Array): void {
  const { begin, cells, along, over, thickness } = strip;
  const long = QUARTERS * thickness;
  const pixels = across / QUARTERS;
  for (let cell = 0; cell < cells; cell++) {
    const base = cell * (across + 1);
    // Sums from the start on: they may overflow, their differences do not.
    for (let at = 1; at <= across; at++) {
      begins[base + at] = (begins[base + at] + begins[base + at - 1]) | 0;
    }
    // The pixels from the last one on, in the places of quarters that no other needs.
    for (let pixel = pixels - 1; pixel >= 0; pixel--) {
      let sum = 0;
      for (let part = 1; part <= QUARTERS; part++) {
        const at = QUARTERS * pixel + part;
        sum = (sum + begins[base + at] - (at > long ? begins[base + at - long] : 0)) | 0;
      }
      begins[base + QUARTERS * (pixel + 1)] = sum;
    }
  }
  const start = (begin + MARGIN) * along;
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let cell = 0; cell < cells; cell++) {
      const sum = begins[cell * (across + 1) + QUARTERS * (pixel + 1)];
      const at = start + cell * along + pixel * over;
      layer[at] = (layer[at] + sum) | 0;
    }
  }
}
