import { describe, expect, it } from "vitest";
import type { Container, Tensor } from "../../src/wire/codec.js";
import { readLinks, SceneError } from "../../src/wire/scene.js";

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
  return readLinks(container, meta, LAWS, (name, type, length) => {
    const data = arrays.get(name)?.data;
    if (!(data instanceof type) || (length !== undefined && data.length !== length)) {
      throw new SceneError(name);
    }
    return data;
  });
}

describe("links in columns", () => {
  it("are read as they were packed", () => {
    const through = [["relu"], []];
    expect(read(columns(), { through })).toEqual([
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

  it("may be listed in words, as in scenes of before", () => {
    const links = [{ producer: 0 }];
    expect(read(new Map(), { links })).toBe(links);
    expect(() => read(new Map(), {})).toThrow("no links");
  });
});
