import { describe, expect, it } from "vitest";
import { matchingMaps, search } from "../../src/logic/searchMaps.js";
import type { Scene } from "../../src/wire/scene.js";

const NAMES = [
  "stem",
  "layer1.0.conv1",
  "layer1.0.conv2",
  "layer2.0.conv1",
  "conv1",
  "طبقة",
  "fc 2",
];
const scene = {
  modules: [],
  maps: NAMES.map((name, index) => ({ name, label: name, neurons: index === 0 ? 3 : 64 })),
} as unknown as Scene;
const names = (text: string) => matchingMaps(scene, text).map((map) => NAMES[map]);
const neurons = (text: string) =>
  search(scene, text)
    .matches.flatMap((found) => ("k" in found && found.k !== null ? [found] : []))
    .map(({ map, k }) => `${NAMES[map]} ${k}`);

describe("search", () => {
  it("puts the same name first, then beginnings, words, middles, letters in order", () => {
    expect(names("conv1")).toEqual(["conv1", "layer1.0.conv1", "layer2.0.conv1"]);
    expect(names("LAYER1")).toEqual(["layer1.0.conv1", "layer1.0.conv2"]);
    expect(names("l2c1")).toEqual(["layer2.0.conv1"]);
    expect(names("ayer1.0.c")[0]).toBe("layer1.0.conv1");
    expect(names("طب")).toEqual(["طبقة"]);
    expect(names("zzz")).toEqual([]);
  });

  it.each(["conv1 3", "conv1:3", "conv1 · 3", "conv1, 3", "CONV1  3"])(
    "finds a neuron: %s",
    (text) => {
      expect(neurons(text)).toEqual(["conv1 3", "layer1.0.conv1 3", "layer2.0.conv1 3"]);
      expect(search(scene, text).maps.length).toBe(3);
    },
  );

  it("offers a neuron only where there is one of that index", () => {
    expect(neurons("stem 3")).toEqual([]);
    expect(neurons("stem 2")).toEqual(["stem 2"]);
    expect(neurons("63").length).toBe(NAMES.length - 1);
  });

  it("puts a map of exactly that name before neurons, also where it ends in a number", () => {
    expect(search(scene, "fc 2").matches).toEqual([
      { map: 6, k: null },
      { map: 6, k: 2 },
    ]);
    expect(search(scene, "layer1.0.conv1").matches).toEqual([{ map: 1, k: null }]);
  });

  it("finds a map by what it is called on the picture, too", () => {
    const maps = ["0", "2"].map((name, at) => ({ name, label: `Linear ${at + 1}`, neurons: 9 }));
    const numbered = { maps, modules: [] } as unknown as Scene;
    expect(search(numbered, "linear 2").matches[0]).toEqual({ map: 1, k: null });
    expect(matchingMaps(numbered, "2")).toEqual([1]);
    expect(search(numbered, "linear 2 3").matches).toEqual([{ map: 1, k: 3 }]);
  });

  it("finds modules: one of exactly that name first, others before the columns in them", () => {
    const named = ["h.1", "h.1.attn", "h.10"].map((name, at) => {
      return {
        name: `net.${name}`,
        label: name,
        maps: [
          [0, 1, 2],
          [0, 1],
          [3, 4],
        ][at],
      };
    });
    const columns = ["h.1.attn.q", "h.1.attn.v", "h.1.mlp", "h.10.up", "h.10.down"];
    const maps = columns.map((name) => ({ name: `net.${name}`, label: name, neurons: 2 }));
    const deep = { maps, modules: named } as unknown as Scene;
    const { matches, maps: bright } = search(deep, "h.1");
    expect(matches.slice(0, 3)).toEqual([{ module: 0 }, { module: 1 }, { module: 2 }]);
    expect(matches.slice(3)).toEqual(columns.map((_, map) => ({ map, k: null })));
    expect(bright).toEqual([0, 1, 2, 3, 4]);
    expect(search(deep, "NET.h.10").matches[0]).toEqual({ module: 2 });
    expect(search(deep, "h.1 1").matches[0]).toEqual({ map: 0, k: 1 });
    expect(search(deep, "attn").matches).toEqual([
      { module: 1 },
      { map: 0, k: null },
      { map: 1, k: null },
    ]);
  });

  it("brightens the columns of a range that no column is called by", () => {
    const maps = [1, 2, 3, 4].map((at) => ({ name: `fc${at}`, label: `fc${at}`, neurons: 2 }));
    const modules = [
      { name: "fc1-fc2", label: "fc1-fc2", maps: [0, 1] },
      { name: "fc3-fc4", label: "fc3-fc4", maps: [2, 3] },
    ];
    const found = search({ maps, modules } as unknown as Scene, "fc3-");
    expect(found).toEqual({ maps: [2, 3], matches: [{ module: 1 }] });
  });

  it("finds nothing for nothing", () => {
    expect(search(scene, "  ")).toEqual({ maps: [], matches: [] });
    expect(search(scene, ":").matches).toEqual([]);
  });
});
