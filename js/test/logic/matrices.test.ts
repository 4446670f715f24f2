import { describe, expect, it } from "vitest";
import { residual } from "../../dev/networks.js";
import {
  edgeOf,
  factsOfSentEdges,
  internalWords,
  readCoarseTile,
  tileOfSentEdges,
} from "../../src/logic/matrices.js";
import { type Cell, createTiles, type Pair, type Place } from "../../src/logic/tiles.js";
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

describe("internal dimensions in words", () => {
  const words = (p_value: number | null) =>
    internalWords({ d_out: 31, d_in: 28, deviation: 1, p_value });

  it.each([
    [0.0004996, "internal 31 × 28, p\u00a0<\u00a00.001"],
    [0.0213, "internal 31 × 28, p\u00a0=\u00a00.02"],
    [0.42, "no block, p\u00a0=\u00a00.4"],
    [null, "internal 31 × 28, significance unknown"],
  ])("p = %d", (p_value, expected) => expect(words(p_value)).toBe(expected));
});
