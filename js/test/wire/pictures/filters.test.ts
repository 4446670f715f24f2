import { signal } from "@preact/signals-core";
import { describe, expect, it, vi } from "vitest";
import type { Palette } from "../../../src/paint/palette.js";
import { kernelGrid, scaleOf, signedColour } from "../../../src/paint/signedColours.js";
import { resource } from "../../../src/ui/status/resource.js";
import type { View } from "../../../src/ui/view.js";
import { encode, type Tensor } from "../../../src/wire/codec.js";
import {
  neuronOf,
  neuronsWithFilters,
  readFilters,
  readVectors,
} from "../../../src/wire/pictures/filters.js";

const palette: Palette = {
  paper: [255, 255, 255],
  ink: [0, 0, 0],
  accent: [0, 0, 255],
  neutral: [128, 128, 128],
  kinds: { linear: [0, 114, 178], convolution: [213, 94, 0] },
};

describe("signed colours", () => {
  it("keep the sign, are paper at zero and full at the end of the scale", () => {
    expect(signedColour(palette, 0, 2)).toEqual(palette.paper);
    expect(signedColour(palette, 2, 2)).toEqual(palette.kinds.convolution);
    expect(signedColour(palette, -2, 2)).toEqual(palette.kinds.linear);
    expect(signedColour(palette, -9, 2)).toEqual(palette.kinds.linear);
    expect(signedColour(palette, 1, 0)).toEqual(palette.paper);
    const blues = [0, -0.2, -0.5, -1, -2].map((value) => signedColour(palette, value, 2)[0]);
    expect(blues).toEqual([...blues].sort((a, b) => b - a));
  });

  it("have the largest magnitude as their scale", () => {
    expect(scaleOf([0.5, -3, 2])).toBe(3);
    expect(scaleOf([])).toBe(0);
  });
});

describe("kernels", () => {
  it("are laid out by rows, lines as one row, volumes slice by slice", () => {
    const read = (kernel: number[]) => {
      const { rows, columns, at } = kernelGrid(kernel);
      return Array.from({ length: rows }, (_, row) =>
        Array.from({ length: columns }, (_, column) => at(row, column)),
      );
    };
    expect(read([2, 3])).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ]);
    expect(read([3])).toEqual([[0, 1, 2]]);
    expect(read([])).toEqual([[0]]);
    expect(read([2, 2, 2])).toEqual([
      [0, 1, -1, 4, 5],
      [2, 3, -1, 6, 7],
    ]);
    expect(() => kernelGrid([1, 2, 3, 4])).toThrow("4 dimensions");
  });
});

describe("Python's filters", () => {
  const tensor = (shape: number[], data: Tensor["data"]): Tensor => ({ shape, data });

  it("are one array an edge", () => {
    const data = Float32Array.from({ length: 12 }, (_, at) => at);
    const meta = { rows: [4], columns: [0, 7], kernel: [2, 3] };
    const found = readFilters(encode(meta, new Map([["filters", tensor([1, 2, 2, 3], data)]])));
    expect(found).toMatchObject(meta);
    expect(found.filters.map((one) => [...one])).toEqual([
      [0, 1, 2, 3, 4, 5],
      [6, 7, 8, 9, 10, 11],
    ]);
    expect(() => readFilters(encode(meta, new Map()))).toThrow("no filters");
  });

  it("are the channels of both sides of a neuron", () => {
    const arrays = new Map([
      ["V", tensor([2, 2], Float32Array.of(1, 2, 3, 4))],
      ["V_channels", tensor([2], Uint32Array.of(9, 1))],
      ["U", tensor([1], Float32Array.of(-1))],
      ["U_channels", tensor([1], Uint32Array.of(5))],
    ]);
    const meta = { V: { kernel: [2], total: 10 }, U: { kernel: [], total: 6 } };
    const { V, U } = readVectors(encode(meta, arrays));
    expect([...V.filters[1]]).toEqual([3, 4]);
    expect([V.total, [...V.channels], [...U.filters[0]]]).toEqual([10, [9, 1], [-1]]);
  });
});

describe("which neurons are shown", () => {
  it("are the selected ones, else the first, and what is left out is counted", () => {
    expect(neuronsWithFilters(1, 3, [])).toEqual({ shown: [0, 1, 2], leftOut: 0 });
    const selected = Array.from({ length: 9 }, (_, k) => ({ map: 1, k: 2 * k }));
    expect(neuronsWithFilters(1, 40, [{ map: 0, k: 5 }, ...selected])).toEqual({
      shown: [0, 2, 4, 6, 8, 10],
      leftOut: 3,
    });
    expect(neuronOf(undefined, [])).toBeNull();
    expect(neuronOf(undefined, selected)).toEqual({ map: 1, k: 16 });
  });
});

describe("a resource", () => {
  it("asks one question at a time, skips those overtaken, and keeps answers", async () => {
    const asked: { k: unknown; resolve: (value: never) => void }[] = [];
    const ask = vi.fn(
      ({ k }) => new Promise((resolve) => asked.push({ k, resolve: resolve as never })),
    );
    const { effect } = await import("@preact/signals-core");
    const view = {
      state: { scene: signal({}) },
      signal: new AbortController().signal,
      watch: (run: () => void) => void effect(run),
      ask,
    } as unknown as View;
    const k = signal(1);
    const found = resource(
      view,
      () => ({ kind: "vectors", column: 0, k: k.value, most: 1 }),
      (answer) => Number(answer.message.k) * 10,
    );
    const answer = async () => {
      const { k, resolve } = asked.shift() as (typeof asked)[0];
      resolve({ message: { k }, buffers: [] } as never);
      await new Promise((done) => setTimeout(done));
    };
    k.value = 2;
    k.value = 3;
    expect(asked.map((one) => one.k)).toEqual([1]);
    expect(found.busy.value).toBe(true);
    await answer();
    expect(found.value.value).toBeNull();
    expect(asked.map((one) => one.k)).toEqual([3]);
    await answer();
    expect([found.value.value, found.busy.value]).toEqual([30, false]);
    k.value = 1;
    expect([found.value.value, ask.mock.calls.length]).toEqual([10, 2]);
  });
});
