// A large matrix in small parts: what is seen of it, the tiles that this takes, and where those
// come from. A cell of a tile stands for step x step entries, the largest of them. Pure: no DOM.

import { CONTRACT } from "../wire/contract.js";

/** Cells of a tile a side. */
export const TILE = CONTRACT.tile;

/** Rows and columns. */
export type Pair = readonly [number, number];

/** The part that is seen: its corner as shares of the matrix, and how far it is enlarged. */
export interface Frame {
  readonly zoom: number;
  readonly x: number;
  readonly y: number;
}

export const ALL: Frame = { zoom: 1, x: 0, y: 0 };

/** Whether it is one entry. */
export const isSingle = ({ rows, columns }: Extent) =>
  rows[1] - rows[0] === 1 && columns[1] - columns[0] === 1;

export interface Place {
  readonly steps: Pair;
  /** Which tile, counted in tiles of these steps. */
  readonly at: Pair;
}

/** Entries [from, to) of rows and columns. */
export interface Extent {
  readonly rows: Pair;
  readonly columns: Pair;
}

export interface Tile {
  readonly cells: Pair;
  readonly values: Float32Array;
  /** The smallest p-value in each cell, as log10; null where the matrix has no law of chance. */
  readonly log10p: Float32Array | null;
}

/** Entries a cell, a power of two: the fewest with which a cell is no less than a pixel. */
export function stepFor(entries: number, pixels: number, zoom: number): number {
  const perPixel = entries / Math.max(1, pixels * zoom);
  return perPixel <= 1 ? 1 : 2 ** Math.ceil(Math.log2(perPixel));
}

/**
 * The tiles that cover what is seen, the middle ones first; sizes are in device pixels.
 *
 * `only` are the steps to be had where there are no others, as in a page without Python.
 */
export function placesFor(
  shape: Pair,
  pixels: Pair,
  frame: Frame,
  only: Pair | null = null,
): Place[] {
  const steps = only ?? [0, 1].map((axis) => stepFor(shape[axis], pixels[axis], frame.zoom));
  const ranges = [frame.y, frame.x].map((from, axis) => {
    const entries = TILE * steps[axis];
    const last = Math.ceil(shape[axis] / entries) - 1;
    const first = Math.floor((from * shape[axis]) / entries);
    const end = Math.ceil(((from + 1 / frame.zoom) * shape[axis]) / entries) - 1;
    return [Math.max(0, Math.min(last, first)), Math.max(0, Math.min(last, end))];
  });
  const middle = ranges.map(([from, to]) => (from + to) / 2);
  const found: Place[] = [];
  for (let row = ranges[0][0]; row <= ranges[0][1]; row++) {
    for (let column = ranges[1][0]; column <= ranges[1][1]; column++) {
      found.push({ steps: [steps[0], steps[1]], at: [row, column] });
    }
  }
  const distance = ({ at }: Place) => Math.hypot(at[0] - middle[0], at[1] - middle[1]);
  return found.sort((a, b) => distance(a) - distance(b));
}

export function extentOf({ steps, at }: Place, shape: Pair): Extent {
  const range = (axis: 0 | 1): Pair => {
    const size = TILE * steps[axis];
    return [at[axis] * size, Math.min(shape[axis], (at[axis] + 1) * size)];
  };
  return { rows: range(0), columns: range(1) };
}

/** How far it is worth going in: until an entry is `pixels` wide on the longer side. */
export function mostZoom(shape: Pair, size: Pair, pixels: number): number {
  return Math.max(1, (pixels * shape[0]) / size[0], (pixels * shape[1]) / size[1]);
}

/** Enlarges about a point, given as shares of what is seen. */
export function zoomAbout(frame: Frame, factor: number, x: number, y: number, most: number): Frame {
  const zoom = Math.min(most, Math.max(1, frame.zoom * factor));
  const by = 1 / frame.zoom - 1 / zoom;
  return held({ zoom, x: frame.x + x * by, y: frame.y + y * by });
}

/** Moves by shares of what is seen, never beyond the matrix. */
export function panned(frame: Frame, x: number, y: number): Frame {
  return held({ ...frame, x: frame.x + x / frame.zoom, y: frame.y + y / frame.zoom });
}

/** Moves as little as it takes to see an entry whole. */
export function revealing(frame: Frame, shape: Pair, row: number, column: number): Frame {
  const move = (from: number, entry: number, entries: number) =>
    Math.max(Math.min(from, entry / entries), (entry + 1) / entries - 1 / frame.zoom);
  return held({
    ...frame,
    x: move(frame.x, column, shape[1]),
    y: move(frame.y, row, shape[0]),
  });
}

function held({ zoom, x, y }: Frame): Frame {
  const within = (from: number) => Math.max(0, Math.min(1 - 1 / zoom, from));
  return { zoom, x: within(x), y: within(y) };
}

/** A cell: the entries it stands for, the largest of them and the smallest p-value. */
export interface Cell extends Extent {
  readonly value: number;
  readonly log10p: number | null;
}

export interface Tiles {
  readonly shape: Pair;
  /** Asks for what is missing of these; what was wanted before and is not any more is let go. */
  want(places: readonly Place[]): void;
  /** What is here, coarse ones first. */
  cached(): { readonly extent: Extent; readonly steps: Pair; readonly tile: Tile }[];
  /** The finest cell known that holds an entry. */
  cellOf(row: number, column: number): Cell | null;
  /** Whether everything that is wanted is here. */
  settled(): boolean;
  /** No more questions, no more answers. */
  close(): void;
}

/** Questions to Python that are open at a time: a stale one in its queue cannot be taken back. */
const AT_ONCE = 2;
const KEPT = 80;

/** Tiles of one matrix; `changed` is called when one has come, or has failed with an error. */
export function createTiles(
  shape: Pair,
  fetch: (place: Place) => Promise<Tile>,
  changed: (error: Error | null) => void,
): Tiles {
  const kept = new Map<string, { place: Place; extent: Extent; steps: Pair; tile: Tile }>();
  const asked = new Set<string>();
  let wanted: readonly Place[] = [];
  let closed = false;

  const proceed = () => {
    for (const place of wanted) {
      if (closed || asked.size >= AT_ONCE) return;
      const name = nameOf(place);
      if (kept.has(name) || asked.has(name)) continue;
      asked.add(name);
      fetch(place).then(
        (tile) => {
          asked.delete(name);
          if (closed) return;
          kept.set(name, { place, extent: extentOf(place, shape), steps: place.steps, tile });
          for (const oldest of kept.keys()) {
            if (kept.size <= KEPT) break;
            kept.delete(oldest);
          }
          proceed();
          changed(null);
        },
        (error: Error) => {
          asked.delete(name);
          if (closed) return;
          // Not again until something else is wanted: it would fail once more.
          wanted = [];
          changed(error);
        },
      );
    }
  };
  return {
    shape,
    want(places) {
      wanted = places;
      for (const place of places) {
        const name = nameOf(place);
        const known = kept.get(name);
        if (!known) continue;
        // The oldest are dropped first: what is in use becomes the newest.
        kept.delete(name);
        kept.set(name, known);
      }
      proceed();
    },
    cached() {
      const size = ({ steps }: { steps: Pair }) => steps[0] * steps[1];
      return [...kept.values()].sort((a, b) => size(b) - size(a));
    },
    cellOf(row, column) {
      let finest: Cell | null = null;
      let size = Number.POSITIVE_INFINITY;
      for (const { extent, steps, tile } of kept.values()) {
        const { rows, columns } = extent;
        const outside =
          row < rows[0] || row >= rows[1] || column < columns[0] || column >= columns[1];
        if (outside || steps[0] * steps[1] >= size) continue;
        size = steps[0] * steps[1];
        const i = Math.floor((row - rows[0]) / steps[0]);
        const j = Math.floor((column - columns[0]) / steps[1]);
        const at = i * tile.cells[1] + j;
        const range = (from: number, index: number, step: number, to: number): Pair => [
          from + index * step,
          Math.min(to, from + (index + 1) * step),
        ];
        finest = {
          rows: range(rows[0], i, steps[0], rows[1]),
          columns: range(columns[0], j, steps[1], columns[1]),
          value: tile.values[at],
          log10p: tile.log10p ? tile.log10p[at] : null,
        };
      }
      return finest;
    },
    settled: () => wanted.every((place) => kept.has(nameOf(place))),
    close() {
      closed = true;
      wanted = [];
    },
  };
}

const nameOf = ({ steps, at }: Place) => [...steps, ...at].join();
