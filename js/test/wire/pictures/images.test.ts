import { describe, expect, it } from "vitest";
import { answerOf } from "../../../dev/answers.js";
import { vgg } from "../../../dev/networks.js";
import { encode, type Tensor } from "../../../src/wire/codec.js";
import {
  likeness,
  mapsShown,
  neuronsShown,
  readImages,
} from "../../../src/wire/pictures/images.js";
import { readScene, type Scene } from "../../../src/wire/scene.js";

const bytes = vgg(2000);
const scene = readScene(bytes) as Scene;

describe("which neurons are shown", () => {
  it("are the first, second and last of every map", () => {
    expect(neuronsShown(scene, 1, [])).toEqual([0, 1, 63]);
    expect(mapsShown(scene, []).length).toBe(scene.maps.length);
    const tiny = { ...scene, maps: [{ ...scene.maps[0], neurons: 2 }] } as Scene;
    expect(neuronsShown(tiny, 0, [])).toEqual([0, 1]);
  });

  it("are those selected, of the maps that have some", () => {
    const selected = [
      { map: 3, k: 5 },
      { map: 1, k: 2 },
      { map: 3, k: 1 },
    ];
    expect(mapsShown(scene, selected)).toEqual([1, 3]);
    expect(neuronsShown(scene, 3, selected)).toEqual([5, 1]);
    expect(neuronsShown(scene, 0, selected)).toEqual([]);
  });
});

describe("the likeness of several images", () => {
  it("is their mean and the deviation of a sample", () => {
    const found = likeness([0.2, 0.4, 0.9]);
    expect(found?.n).toBe(3);
    expect(found?.mean).toBeCloseTo(0.5, 12);
    expect(found?.sd).toBeCloseTo(Math.sqrt(0.13), 12);
  });

  it("has no deviation for one image, and is none for none", () => {
    expect(likeness([0.7])).toEqual({ mean: 0.7, sd: null, n: 1 });
    expect(likeness([])).toBeNull();
  });
});

describe("Python's images", () => {
  it("are found by input, map and neuron, whichever group they came in", () => {
    const group = (number: number) => ({
      inputs: [{ number, label: `<b>${number}</b>`, thumbnail: number === 4 }],
      maps: [{ name: "a", kind: "image", neurons: [0, 9], positions: [2, 3], cosine: true }],
      left_out: number === 4 ? { b: "not reached" } : {},
    });
    const numbers = (from: number, length: number) =>
      Float32Array.from({ length }, (_, at) => from + at);
    const all = new Map<string, Tensor>();
    for (const [at, number] of [4, 7].entries()) {
      all.set(`${at}_values_0`, { shape: [1, 2, 2, 3], data: numbers(100 * number, 12) });
      all.set(`${at}_scale_0`, { shape: [1, 2], data: numbers(number, 2) });
      all.set(`${at}_cosine_0`, { shape: [1, 2], data: numbers(0.5, 2) });
    }
    all.set("0_thumbnail_0", { shape: [1, 2, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) });
    const images = readImages(encode({ groups: [group(4), group(7)] }, all));
    expect(images.inputs.map(({ number, label }) => [number, label])).toEqual([
      [4, "<b>4</b>"],
      [7, "<b>7</b>"],
    ]);
    expect(images.inputs[0].thumbnail?.size).toEqual([1, 2]);
    expect(images.inputs[1].thumbnail).toBeNull();
    expect(images.neurons("a")).toEqual([0, 9]);
    const image = images.image(7, "a", 1);
    expect([...(image?.values ?? [])]).toEqual([706, 707, 708, 709, 710, 711]);
    expect(image).toMatchObject({ shape: [2, 3], scale: 8, cosine: 1.5 });
    expect(images.image(7, "a", 2)).toBeNull();
    expect(images.image(5, "a", 0)).toBeNull();
    expect(images.leftOut).toEqual({ b: "not reached" });
  });

  it("are numbers without positions where a map is linear", () => {
    const asked = { inputs: [0, 1], neurons: { "classifier.0": [0, 5] }, most: 96, revision: 0 };
    const { buffers } = answerOf(bytes, { kind: "images", id: 1, ...asked, cosine: true });
    const image = readImages(buffers[0]).image(1, "classifier.0", 1);
    expect(image).toMatchObject({ kind: "bar", shape: [], cosine: null });
    expect(image?.values.length).toBe(1);
  });
});
