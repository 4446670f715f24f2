import { describe, expect, it } from "vitest";
import { mlp, vgg } from "../../dev/networks.js";
import {
  cutAtPlace,
  nearestStopTo,
  placeOfCut,
  type Survival,
  survivalOf,
} from "../../src/logic/survival.js";
import { cutAtLevel } from "../../src/logic/threshold.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const scene = readScene(mlp(true)) as Scene;
const of = (link: number | null) => survivalOf(scene, "exact", link) as Survival;

describe("the survival curve", () => {
  it.each([0, 1, 2])("of link %d counts its entries by weight", (link) => {
    const { start, sent, tests } = scene.links[link];
    expect(sent).toBe(tests);
    const weights = [...scene.edgeWeight.subarray(start, start + sent)];
    const { points, over } = of(link);
    expect(over).toBe("weight");
    expect(points.length).toBeGreaterThan(40);
    for (const { x, found, expected, log10p } of points) {
      const cut = 10 ** x;
      // What lies within rounding of the cut may count or not.
      expect(found).toBeGreaterThanOrEqual(weights.filter((w) => w > cut * (1 + 1e-6)).length);
      expect(found).toBeLessThanOrEqual(weights.filter((w) => w > cut * (1 - 1e-6)).length);
      expect(expected).toBeCloseTo(tests * 10 ** log10p, 9);
    }
    const rising = points.slice(1).every(({ x }, index) => x > points[index].x);
    expect(rising).toBe(true);
  });

  it("of the whole graph counts all entries by p-value", () => {
    const { points, over, tests } = of(null);
    expect([over, tests]).toEqual(["p", scene.tests]);
    for (const { x, found, log10p } of points) {
      expect(x).toBe(-log10p);
      expect(found).toBe(scene.log10p.exact.filter((at) => at <= log10p).length);
    }
  });

  it("places a cut, and finds it again from its place", () => {
    for (const curve of [of(0), of(null)]) {
      for (const { x, log10p } of curve.points) {
        expect(placeOfCut(curve, log10p)).toBeCloseTo(x, 9);
        expect(cutAtPlace(curve, x)).toBeCloseTo(log10p, 9);
      }
      const [a, b] = [curve.points[10], curve.points[11]];
      const place = placeOfCut(curve, (a.log10p + b.log10p) / 2) as number;
      expect(place).toBeGreaterThan(a.x);
      expect(place).toBeLessThan(b.x);
      expect(cutAtPlace(curve, place)).toBeCloseTo((a.log10p + b.log10p) / 2, 9);
      const last = curve.points[curve.points.length - 1];
      expect(placeOfCut(curve, last.log10p - 5)).toBeNull();
      expect(cutAtPlace(curve, last.x + 5)).toBe(last.log10p);
    }
  });

  it.each(["fdr", "p", "sigma", "bonferroni"] as const)("moves to the nearest stop, %s", (mode) => {
    const cut = cutAtLevel(scene, "exact", mode, mode === "sigma" ? 3 : 0.05);
    const cuts = [...scene.stops.exact[mode].log10p];
    for (const wanted of [-1, -3.3, -7.77, -40]) {
      const away = Math.abs(cuts[nearestStopTo(scene, cut, wanted)] - wanted);
      expect(away).toBe(Math.min(...cuts.map((at) => Math.abs(at - wanted))));
    }
  });

  it("needs no edge that was sent", () => {
    const truncated = readScene(vgg(15)) as Scene;
    const curve = survivalOf(truncated, "chi2", 3) as Survival;
    expect(curve.points[0].found).toBeGreaterThan(truncated.links[3].sent);
  });
});
