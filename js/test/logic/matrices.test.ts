import { describe, expect, it } from "vitest";
import { residual } from "../../dev/networks.js";
import { hoverOf, marksOf, neuronsOf } from "../../src/logic/linkedHover.js";
import {
  edgeOf,
  factsOfSentEdges,
  readCoarseTile,
  tileOfSentEdges,
} from "../../src/logic/matrices.js";
import { type Cell, createTiles, type Pair, type Place } from "../../src/logic/tiles.js";
import { barScale, barsAlong } from "../../src/ui/matrix/margins.js";
import { encode } from "../../src/wire/codec.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const scene = readScene(residual()) as Scene;
const LINK = 1;
const facts = factsOfSentEdges(scene, LINK);

describe("a matrix of the edges that were sent", () => {
  it("has the strongest edge of each cell", () => {
    const steps: Pair = [4, 5];
    const tile = tileOfSentEdges(scene, LINK, "exact", { steps, at: [0, 0] });
    expect(tile.cells).toEqual([12, 10]);
    const { start, sent } = scene.links[LINK];
    const expected = new Map<string, number>();
    for (let edge = start; edge < start + sent; edge++) {
      const cell = `${Math.floor(scene.edgeN[edge] / 4)},${Math.floor(scene.edgeM[edge] / 5)}`;
      expected.set(cell, Math.max(expected.get(cell) ?? 0, scene.edgeWeight[edge]));
    }
    for (let i = 0; i < 12; i++) {
      for (let j = 0; j < 10; j++) {
        expect(tile.values[i * 10 + j]).toBe(expected.get(`${i},${j}`) ?? 0);
      }
    }
    expect(Math.max(...tile.values)).toBeCloseTo(facts.max, 6);
  });

  it("finds the edge that a cell shows", async () => {
    const fetch = async (place: Place) => tileOfSentEdges(scene, LINK, "exact", place);
    const tiles = createTiles(facts.shape, fetch, () => {});
    tiles.want([{ steps: [8, 8], at: [0, 0] }]);
    await Promise.resolve();
    await Promise.resolve();
    const { start } = scene.links[LINK];
    const [n, m] = [scene.edgeN[start], scene.edgeM[start]];
    const cell = tiles.cellOf(n, m) as Cell;
    expect(edgeOf(scene, LINK, cell)).toEqual({ link: LINK, m, n, edge: start });
    expect(edgeOf(scene, LINK, { ...cell, value: cell.value * 1.01 })).toBeNull();
  });
});

describe("the one tile of a page without Python", () => {
  it("is exact where an edge was sent, and near otherwise", () => {
    const place: Place = { steps: [4, 5], at: [0, 0] };
    const sent = tileOfSentEdges(scene, LINK, "exact", place);
    const truth = sent.values.map((value, at) => value || 1e-3 * (1 + (at % 7)));
    // A cell whose strongest entry was not sent, though a weaker one was.
    const shadowed = sent.values.length - 1;
    truth[shadowed] = facts.max / 2;
    expect(sent.values[shadowed]).toBeLessThan(facts.max / 3);
    const data = Uint8Array.from(truth, (value) => Math.round(255 * Math.sqrt(value / facts.max)));
    const bytes = encode({}, new Map([["values", { shape: [...sent.cells], data }]]));
    const tile = readCoarseTile(bytes, facts.max, sent);
    tile.values.forEach((value, at) => {
      if (sent.values[at] > 0 && at !== shadowed) expect(value).toBe(sent.values[at]);
      const root = (of: number) => Math.sqrt(of / facts.max);
      expect(Math.abs(root(value) - root(truth[at]))).toBeLessThanOrEqual(0.51 / 255);
    });
    expect(tile.log10p).toBe(sent.log10p);
    // Of another matrix nothing but the bytes is known.
    const other = readCoarseTile(bytes, facts.max, null);
    expect([other.cells, other.log10p]).toEqual([sent.cells, null]);
    const shares = [...data].map((share) => Math.fround(facts.max * (share / 255) ** 2));
    expect([...other.values]).toEqual(shares);
  });
});

describe("what is pointed at", () => {
  const { start } = scene.links[LINK];
  const [n, m] = [scene.edgeN[start], scene.edgeM[start]];
  const { producer, consumer } = scene.links[LINK];
  const whole = { ...facts, complete: true };
  const at = (row: number, column: number, value: number): Cell => ({
    rows: [row, row + 1],
    columns: [column, column + 1],
    value,
    log10p: null,
  });
  const strongest = { cell: at(n, m, scene.edgeWeight[start]), row: null, column: null };

  it("is an edge of the graph, and its two neurons", () => {
    expect(hoverOf(scene, whole, strongest)).toMatchObject({ kind: "edge", m, n, edge: start });
    expect(neuronsOf(scene, whole, strongest)).toEqual([
      { map: producer, k: m },
      { map: consumer, k: n },
    ]);
  });

  it("is an edge with a weight also where it was not sent, if Python answered", () => {
    const weak = { ...strongest, cell: at(40, 40, 1e-9) };
    expect(hoverOf(scene, whole, weak)).toMatchObject({ m: 40, n: 40, edge: null, weight: 1e-9 });
    expect(hoverOf(scene, facts, weak)).toBeNull();
  });

  it("is a neuron where the rows are none of the graph's", () => {
    const output = { ...whole, which: "output", rowsShown: false } as const;
    expect(hoverOf(scene, output, strongest)).toMatchObject({
      kind: "neuron",
      neuron: { map: producer, k: m },
    });
    expect(neuronsOf(scene, output, { cell: null, row: 3, column: null })).toEqual([]);
  });

  it("is marked, whichever side it comes from", () => {
    const selected = [
      { map: producer, k: 5 },
      { map: consumer, k: 7 },
    ];
    const hover = { kind: "neuron", neuron: { map: consumer, k: 2 }, from: "graph" } as const;
    const marks = marksOf(scene, whole, { target: null, hover, selected });
    expect(marks).toEqual({
      cell: null,
      row: 2,
      column: null,
      rows: new Set([7]),
      columns: new Set([5]),
    });
    const edge = { kind: "edge", link: LINK, m, n, weight: 1, edge: start, from: "graph" } as const;
    const cell = marksOf(scene, whole, { target: null, hover: edge, selected: [] }).cell;
    expect(cell).toEqual({ rows: [n, n + 1], columns: [m, m + 1] });
  });
});

describe("bars along a margin", () => {
  it("are logarithmic where the middle one could not be seen", () => {
    expect(barScale([4, 3, 2]).log).toBe(false);
    expect(barScale([4, 3, 2]).share(2)).toBe(0.5);
    const log = barScale([100, 1, 0.1, 0]);
    expect(log.log).toBe(true);
    expect(log.share(100)).toBe(1);
    expect(log.share(0)).toBe(0);
    expect(log.share(0.1)).toBeGreaterThan(0);
    expect(log.share(10) - log.share(1)).toBeCloseTo(log.share(1) - log.share(0.1), 12);
    expect(barScale([0, 0]).share(0)).toBe(0);
  });

  it("fill the pixels without a gap, each the first of the entries that share it", () => {
    for (const [entries, offset, size, room] of [
      [4096, 0, 280 / 4096, 280],
      [4096, -400.3, 0.7, 280],
      [10, 0, 28, 280],
      [10, -31.5, 44, 280],
      [3, 0, 5, 280],
    ]) {
      const bars = barsAlong(entries, offset, size, room);
      const end = Math.min(room, Math.round(offset + entries * size));
      expect(bars[0].start).toBe(Math.max(0, Math.round(offset)));
      expect(bars.at(-1)?.end).toBe(end);
      bars.forEach((bar, index) => {
        if (index > 0) expect(bar.start).toBe(bars[index - 1].end);
        expect(bar.end).toBeGreaterThan(bar.start);
        if (index > 0) expect(Math.round(offset + bar.entry * size)).toBe(bar.start);
      });
    }
  });
});
