import { describe, expect, it } from "vitest";
import { resnet } from "../../dev/architectures.js";
import { layOut } from "../../src/geometry/layout.js";
import { createPainting, type Job, sizeOf } from "../../src/paint/paintJob.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const MARGINS = { top: 16, right: 20, bottom: 40, left: 40 };
const scene = readScene(resnet()) as Scene;
const layout = layOut(scene, "linear", { width: 500, height: 240 }, MARGINS);
const drawn = (share: number) => scene.links.map(({ sent }) => Math.round(sent * share));
const job: Job = {
  scene,
  layout,
  ratio: 1,
  drawn: drawn(0.6),
  only: null,
  faintest: 0.12,
  ink: [10, 20, 30],
};

function pictureOf(...jobs: Job[]): Uint32Array {
  const painting = createPainting();
  for (const next of jobs) {
    painting.begin(next);
    while (!painting.work(5));
  }
  return painting.picture();
}

describe("a picture in the making", () => {
  it("is the same whatever was painted before it", () => {
    const straight = pictureOf(job);
    expect(straight.some((pixel) => pixel >>> 24 > 100)).toBe(true);
    const elsewhere = layOut(scene, "rank", { width: 310, height: 200 }, MARGINS);
    const only = new Uint8Array(scene.singularValue.length);
    for (const before of [
      { ...job, drawn: drawn(1) },
      { ...job, layout: elsewhere },
      { ...job, ratio: 2 },
      { ...job, only },
      { ...job, ink: [200, 0, 0] as const },
    ]) {
      expect(pictureOf(before, job)).toEqual(straight);
    }
  });

  it("shared out is the same picture", () => {
    const parts = [0, 1, 2].map((part) => {
      const painting = createPainting();
      painting.begin(job, { part, of: 3 });
      while (!painting.work(5));
      return painting;
    });
    const [own, ...others] = parts;
    expect(own.picture(others.map((painting) => painting.depths()))).toEqual(pictureOf(job));
    expect(own.picture()).not.toEqual(pictureOf(job));
  });

  it("shows what is there, and only that, before it is done", () => {
    const painting = createPainting();
    painting.begin(job);
    expect(painting.picture().every((pixel) => pixel === 0)).toBe(true);
    expect(painting.work(0)).toBe(false);
  });

  it("takes another ink without painting anew", () => {
    const painting = createPainting();
    painting.begin(job);
    while (!painting.work(5));
    painting.begin({ ...job, ink: [200, 100, 50] });
    expect(painting.work(1000)).toBe(true);
    const inks = new Set([...painting.picture()].filter(Boolean).map((pixel) => pixel & 0xffffff));
    expect([...inks]).toEqual([(50 << 16) | (100 << 8) | 200]);
  });

  it("has the size of the plot in the screen's pixels", () => {
    expect(sizeOf({ layout, ratio: 1.5 })).toEqual({ width: 750, height: 360 });
    expect(pictureOf({ ...job, ratio: 2 }).length).toBe(1000 * 480);
  });
});
