import { describe, expect, it } from "vitest";
import type { Container, Tensor } from "../../src/wire/codec.js";
import { SceneError } from "../../src/wire/codec.js";
import { columnsOf, leastP, plainOf, readLinks } from "../../src/wire/links/columns.js";
import { reader } from "../../src/wire/scene.js";

const LAWS = ["exact", "chi2"] as const;

function columns(): Map<string, Tensor> {
  const tensor = (data: Tensor["data"]): Tensor => ({ shape: [data.length], data });
  return new Map([
    ["link_producer", tensor(Uint32Array.of(0, 1, 1))],
    ["link_consumer", tensor(Uint32Array.of(1, 2, 2))],
    ["link_number", tensor(Uint16Array.of(0, 0, 1))],
    ["link_flags", tensor(Uint8Array.of(0, 1 + 4, 2 + 8))],
    ["link_through", tensor(Uint32Array.of(1, 0, 1))],
    ["link_sent", tensor(Uint32Array.of(3, 2, 0))],
    ["link_tests", tensor(Uint32Array.of(12, 9, 0))],
    ["link_law", tensor(Uint16Array.of(0, 1, 0))],
    ["link_m", tensor(Uint32Array.of(2, 1, 0))],
    ["link_n", tensor(Uint32Array.of(3, 0, 0))],
    ["link_strongest", tensor(Float64Array.of(0.9, 0.7, 0))],
    ["link_log10_p_exact", tensor(Float64Array.of(-4, -2, 0))],
    ["link_log10_p_chi2", tensor(Float64Array.of(-3, -1, 0))],
    ["law_mean", tensor(Float64Array.of(0.1, 0.2))],
  ]);
}

function read(arrays: Map<string, Tensor>, meta: object = {}) {
  const container = { arrays, meta } as unknown as Container;
  return readLinks(container, meta, LAWS, reader(container));
}

describe("links in columns", () => {
  it("are read as they were packed", () => {
    const through = [["relu"], []];
    expect(read(columns(), { through }).map(plainOf)).toEqual([
      {
        ...{ producer: 0, consumer: 1, number: 0, through: [], start: 0, sent: 3, tests: 12 },
        ...{ backward: false, by_construction: false, side: null, law: 0, mean: 0.1 },
        strongest: { m: 2, n: 3, weight: 0.9, log10_p: { exact: -4, chi2: -3 } },
      },
      {
        ...{ producer: 1, consumer: 2, number: 0, through: ["relu"], start: 3, sent: 2, tests: 9 },
        ...{ backward: true, by_construction: false, side: "q", law: 1, mean: 0.2 },
        strongest: { m: 1, n: 0, weight: 0.7, log10_p: { exact: -2, chi2: -1 } },
      },
      {
        ...{ producer: 1, consumer: 2, number: 1, through: [], start: 5, sent: 0, tests: 0 },
        ...{ backward: false, by_construction: true, side: "k", law: 0, mean: 0.1 },
        strongest: null,
      },
    ]);
  });

  it("are refused where a column is missing or of another length", () => {
    for (const name of [...columns().keys()].slice(1)) {
      const arrays = columns();
      arrays.delete(name);
      expect(() => read(arrays), name).toThrow(SceneError);
    }
    const arrays = columns();
    arrays.set("link_sent", { shape: [1], data: Uint32Array.of(1) });
    expect(() => read(arrays)).toThrow("link_sent");
  });

  it("are the same in as few bytes as their numbers need", () => {
    const narrow = columns();
    for (const [name, { shape, data }] of narrow) {
      if (!(data instanceof Float64Array)) narrow.set(name, { shape, data: Uint8Array.from(data) });
    }
    const told = read(narrow, { through: [[], ["relu"]] });
    expect(told.map(plainOf)).toEqual(read(columns(), { through: [[], ["relu"]] }).map(plainOf));
    narrow.set("link_log10_p_exact", { shape: [3], data: Float32Array.of(-4, -2, 0) });
    expect(read(narrow)[0].strongest?.log10_p).toEqual({ exact: -4, chi2: -3 });
    narrow.set("link_sent", { shape: [3], data: Int32Array.of(3, 2, 0) });
    expect(() => read(narrow)).toThrow("link_sent");
  });

  it("are walked in columns, the same whether they came so or in words", () => {
    const packed = read(columns());
    const listed = packed.map(plainOf);
    const [found, expected] = [columnsOf(packed), columnsOf(listed)];
    for (const name of Object.keys(expected) as (keyof typeof expected)[]) {
      expect([...found[name]], name).toEqual([...expected[name]]);
    }
    expect([...found.tested]).toEqual([0, 1]);
    expect([...found.tied]).toEqual([2]);
    expect([...found.withEdges]).toEqual([0, 1]);
    for (const links of [packed, listed]) {
      expect([...leastP(links, "chi2")]).toEqual([-3, -1, Number.NaN]);
    }
  });

  it("may be listed in words, as in scenes of before", () => {
    const links = [{ producer: 0 }];
    expect(read(new Map(), { links })).toBe(links);
    expect(() => read(new Map(), {})).toThrow("no links");
  });
});
