import { describe, expect, it } from "vitest";
import { residual, vgg } from "../../dev/networks.js";
import {
  edgeRows,
  linkOf,
  mapOf,
  neuronRows,
  sorted,
  tabSeparated,
} from "../../src/logic/tableRows.js";
import { cutAtLevel } from "../../src/logic/threshold.js";
import {
  heightOf,
  ROW_HEIGHT,
  revealRow,
  rowsSeen,
  TALLEST,
} from "../../src/ui/kit/virtualList.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const scene = readScene(residual()) as Scene;
const cut = cutAtLevel(scene, "exact", "p", 0.01);

describe("rows of edges", () => {
  it("are the significant ones, of every link", () => {
    const rows = edgeRows(scene, cut, null);
    const expected = [...scene.edgeWeight.keys()].filter((e) => scene.log10p.exact[e] <= -2);
    expect([...rows].sort((a, b) => a - b)).toEqual(expected);
  });

  it("can be those that touch the selection", () => {
    const mask = new Uint8Array(scene.singularValue.length);
    mask[scene.maps[3].start + 2] = 1;
    const rows = edgeRows(scene, cut, mask);
    expect(rows.length).toBeGreaterThan(0);
    const expected = [...edgeRows(scene, cut, null)].filter((edge) => {
      const { producer, consumer } = scene.links[linkOf(scene, edge)];
      return (
        (producer === 3 && scene.edgeM[edge] === 2) || (consumer === 3 && scene.edgeN[edge] === 2)
      );
    });
    expect([...rows]).toEqual(expected);
  });
});

describe("rows of neurons", () => {
  it("are a map's, or all", () => {
    expect(neuronRows(scene, null, null).length).toBe(scene.singularValue.length);
    const { start, neurons } = scene.maps[2];
    const rows = [...neuronRows(scene, 2, null)];
    expect(rows).toEqual(Array.from({ length: neurons }, (_, k) => start + k));
    expect(rows.map((row) => mapOf(scene, row))).toEqual(rows.map(() => 2));
  });
});

describe("sorting", () => {
  const big = readScene(vgg()) as Scene;
  const rows = edgeRows(big, cutAtLevel(big, "exact", "p", 0.2), null);
  const value = (edge: number, column: number) => {
    const { producer, consumer } = big.links[linkOf(big, edge)];
    if (column === 0) return producer * 1e6 + big.edgeM[edge];
    if (column === 1) return consumer * 1e6 + big.edgeN[edge];
    return column === 2 ? big.edgeWeight[edge] : Math.fround(big.log10p.exact[edge]);
  };

  it.each([
    [0, false],
    [0, true],
    [1, false],
    [2, true],
    [2, false],
    [3, false],
    [3, true],
  ])("by column %i, descending %s, is stable and what comparing gives", (column, descending) => {
    const sign = descending ? -1 : 1;
    const expected = [...rows].sort((a, b) => sign * (value(a, column) - value(b, column)));
    const found = sorted(big, "exact", "edges", rows, { column, descending });
    expect(found.length).toBeGreaterThan(1000);
    expect([...found]).toEqual(expected);
  });

  it("orders neurons by each of their columns", () => {
    const all = neuronRows(scene, null, null);
    const energy = (row: number) => {
      const map = scene.maps[mapOf(scene, row)];
      return scene.singularValue[row] ** 2 / map.energy;
    };
    const values = [
      (row: number) => row,
      (row: number) => scene.singularValue[row],
      energy,
      (row: number) => scene.intensity[row],
    ];
    values.forEach((of, column) => {
      const found = [...sorted(scene, "exact", "neurons", all, { column, descending: true })];
      expect(new Set(found).size).toBe(all.length);
      for (let at = 1; at < found.length; at++) {
        expect(of(found[at])).toBeLessThanOrEqual(of(found[at - 1]) * (1 + 1e-6));
      }
    });
  });

  it("puts negative numbers below positive ones, and zero between", () => {
    const values = [-0.5, 3, 0, -1e-30, 1e-30, -8];
    const log10p = { exact: Float64Array.from(values), chi2: new Float64Array(6) };
    const tiny = { ...scene, log10p } as Scene;
    const found = sorted(tiny, "exact", "edges", Uint32Array.from([0, 1, 2, 3, 4, 5]), {
      column: 3,
      descending: false,
    });
    expect([...found].map((row) => values[row])).toEqual([-8, -0.5, -1e-30, 0, 1e-30, 3]);
  });
});

describe("tab-separated values", () => {
  it("have a column for each of Python's, and as many cells in every line", () => {
    const rows = edgeRows(scene, cut, null);
    const lines = tabSeparated(scene, "exact", "edges", rows).trimEnd().split("\n");
    expect(lines.length).toBe(rows.length + 1);
    expect(new Set(lines.map((line) => line.split("\t").length))).toEqual(new Set([6]));
    const cells = lines[1].split("\t");
    expect(Number(cells[4])).toBe(scene.edgeWeight[rows[0]]);
    expect(cells[0]).toBe(scene.maps[scene.links[linkOf(scene, rows[0])].producer].name);
  });

  it("let no name end its cell or become a formula", () => {
    const maps = scene.maps.map((map, at) => (at === 0 ? { ...map, name: "=1+\t\r\n1" } : map));
    const text = tabSeparated({ ...scene, maps }, "exact", "neurons", Uint32Array.of(0, 1));
    const lines = text.trimEnd().split("\n");
    expect(lines.map((line) => line.split("\t").length)).toEqual([5, 5, 5]);
    expect(lines[1].startsWith("'=1+ 1\t0\t")).toBe(true);
  });
});

describe("long lists", () => {
  it("show the rows that are scrolled to", () => {
    expect(rowsSeen(1000, 0, 240)).toEqual({ first: 0, end: 10, top: 0 });
    expect(rowsSeen(1000, 250, 240)).toEqual({ first: 10, end: 21, top: 240 });
    expect(rowsSeen(3, 0, 240)).toEqual({ first: 0, end: 3, top: 0 });
    expect(rowsSeen(0, 0, 240)).toEqual({ first: 0, end: 0, top: 0 });
  });

  it("reach their last row, also where they are longer than an element may be", () => {
    for (const rows of [1000, 300_000, 5_000_000]) {
      const height = heightOf(rows);
      expect(height).toBeLessThanOrEqual(TALLEST);
      const { first, end, top } = rowsSeen(rows, height - 240, 240);
      expect(end).toBe(rows);
      expect(top + (end - first) * ROW_HEIGHT).toBeCloseTo(height, 3);
      const middle = rowsSeen(rows, (height - 240) / 2, 240);
      expect(middle.first / rows).toBeCloseTo(0.5, 1);
    }
  });

  it("bring a row into sight by the shortest way", () => {
    expect(revealRow(1000, 240, 240, 12)).toBe(240);
    expect(revealRow(1000, 240, 240, 3)).toBe(72);
    expect(revealRow(1000, 240, 240, 30)).toBe(31 * ROW_HEIGHT - 240);
    for (const rows of [1000, 5_000_000]) {
      for (const row of [0, 17, Math.floor(rows / 3), rows - 1]) {
        const scrollTop = revealRow(rows, 0, 240, row);
        const { first, end } = rowsSeen(rows, scrollTop, 240);
        expect(first).toBeLessThanOrEqual(row);
        expect(end).toBeGreaterThan(row);
      }
    }
  });
});
