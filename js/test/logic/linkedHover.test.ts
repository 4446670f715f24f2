import { describe, expect, it } from "vitest";
import { residual } from "../../dev/networks.js";
import { hoverOf, marksOf, neuronsOf } from "../../src/logic/linkedHover.js";
import { factsOfSentEdges } from "../../src/logic/matrices.js";
import type { Cell } from "../../src/logic/tiles.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const scene = readScene(residual()) as Scene;
const LINK = 1;
const facts = factsOfSentEdges(scene, LINK);

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
