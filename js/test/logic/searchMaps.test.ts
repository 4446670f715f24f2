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
  maps: NAMES.map((name, index) => ({ name, label: name, neurons: index === 0 ? 3 : 64 })),
} as unknown as Scene;
const names = (text: string) => matchingMaps(scene, text).map((map) => NAMES[map]);
const neurons = (text: string) =>
  search(scene, text)
    .matches.filter(({ k }) => k !== null)
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
    const numbered = { maps } as unknown as Scene;
    expect(search(numbered, "linear 2").matches[0]).toEqual({ map: 1, k: null });
    expect(matchingMaps(numbered, "2")).toEqual([1]);
    expect(search(numbered, "linear 2 3").matches).toEqual([{ map: 1, k: 3 }]);
  });

  it("finds nothing for nothing", () => {
    expect(search(scene, "  ")).toEqual({ maps: [], matches: [] });
    expect(search(scene, ":").matches).toEqual([]);
  });
});
