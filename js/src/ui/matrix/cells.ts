// How a matrix is painted: its tiles and cells, the cross of the internal dimensions, the marks of
// what is hovered and selected.

import { significant } from "../../logic/format.js";
import type { Marks } from "../../logic/linkedHover.js";
import { type Facts, hasInternalBlock, type InternalDimensions } from "../../logic/matrices.js";
import {
  type Extent,
  type Frame,
  isSingle,
  type Pair,
  type Tile,
  type Tiles,
} from "../../logic/tiles.js";
import { css, mix, type Palette } from "../../paint/palette.js";

/** Small entries are most of a matrix: this exponent keeps them apart. */
const TONE = 0.5;
const DIMMED = 0.25;
/** Cells of at least this size are parted by lines, and of this one have their value inside. */
const LINES_FROM = 10;
const VALUES_FROM: Pair = [14, 30];

export interface Placement {
  /** Device pixels of an entry, and of the first one's corner. */
  readonly entry: Pair;
  readonly offset: Pair;
  readonly size: Pair;
  /** Left, top, right and bottom of some entries. */
  rectangle(extent: Extent): readonly [number, number, number, number];
}

export function placement({ shape }: Facts, frame: Frame, size: Pair): Placement {
  const entry: Pair = [(size[0] * frame.zoom) / shape[1], (size[1] * frame.zoom) / shape[0]];
  const offset: Pair = [-frame.x * frame.zoom * size[0], -frame.y * frame.zoom * size[1]];
  const at = (axis: 0 | 1, index: number) => Math.round(offset[axis] + index * entry[axis]);
  return {
    entry,
    offset,
    size,
    rectangle: ({ rows, columns }) => [
      at(0, columns[0]),
      at(1, rows[0]),
      at(0, columns[1]),
      at(1, rows[1]),
    ],
  };
}

export const toneOf = (value: number, max: number) =>
  max > 0 ? Math.min(1, value / max) ** TONE : 0;

export function paintTile(
  { cells, values, log10p }: Tile,
  max: number,
  palette: Palette,
  mask: number | null,
  canvas: HTMLCanvasElement = document.createElement("canvas"),
): HTMLCanvasElement {
  const [rows, columns] = cells;
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  const image = context.createImageData(columns, rows);
  const pixels = new Uint32Array(image.data.buffer);
  const colours = Uint32Array.from({ length: 256 }, (_, tone) => {
    const [red, green, blue] = mix(palette.paper, palette.ink, tone / 255);
    return (255 << 24) | (blue << 16) | (green << 8) | red;
  });
  for (let at = 0; at < values.length; at++) {
    const tone = toneOf(values[at], max) * (isDimmed(log10p, at, mask) ? DIMMED : 1);
    pixels[at] = colours[Math.round(255 * tone)];
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** p-values travel as float32: one that is just at the cut may not fall on its other side. */
function isDimmed(log10p: Float32Array | null, at: number, mask: number | null): boolean {
  return mask !== null && log10p !== null && log10p[at] > mask + 1e-6 * Math.abs(mask);
}

/** Lines between cells that are large, and values in those that are larger. */
export function drawCells(
  context: CanvasRenderingContext2D,
  { facts, tiles }: { readonly facts: Facts; readonly tiles: Tiles },
  { entry, offset, size }: Placement,
  palette: Palette,
  ratio: number,
  mask: number | null,
): void {
  if (Math.min(...entry) < LINES_FROM * ratio) return;
  const seen = [0, 1].map((axis) => {
    const entries = facts.shape[axis === 0 ? 1 : 0];
    const first = Math.max(0, Math.floor(-offset[axis] / entry[axis]));
    const end = Math.min(entries, Math.ceil((size[axis] - offset[axis]) / entry[axis]));
    return [first, end] as const;
  });
  context.fillStyle = css(palette.paper);
  for (let column = seen[0][0]; column <= seen[0][1]; column++) {
    context.fillRect(Math.round(offset[0] + column * entry[0]), 0, context.lineWidth, size[1]);
  }
  for (let row = seen[1][0]; row <= seen[1][1]; row++) {
    context.fillRect(0, Math.round(offset[1] + row * entry[1]), size[0], context.lineWidth);
  }
  if (entry[1] < VALUES_FROM[0] * ratio || entry[0] < VALUES_FROM[1] * ratio) return;
  context.font = `${10 * ratio}px ${getComputedStyle(context.canvas).fontFamily}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let row = seen[1][0]; row < seen[1][1]; row++) {
    for (let column = seen[0][0]; column < seen[0][1]; column++) {
      const cell = tiles.cellOf(row, column);
      if (!cell || !isSingle(cell)) continue;
      const dimmed = mask !== null && cell.log10p !== null && cell.log10p > mask + 1e-6;
      const dark = toneOf(cell.value, facts.max) * (dimmed ? DIMMED : 1) > 0.5;
      context.fillStyle = css(dark ? palette.paper : palette.ink);
      const x = offset[0] + (column + 0.5) * entry[0];
      const y = offset[1] + (row + 0.5) * entry[1];
      // A number that is cut off reads as another one.
      if (x < VALUES_FROM[1] * 0.5 * ratio || x > size[0] - VALUES_FROM[1] * 0.5 * ratio) continue;
      if (y < VALUES_FROM[0] * 0.5 * ratio || y > size[1] - VALUES_FROM[0] * 0.5 * ratio) continue;
      context.fillText(shortValue(cell.value), x, y);
    }
  }
}

/** At most six signs. */
function shortValue(value: number): string {
  if (value === 0) return "0";
  return value < 0.00095 ? "<0.001" : significant(value, value < 0.0095 ? 1 : 2);
}

export function drawCross(
  context: CanvasRenderingContext2D,
  internal: InternalDimensions | null,
  { offset, entry, size }: Placement,
  palette: Palette,
  line: number,
): void {
  if (!internal || !hasInternalBlock(internal)) return;
  const x = Math.round(offset[0] + internal.d_in * entry[0]);
  const y = Math.round(offset[1] + internal.d_out * entry[1]);
  context.fillStyle = css(palette.accent);
  context.fillRect(x, 0, line, size[1]);
  context.fillRect(0, y, size[0], line);
}

/** A largest entry of fewer CSS pixels has a ring of this radius around it. */
export const MARKED_BELOW = 9;
export const RING = 6;

/** A ring around the largest entry, which is but a speck where cells are small. */
export function drawLargest(
  context: CanvasRenderingContext2D,
  at: { readonly row: number | null; readonly column: number | null } | null,
  { entry, offset, size }: Placement,
  origin: Pair,
  palette: Palette,
  ratio: number,
): void {
  if (at?.row == null || at.column == null || Math.min(...entry) >= MARKED_BELOW * ratio) return;
  const x = offset[0] + (at.column + 0.5) * entry[0];
  const y = offset[1] + (at.row + 0.5) * entry[1];
  if (x < 0 || y < 0 || x > size[0] || y > size[1]) return;
  for (const [colour, width] of [
    [palette.paper, 4],
    [palette.accent, 2],
  ] as const) {
    context.beginPath();
    context.arc(origin[0] + x, origin[1] + y, RING * ratio, 0, 2 * Math.PI);
    context.strokeStyle = css(colour);
    context.lineWidth = width * ratio;
    context.stroke();
  }
}

/** Washes over selected rows and columns, frames the hovered row, column or cell. */
export function drawMarks(
  context: CanvasRenderingContext2D,
  marks: Marks,
  { rectangle, size, entry }: Placement,
  palette: Palette,
  ratio: number,
): void {
  const all: Pair = [0, 2 ** 30];
  const area = (rows: Pair | null, columns: Pair | null) => {
    const [x0, y0, x1, y1] = rectangle({ rows: rows ?? all, columns: columns ?? all });
    const left = columns ? x0 : 0;
    const top = rows ? y0 : 0;
    return [
      left,
      top,
      columns ? Math.max(3 * ratio, x1 - left) : size[0],
      rows ? Math.max(3 * ratio, y1 - top) : size[1],
    ] as const;
  };
  context.fillStyle = css(palette.accent, 0.16);
  if (marks.rows.size * Math.max(1, entry[1]) < size[1]) {
    for (const row of marks.rows) context.fillRect(...area([row, row + 1], null));
  }
  if (marks.columns.size * Math.max(1, entry[0]) < size[0]) {
    for (const column of marks.columns) context.fillRect(...area(null, [column, column + 1]));
  }
  const frame = (rows: Pair | null, columns: Pair | null) => {
    const [x, y, wide, tall] = area(rows, columns);
    context.fillStyle = css(palette.accent, 0.22);
    context.fillRect(x, y, wide, tall);
    context.strokeStyle = css(palette.accent);
    context.strokeRect(x + 0.5, y + 0.5, wide, tall);
  };
  if (marks.cell) frame(marks.cell.rows, marks.cell.columns);
  if (marks.row !== null) frame([marks.row, marks.row + 1], null);
  if (marks.column !== null) frame(null, [marks.column, marks.column + 1]);
}
