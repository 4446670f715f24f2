import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { residual } from "../../dev/networks.js";
import {
  highlightedBy,
  incidentEdges,
  maskOf,
  strongestPath,
} from "../../src/logic/strongestPath.js";
import { type Cut, cutAtLevel } from "../../src/logic/threshold.js";
import { type Link, type Neuron, readScene, type Scene } from "../../src/wire/scene.js";

/** Written by tests/widget/wire/test_path_golden.py from the engine. */
interface Golden {
  sizes: number[];
  log10_p: number;
  depths: number[];
  links: {
    producer: number;
    consumer: number;
    backward: boolean;
    edges: [number, number, number][];
  }[];
  paths: { through: [number, number] | null; path: [number, number][] }[];
}

const golden: Golden[] = JSON.parse(
  readFileSync(new URL("../golden/paths.json", import.meta.url), "utf8"),
);

/** Only what paths are made of. */
function sceneOf({ sizes, depths, links, log10_p }: Golden): [Scene, Cut] {
  const edges = links.flatMap((link) => link.edges);
  let start = 0;
  const maps = sizes.map((neurons, map) => {
    start += neurons;
    return { start: start - neurons, neurons, depth: depths[map] };
  });
  let first = 0;
  const described = links.map(({ producer, consumer, backward, edges: { length } }) => {
    first += length;
    return { producer, consumer, backward, start: first - length, sent: length } as Link;
  });
  const scene = {
    maps,
    links: described,
    singularValue: new Float64Array(start),
    edgeM: Uint32Array.from(edges, ([m]) => m),
    edgeN: Uint32Array.from(edges, ([, n]) => n),
    log10p: { exact: Float64Array.from(edges, ([, , p]) => p) },
  } as unknown as Scene;
  const drawn = links.map((link) => link.edges.filter(([, , p]) => p <= log10_p).length);
  const cut = { law: "exact", log10p: log10_p, drawnPerLink: Uint32Array.from(drawn) };
  return [scene, cut as unknown as Cut];
}

describe("the strongest path", () => {
  it.each(golden.map((case_, index) => [index, case_] as const))(
    "is Python's, graph %d",
    (_, at) => {
      const [scene, cut] = sceneOf(at);
      for (const { through, path } of at.paths) {
        const neurons = through ? [{ map: through[0], k: through[1] }] : [];
        const found = strongestPath(scene, cut, neurons);
        expect(found?.neurons.map(({ map, k }) => [map, k]) ?? []).toEqual(path);
      }
    },
  );

  it("is through the best of several neurons, and its edges join its neurons", () => {
    const [scene, cut] = sceneOf(golden[3]);
    const neurons = [0, 1, 2, 3, 4, 5].map((k) => ({ map: 3, k }));
    const paths = neurons.map((neuron) => strongestPath(scene, cut, [neuron]));
    const evidence = paths.map((path) => path?.evidence ?? 0);
    const best = strongestPath(scene, cut, neurons);
    expect(best?.evidence).toBe(Math.max(...evidence));
    best?.edges.forEach(({ link, m, n, edge }, step) => {
      const { producer, consumer } = scene.links[link];
      expect(best.neurons[step]).toEqual({ map: producer, k: m });
      expect(best.neurons[step + 1]).toEqual({ map: consumer, k: n });
      expect([scene.edgeM[edge], scene.edgeN[edge]]).toEqual([m, n]);
    });
    const sum = best?.edges.reduce(
      (total, { edge }) => total + cut.log10p - scene.log10p.exact[edge],
      0,
    );
    expect(sum).toBeCloseTo(best?.evidence ?? 0, 9);
  });
});

describe("what is highlighted for some neurons", () => {
  const scene = readScene(residual()) as Scene;
  const cut = cutAtLevel(scene, "exact", "p", 0.01);

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
    const highlighted = highlightedBy(scene, cut, neurons, maskOf(scene, neurons));
    expect(highlighted.edges).toBe(expected.length);
    expect(highlighted.path?.neurons.some(({ map, k }) => has(map, k)) ?? true).toBe(true);
  });
});
