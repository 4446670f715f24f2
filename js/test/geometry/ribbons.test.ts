import { describe, expect, it } from "vitest";
import { mlp, tied } from "../../dev/networks.js";
import { layOut } from "../../src/geometry/layout.js";
import { arcEnds, arcLift, createPath, tracePath } from "../../src/geometry/paths.js";
import { pathOf, pickRibbon, ribbonsOf } from "../../src/geometry/ribbons.js";
import { readScene, type Scene, Y_SCALES } from "../../src/wire/scene.js";

const SIZE = { width: 700, height: 380 };
const MARGINS = { top: 36, right: 20, bottom: 48, left: 90 };
const scene = readScene(tied()) as Scene;
const NULLS = 2;

describe("arcs in a wide graph", () => {
  it("are told apart by their span below the top, which none passes", () => {
    const size = { width: 1250, height: 420 };
    const layout = layOut(scene, "linear", size, { ...MARGINS, top: 72 });
    for (const y of [90, 130, 300]) {
      const { top, bottom } = arcEnds(layout);
      const spans = [100, 200, 400, 800, 1100];
      const highest = spans.map((span) => y + 0.75 * arcLift(layout, 0, y, span, y, false));
      const lowest = spans.map((span) => y + 0.75 * arcLift(layout, 0, y, span, y, true));
      for (const [at, height] of highest.entries()) {
        expect(height).toBeGreaterThan(top);
        expect(lowest[at]).toBeLessThan(bottom);
        if (at === 0) continue;
        expect(highest[at - 1] - height).toBeGreaterThan(2);
        expect(lowest[at] - lowest[at - 1]).toBeGreaterThan(2);
      }
    }
  });
});

describe("the band of a link by construction", () => {
  it.each(Y_SCALES)("goes along with its first and its last neuron, y scale %s", (scale) => {
    for (const camera of [undefined, { zoom: 2.5, x: -300, y: -120 }]) {
      const layout = layOut(scene, scale, SIZE, MARGINS, camera);
      expect(ribbonsOf(scene, layout).map(({ link }) => link)).toEqual([0]);
      for (const k of [0, 23 - NULLS]) {
        const { points, length } = tracePath(scene, layout, 0, k, k, createPath());
        for (let at = 2; at < length - 2; at += 2) {
          expect(pickRibbon(scene, layout, points[at], points[at + 1])).toBe(0);
        }
      }
    }
  });

  it("ends at the columns and a little above and beneath them", () => {
    const layout = layOut(scene, "linear", SIZE, MARGINS);
    const [{ outline, words }] = ribbonsOf(scene, layout);
    const [left, right] = [layout.x[0], layout.x[2]];
    const top = Math.min(...outline.map(({ y }) => y));
    expect(Math.min(...outline.map(({ x }) => x))).toBeCloseTo(left);
    expect(Math.max(...outline.map(({ x }) => x))).toBeCloseTo(right);
    expect(words.x).toBeCloseTo((left + right) / 2);
    expect(words.y).toBeGreaterThan(top);
    expect(pickRibbon(scene, layout, words.x, words.y)).toBe(0);
    for (const [x, y] of [
      [left - 2, layout.y[0] + 5],
      [right + 2, layout.y[0] + 5],
      [words.x, top - 1],
      [left + 1, layout.y[23] + 8],
    ]) {
      expect(pickRibbon(scene, layout, x, y)).toBeNull();
    }
    expect(pathOf(outline)).toMatch(/^M[\d. ]+(L[\d. -]+)+Z$/);
  });

  it("leaves the inside of a wide band to the links that are there", () => {
    const layout = layOut(scene, "rank", SIZE, MARGINS);
    const [{ outline }] = ribbonsOf(scene, layout);
    const heights = outline.map(({ y }) => y);
    const middle = (Math.min(...heights) + Math.max(...heights)) / 2;
    expect(pickRibbon(scene, layout, layout.x[0] + 40, middle)).toBeNull();
  });

  it("is nowhere without such a link", () => {
    const plain = readScene(mlp(true)) as Scene;
    const layout = layOut(plain, "linear", SIZE, MARGINS);
    expect(ribbonsOf(plain, layout)).toEqual([]);
    expect(pickRibbon(plain, layout, 300, 200)).toBeNull();
  });
});
