import { describe, expect, it } from "vitest";
import { changesOf, differencesOf } from "../../src/logic/differences.js";
import type { Cut } from "../../src/logic/threshold.js";
import type { Alikes } from "../../src/wire/matchings.js";
import type { Scene } from "../../src/wire/scene.js";

/** Two maps of two neurons and one link, with edges by their ends. */
function scene(values: number[], edges: [number, number, number][]): Scene {
  const maps = ["a", "b"].map((name, at) => ({ name, start: 2 * at, neurons: 2 }));
  return {
    maps,
    links: [{ producer: 0, consumer: 1, start: 0, sent: edges.length }],
    singularValue: Float64Array.from(values),
    edgeM: Uint32Array.from(edges, ([m]) => m),
    edgeN: Uint32Array.from(edges, ([, n]) => n),
    edgeWeight: Float32Array.from(edges, ([, , weight]) => weight),
  } as unknown as Scene;
}

const cut = (drawn: number) => ({ drawnPerLink: [drawn] }) as unknown as Cut;

function alikes(partner: number[], nearest: number[], alone: number[], overlap: number[]): Alikes {
  return {
    partner: Int32Array.from(partner),
    nearest: Int32Array.from(nearest),
    overlap: Float32Array.from(overlap),
    log10p: new Float64Array(partner.length),
    alone: Uint8Array.from(alone),
  };
}

// The neurons of "a" change places; of "b" the second is gone and another came.
const base = scene(
  [5, 3, 2, 1],
  [
    [0, 0, 0.9],
    [1, 0, 0.8],
    [0, 1, 0.1],
  ],
);
const other = scene(
  [4, 3.5, 6, 2],
  [
    [1, 1, 0.9],
    [0, 0, 0.7],
  ],
);
const matching = {
  base: alikes([1, 0, 3, -1], [1, 0, 3, 2], [0, 0, 0, 1], [0.9, 0.9, 1, 0.2]),
  other: alikes([1, 0, -1, 2], [1, 0, 2, 2], [0, 0, 1, 0], [0.9, 0.9, 0.25, 1]),
};

describe("changes", () => {
  it("are the same, new and gone, the largest first", () => {
    const changes = changesOf(base, other, matching);
    expect(changes?.map(({ fate, column, difference }) => [fate, column, difference])).toEqual([
      ["new", 1, 6],
      ["same", 0, -1.5],
      ["same", 0, 1],
      ["gone", 1, -1],
      ["same", 1, 0],
    ]);
    expect(changes?.[0]).toMatchObject({
      base: { map: 1, k: 0 },
      other: { map: 1, k: 0 },
      value: 0,
      overlap: 0.25,
      ringed: true,
    });
    expect(changes?.[1]).toMatchObject({ base: { map: 0, k: 0 }, other: { map: 0, k: 1 } });
  });

  it("leave out neurons that take no part", () => {
    const nothing = { ...matching.other, overlap: new Float32Array(4).fill(Number.NaN) };
    const changes = changesOf(base, other, { ...matching, other: nothing });
    expect(changes?.map(({ fate }) => fate)).toEqual(["gone"]);
  });

  it("are not known while a matching of other scenes is here", () => {
    expect(changesOf(scene([1, 2, 3, 4, 5], []), other, matching)).toBeNull();
  });
});

describe("differences of edges", () => {
  const changes = changesOf(base, other, matching) ?? [];

  it("follow the neurons, not their places", () => {
    const { kept, came, went } = differencesOf(changes, base, cut(2), other, cut(2));
    // 5 -> 2 of the base is 3.5 -> 2 of the other; 3 -> 2 went; 4 -> the new one came.
    expect(kept).toEqual([{ from: 1, to: 4, weight: expect.closeTo(0.9) }]);
    expect(came).toEqual([{ from: 2, to: 0, weight: expect.closeTo(0.7) }]);
    expect(went).toEqual([{ from: 2, to: 4, weight: expect.closeTo(0.8) }]);
  });

  it("are of the significant edges only", () => {
    const { kept, came, went } = differencesOf(changes, base, cut(3), other, cut(0));
    expect([kept.length, came.length, went.length]).toEqual([0, 0, 3]);
  });
});
