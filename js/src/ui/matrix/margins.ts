// Singular values as thin bars along the margins of a matrix.

import type { Marks } from "../../logic/linkedHover.js";
import type { Facts } from "../../logic/matrices.js";
import type { Pair } from "../../logic/tiles.js";
import { css, mix, type Palette } from "../../paint/palette.js";
import type { Placement } from "./cells.js";

/** Below this share of the largest, the middle one is too small to be seen: logarithms instead. */
const LOG_BELOW = 0.06;
/** Where a logarithmic scale ends, in orders of magnitude below the largest. */
const DECADES = 6;

export interface BarScale {
  readonly log: boolean;
  /** From 0 to 1. */
  share(value: number): number;
}

/** A scale for singular values in descending order. */
export function barScale(values: ArrayLike<number>): BarScale {
  const largest = values.length > 0 ? values[0] : 0;
  if (!(largest > 0)) return { log: false, share: () => 0 };
  if (values[Math.floor(values.length / 2)] >= LOG_BELOW * largest) {
    return { log: false, share: (value) => value / largest };
  }
  let smallest = largest;
  for (let at = values.length - 1; at >= 0 && smallest === largest; at--) {
    if (values[at] > largest * 10 ** -DECADES) smallest = values[at];
  }
  // The smallest still has a bar.
  const span = Math.log(largest / smallest) * 1.08 || 1;
  return {
    log: true,
    share: (value) => (value > 0 ? Math.max(0, 1 - Math.log(largest / value) / span) : 0),
  };
}

/** One bar a pixel or wider: the entries [from, to) that it stands for, and the pixels it takes. */
export interface Bar {
  readonly entry: number;
  readonly start: number;
  readonly end: number;
}

/** Bars for the entries seen, of which the first lies at `offset` pixels and each is `size` wide. */
export function barsAlong(entries: number, offset: number, size: number, room: number): Bar[] {
  const bars: Bar[] = [];
  const pixel = (entry: number) => Math.max(0, Math.round(offset + entry * size));
  let entry = Math.max(0, Math.floor(-offset / size));
  while (entry < entries && pixel(entry) < room) {
    const start = pixel(entry);
    // Values descend, so the first of the entries that share a pixel is the largest.
    let next = Math.max(entry + 1, Math.floor((start + 0.5 - offset) / size));
    while (next < entries && pixel(next) <= start) next++;
    const end = Math.max(start + 1, pixel(Math.min(next, entries)));
    bars.push({ entry, start, end: Math.min(room, end) });
    entry = next;
  }
  return bars;
}

/** Draws bars that grow upwards (along the top) or leftwards (along the left). */
function drawBars(
  context: CanvasRenderingContext2D,
  side: "top" | "left",
  values: ArrayLike<number>,
  { offset, size, room, depth }: { offset: number; size: number; room: number; depth: number },
  origin: Pair,
  colour: (entry: number, next: number) => string,
): BarScale {
  const scale = barScale(values);
  const bars = barsAlong(values.length, offset, size, room);
  const gap = size >= 4 ? 1 : 0;
  bars.forEach(({ entry, start, end }, index) => {
    const long = Math.max(1, Math.round(scale.share(values[entry]) * depth));
    const thick = Math.max(1, end - start - gap);
    context.fillStyle = colour(entry, bars[index + 1]?.entry ?? entry + 1);
    if (side === "top") context.fillRect(origin[0] + start, origin[1] - long, thick, long);
    else context.fillRect(origin[0] - long, origin[1] + start, long, thick);
  });
  return scale;
}

export function drawMargins(
  context: CanvasRenderingContext2D,
  facts: Facts,
  { offset, entry, size }: Placement,
  origin: Pair,
  marks: Marks,
  palette: Palette,
  ratio: number,
  margin: number,
): void {
  const plain = css(mix(palette.paper, palette.ink, 0.42));
  const accent = css(palette.accent);
  const colour = (selected: ReadonlySet<number>, at: number | null, cell: Pair | undefined) => {
    const marked = [...selected];
    return (entry: number, next: number) => {
      const within = (index: number) => index >= entry && index < next;
      const hovered = (at !== null && within(at)) || (cell && cell[0] < next && cell[1] > entry);
      return hovered || marked.some(within) ? accent : plain;
    };
  };
  const bars = (axis: 0 | 1) => ({
    offset: offset[axis],
    size: entry[axis],
    room: size[axis],
    depth: (margin - 4) * ratio,
  });
  const above: Pair = [origin[0], origin[1] - 2 * ratio];
  const paint = colour(marks.columns, marks.column, marks.cell?.columns);
  const logs = [drawBars(context, "top", facts.columns, bars(0), above, paint).log];
  if (facts.rows) {
    const beside: Pair = [origin[0] - 2 * ratio, origin[1]];
    const paint = colour(marks.rows, marks.row, marks.cell?.rows);
    logs.push(drawBars(context, "left", facts.rows, bars(1), beside, paint).log);
    context.fillStyle = css(mix(palette.paper, palette.ink, 0.7));
    context.font = `${10 * ratio}px ${getComputedStyle(context.canvas).fontFamily}`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    const words = logs.some(Boolean) ? ["log", "σ"] : ["σ"];
    words.forEach((word, line) => {
      const down = (line - (words.length - 1) / 2) * 10 * ratio;
      context.fillText(word, origin[0] / 2, origin[1] / 2 + down);
    });
  }
}
