import { describe, expect, it, vi } from "vitest";
import {
  ALL,
  createTiles,
  extentOf,
  type Frame,
  mostZoom,
  type Pair,
  panned,
  placesFor,
  revealing,
  stepFor,
  TILE,
  type Tile,
  zoomAbout,
} from "../../src/logic/tiles.js";

const BIG: Pair = [4096, 4096];
const PANE: Pair = [280, 280];

describe("steps", () => {
  it("leave a cell no less than a pixel, and less than two", () => {
    for (const entries of [1, 7, 280, 281, 560, 561, 1000, 4096, 25_088]) {
      const step = stepFor(entries, 280, 1);
      expect(Number.isInteger(Math.log2(step))).toBe(true);
      const pixels = (280 * step) / entries;
      expect(pixels).toBeGreaterThanOrEqual(1);
      if (step > 1) expect(pixels).toBeLessThan(2);
    }
  });

  it("end at single entries when one goes in", () => {
    expect(stepFor(4096, 280, 1)).toBe(16);
    expect(stepFor(4096, 280, 4)).toBe(4);
    expect(stepFor(4096, 280, 20)).toBe(1);
  });
});

describe("places", () => {
  const frames: Frame[] = [
    ALL,
    { zoom: 3, x: 0.2, y: 0.5 },
    { zoom: 17.3, x: 1 - 1 / 17.3, y: 0.41 },
    { zoom: 200, x: 0.6, y: 0 },
  ];

  it.each(frames)("cover what is seen, once, and little more: %o", (frame) => {
    const places = placesFor(BIG, PANE, frame);
    const seen = (entry: number, from: number) =>
      entry + 1 > from * 4096 + 1e-6 && entry < (from + 1 / frame.zoom) * 4096 - 1e-6;
    for (let row = 5; row < 4096; row += 61) {
      for (let column = 3; column < 4096; column += 67) {
        if (!seen(row, frame.y) || !seen(column, frame.x)) continue;
        const holding = places.filter((place) => {
          const { rows, columns } = extentOf(place, BIG);
          const within = (at: number, [from, to]: Pair) => at >= from && at < to;
          return within(row, rows) && within(column, columns);
        });
        expect(holding.length).toBe(1);
      }
    }
    // 280 pixels hold fewer cells than two tiles, so three a side at most.
    expect(places.length).toBeLessThanOrEqual(9);
  });

  it("are never the whole of a large matrix at once", () => {
    const cells = placesFor(BIG, PANE, ALL).length * TILE ** 2;
    expect(cells).toBeLessThanOrEqual(4 * TILE ** 2);
  });

  it("begin in the middle", () => {
    const places = placesFor(BIG, [700, 700], { zoom: 8, x: 0.3, y: 0.3 });
    const rows = places.map(({ at }) => at[0]);
    const middle = (Math.min(...rows) + Math.max(...rows)) / 2;
    expect(Math.abs(rows[0] - middle)).toBeLessThanOrEqual(0.5);
  });

  it("step rows and columns apart where a matrix is flat", () => {
    expect(placesFor([10, 4096], [100, 250], ALL)).toEqual([{ steps: [1, 32], at: [0, 0] }]);
  });
});

describe("frames", () => {
  it("stay where the pointer is, and within the matrix", () => {
    let frame = ALL;
    for (let step = 0; step < 12; step++) {
      const before = frame.x + 0.25 / frame.zoom;
      frame = zoomAbout(frame, 1.7, 0.25, 1, 300);
      expect(frame.x + 0.25 / frame.zoom).toBeCloseTo(before, 12);
      expect(frame.y + 1 / frame.zoom).toBeCloseTo(1, 12);
    }
    expect(frame.zoom).toBe(300);
    expect(zoomAbout(frame, 1e-9, 0.5, 0.5, 300)).toEqual(ALL);
  });

  it("do not leave the matrix", () => {
    const frame = panned({ zoom: 4, x: 0.5, y: 0.1 }, 9, -9);
    expect(frame).toEqual({ zoom: 4, x: 0.75, y: 0 });
    expect(panned(ALL, 0.3, 0.3)).toEqual(ALL);
  });

  it("reveal an entry, and move no more than that takes", () => {
    const frame: Frame = { zoom: 8, x: 0.25, y: 0.25 };
    expect(revealing(frame, [64, 64], 20, 18)).toEqual(frame);
    expect(revealing(frame, [64, 64], 24, 3)).toEqual({ zoom: 8, x: 3 / 64, y: 17 / 64 });
  });

  it("go in until an entry is large", () => {
    expect(mostZoom([4096, 1024], [256, 256], 32)).toBe(512);
    expect(mostZoom([4, 4], [256, 256], 32)).toBe(1);
  });
});

/** A matrix whose entry is its own number; its tiles are pooled as Python does. */
function numbered(shape: Pair) {
  const entry = (row: number, column: number) => row * shape[1] + column;
  const open: { resolve: () => void; reject: () => void; name: string }[] = [];
  const fetch = vi.fn(
    (place) =>
      new Promise<Tile>((resolve, reject) => {
        const { rows, columns } = extentOf(place, shape);
        const cells: Pair = [
          Math.ceil((rows[1] - rows[0]) / place.steps[0]),
          Math.ceil((columns[1] - columns[0]) / place.steps[1]),
        ];
        const values = new Float32Array(cells[0] * cells[1]);
        for (let row = rows[0]; row < rows[1]; row++) {
          for (let column = columns[0]; column < columns[1]; column++) {
            const i = Math.floor((row - rows[0]) / place.steps[0]);
            const j = Math.floor((column - columns[0]) / place.steps[1]);
            values[i * cells[1] + j] = entry(row, column);
          }
        }
        open.push({
          name: String(place.at),
          resolve: () => resolve({ cells, values, log10p: null }),
          reject: () => reject(new Error("no")),
        });
      }),
  );
  const settle = async (how: "resolve" | "reject" = "resolve") => {
    while (open.length > 0) {
      open.shift()?.[how]();
      await new Promise((done) => setTimeout(done));
    }
  };
  return { fetch, open, settle, entry };
}

const places = (steps: number, ...at: Pair[]) =>
  at.map((one) => ({ steps: [steps, steps] as const, at: one }));

describe("tiles", () => {
  it("ask little at a time, each thing once, and let go what is stale", async () => {
    const { fetch, open, settle } = numbered([2000, 2000]);
    const tiles = createTiles([2000, 2000], fetch, () => {});
    tiles.want(places(1, [0, 0], [0, 1], [0, 2], [0, 3]));
    expect(open.map(({ name }) => name)).toEqual(["0,0", "0,1"]);
    tiles.want(places(1, [5, 5], [0, 1]));
    await settle();
    const asked = fetch.mock.calls.map(([place]) => String(place.at));
    expect(asked).toEqual(["0,0", "0,1", "5,5"]);
    tiles.want(places(1, [5, 5]));
    expect(fetch).toHaveBeenCalledTimes(3);
  });

  it("know an entry's cell from the finest tile that is here", async () => {
    const { fetch, settle, entry } = numbered([700, 600]);
    const tiles = createTiles([700, 600], fetch, () => {});
    expect(tiles.cellOf(300, 300)).toBeNull();
    tiles.want(places(4, [0, 0]));
    await settle();
    const coarse = tiles.cellOf(699, 599);
    expect(coarse).toMatchObject({ rows: [696, 700], columns: [596, 600] });
    expect(coarse?.value).toBe(entry(699, 599));
    tiles.want(places(1, [2, 2]));
    await settle();
    expect(tiles.cellOf(699, 599)).toMatchObject({ rows: [699, 700], columns: [599, 600] });
    expect(tiles.cellOf(513, 515)?.value).toBe(entry(513, 515));
    expect(tiles.cached().map(({ steps }) => steps[0])).toEqual([4, 1]);
  });

  it("say what went wrong, and do not ask for it over and over", async () => {
    const { fetch, settle } = numbered([300, 300]);
    const errors: (Error | null)[] = [];
    const tiles = createTiles([300, 300], fetch, (error) => errors.push(error));
    tiles.want(places(1, [0, 0]));
    await settle("reject");
    expect(errors.map((error) => error?.message)).toEqual(["no"]);
    expect(fetch).toHaveBeenCalledTimes(1);
    tiles.want(places(1, [0, 0]));
    await settle();
    expect(errors.at(-1)).toBeNull();
  });

  it("forget the tiles that were used longest ago", async () => {
    const { fetch, settle } = numbered([30_000, 30_000]);
    const tiles = createTiles([30_000, 30_000], fetch, () => {});
    for (let at = 0; at < 100; at++) {
      tiles.want(places(1, [0, 0], [at, at]));
      await settle();
    }
    expect(tiles.cached().length).toBeLessThanOrEqual(80);
    const calls = fetch.mock.calls.length;
    tiles.want(places(1, [0, 0], [99, 99]));
    expect(fetch).toHaveBeenCalledTimes(calls);
    tiles.want(places(1, [1, 1]));
    expect(fetch).toHaveBeenCalledTimes(calls + 1);
  });

  it("are silent once closed", async () => {
    const { fetch, settle } = numbered([300, 300]);
    const changed = vi.fn();
    const tiles = createTiles([300, 300], fetch, changed);
    tiles.want(places(1, [0, 0], [0, 1], [1, 0]));
    tiles.close();
    await settle();
    expect(changed).not.toHaveBeenCalled();
    expect(fetch).toHaveBeenCalledTimes(2);
  });
});
