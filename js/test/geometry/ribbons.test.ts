import { describe, expect, it } from "vitest";
import { resnet } from "../../dev/architectures.js";
import { mlp, residual, tied } from "../../dev/networks.js";
import { bundlesOf, unfolded } from "../../src/geometry/columns.js";
import { layOut } from "../../src/geometry/layout.js";
import { arcEnds, arcLift, createPath, tracePath } from "../../src/geometry/paths.js";
import {
  curveOf,
  pathOf,
  pickBand,
  pickRibbon,
  pointOn,
  reachOf,
  ribbonsOf,
  widthsOf,
} from "../../src/geometry/ribbons.js";
import { foldingOf } from "../../src/logic/folding.js";
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

describe("the band of links between two columns", () => {
  const loops = readScene(residual()) as Scene;
  const deep = readScene(resnet()) as Scene;
  const cases = [
    { scene: loops, folding: unfolded(loops) },
    { scene: deep, folding: foldingOf(deep, ["layer2", "layer3.1"]) },
  ];

  it("goes from column to column, above the neurons or, where it runs back, below", () => {
    for (const { scene, folding } of cases) {
      const layout = layOut(scene, "linear", SIZE, MARGINS, undefined, 24, null, 0, folding);
      const reach = reachOf(scene, layout);
      for (const bundle of bundlesOf(scene, folding)) {
        const { from, to, links } = bundle;
        const curve = curveOf(layout, reach, bundle);
        const half = pointOn(curve, 0.5);
        const ends = [curve[0].y, curve[3].y];
        if (from === to) expect(half.y).toBeLessThan(reach.top[from]);
        else {
          expect([curve[0].x, curve[3].x]).toEqual([layout.columnX[from], layout.columnX[to]]);
          if (layout.shapes[links[0]] === "line") expect(half.x).toBeGreaterThan(curve[0].x);
          else if (to < from) expect(half.y).toBeGreaterThan((ends[0] + ends[1]) / 2);
          else expect(half.y).toBeLessThan((ends[0] + ends[1]) / 2);
        }
      }
    }
  });

  it("is pointed at along its course, and not from afar", () => {
    for (const { scene, folding } of cases) {
      const layout = layOut(scene, "linear", SIZE, MARGINS, undefined, 24, null, 0, folding);
      const bundles = bundlesOf(scene, folding);
      const reach = reachOf(scene, layout);
      const widths = widthsOf(bundles.map(() => 0));
      bundles.forEach((bundle, at) => {
        const { x, y } = pointOn(curveOf(layout, reach, bundle), 0.37);
        expect(pickBand(scene, layout, [bundle], [widths[at]], x, y)).toBe(bundle);
        expect(pickBand(scene, layout, [bundle], [widths[at]], x, y + 200)).toBeNull();
      });
    }
  });

  it("is as wide as what was found on it, also where nothing was", () => {
    expect([...widthsOf([0, 0])]).toEqual([2, 2]);
    const [none, few, many] = widthsOf([0, 25, 100]);
    expect([none, few, many]).toEqual([2, 7, 12]);
  });
});
