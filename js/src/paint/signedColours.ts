// Signed numbers as colours: blue below zero, vermilion above it, paper at zero. The two keep apart
// for every kind of colour blindness (the Okabe-Ito set) and stand in that order in both themes.

import { mix, type Palette, type Rgb } from "./palette.js";

/** Small numbers are most of a filter: this exponent keeps them apart from zero. */
const TONE = 0.75;

export function signedColour(palette: Palette, value: number, scale: number): Rgb {
  const share = scale > 0 ? Math.min(1, Math.abs(value) / scale) ** TONE : 0;
  return mix(palette.paper, value < 0 ? negative(palette) : positive(palette), share);
}

export const negative = ({ kinds }: Palette): Rgb => kinds.linear;
export const positive = ({ kinds }: Palette): Rgb => kinds.convolution;

/** Rows and columns in which a kernel is laid out; a third dimension side by side. */
export interface Grid {
  readonly rows: number;
  readonly columns: number;
  /** Where the value at `row`, `column` stands in the kernel; -1 between two slices. */
  at(row: number, column: number): number;
}

export function kernelGrid(kernel: readonly number[]): Grid {
  if (kernel.length > 3) throw new Error(`a kernel of ${kernel.length} dimensions has no picture`);
  const [slices, rows, columns] = [...Array<number>(3 - kernel.length).fill(1), ...kernel];
  const wide = columns + 1;
  return {
    rows,
    columns: slices * wide - 1,
    at(row, column) {
      const [slice, within] = [Math.floor(column / wide), column % wide];
      return within === columns ? -1 : (slice * rows + row) * columns + within;
    },
  };
}

/** The largest magnitude. */
export function scaleOf(values: ArrayLike<number>): number {
  let largest = 0;
  for (let at = 0; at < values.length; at++) largest = Math.max(largest, Math.abs(values[at]));
  return largest;
}
