import { describe, expect, it } from "vitest";
import { residual } from "../../dev/networks.js";
import { incidentEdges, litBy, maskOf } from "../../src/logic/lit.js";
import { cutAtLevel } from "../../src/logic/threshold.js";
import { type Neuron, readScene, type Scene } from "../../src/wire/scene.js";

const scene = readScene(residual()) as Scene;
const cut = cutAtLevel(scene, "exact", "p", 0.01);

describe("what lights up", () => {
  it.each([
    ["one neuron", [{ map: 2, k: 0 }]],
    ["a map linked to itself", [{ map: 8, k: 1 }]],
    ["many", Array.from({ length: 30 }, (_, k) => ({ map: 3 + (k % 4), k }))],
  ] as [string, Neuron[]][])("is every drawn edge at %s, once", (_, neurons) => {
    const has = (map: number, k: number) => neurons.some((at) => at.map === map && at.k === k);
    const expected: number[] = [];
    scene.links.forEach(({ producer, consumer, start }, link) => {
      for (let edge = start; edge < start + cut.drawnPerLink[link]; edge++) {
        if (has(producer, scene.edgeM[edge]) || has(consumer, scene.edgeN[edge])) {
          expected.push(edge);
        }
      }
    });
    expect(expected.length).toBeGreaterThan(0);
    expect(incidentEdges(scene, cut, neurons).map(({ edge }) => edge)).toEqual(expected);
    const lit = litBy(scene, cut, neurons, maskOf(scene, neurons));
    expect(lit.edges).toBe(expected.length);
    expect(lit.path?.neurons.some(({ map, k }) => has(map, k)) ?? true).toBe(true);
  });
});
