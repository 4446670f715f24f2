import { describe, expect, it } from "vitest";
import { resnet } from "../../dev/architectures.js";
import { residual } from "../../dev/networks.js";
import { sceneBytes } from "../../dev/synthetic.js";
import {
  bandInk,
  bandsInSight,
  type Curve,
  curveOf,
  pickBand,
  pointOn,
  reachOf,
  strokesOf,
  widthsOf,
} from "../../src/geometry/bands.js";
import { bundlesOf } from "../../src/geometry/bundles.js";
import { shapeBetween, unfolded } from "../../src/geometry/columns.js";
import { layOut } from "../../src/geometry/layout.js";
import { foldingOf } from "../../src/logic/folding.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const SIZE = { width: 700, height: 380 };
const MARGINS = { top: 36, right: 20, bottom: 48, left: 90 };

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
        const { from, to } = bundle;
        const curve = curveOf(layout, reach, bundle);
        const half = pointOn(curve, 0.5);
        const ends = [curve[0].y, curve[3].y];
        if (from === to) expect(half.y).toBeLessThan(reach.top[from]);
        else {
          expect([curve[0].x, curve[3].x]).toEqual([layout.columnX[from], layout.columnX[to]]);
          if (shapeBetween(folding, from, to) === "line")
            expect(half.x).toBeGreaterThan(curve[0].x);
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
      for (const { from, to } of bundles) {
        const { x, y } = pointOn(curveOf(layout, reach, { from, to }), 0.37);
        const alone = { length: 1, from: Uint32Array.of(from), to: Uint32Array.of(to) };
        expect(pickBand(scene, layout, alone, [2], x, y)).toBe(0);
        expect(pickBand(scene, layout, alone, [2], x, y + 200)).toBe(-1);
      }
    }
  });

  it("is as wide as what was found on it, also where nothing was", () => {
    expect([...widthsOf([0, 0])]).toEqual([2, 2]);
    const [none, few, many] = widthsOf([0, 25, 100]);
    expect([none, few, many]).toEqual([2, 7, 12]);
  });

  it("that is nearest is pointed at, among all of them", () => {
    for (const { scene, folding } of cases) {
      const layout = layOut(scene, "linear", SIZE, MARGINS, undefined, 24, null, 0, folding);
      const bundles = bundlesOf(scene, folding);
      const widths = widthsOf(Array.from(bundles, (_, at) => at % 40));
      const curves = Array.from(bundles, (ends) => curveOf(layout, reachOf(scene, layout), ends));
      let hits = 0;
      for (let x = 60; x < SIZE.width; x += 13) {
        for (let y = 10; y < SIZE.height; y += 9) {
          const away = curves.map((curve, at) => {
            const isLoop = bundles.from[at] === bundles.to[at];
            const beyond = isLoop ? 13 : 4;
            const ends = [curve[0].x, curve[3].x].map((x) =>
              isLoop ? layout.columnX[bundles.from[at]] : x,
            );
            if (x < Math.min(...ends) - beyond || x > Math.max(...ends) + beyond) return 1;
            return distance(curve, x, y) / (isLoop ? 6.5 : Math.max(4, widths[at] / 2));
          });
          const least = Math.min(1, ...away);
          const picked = pickBand(scene, layout, bundles, widths, x, y);
          expect(picked).toBe(least < 1 ? away.indexOf(least) : -1);
          if (picked >= 0) hits++;
        }
      }
      expect(hits).toBeGreaterThan(100);
    }
  });
});

/** From a point to a curve, in as many pieces as it is measured in. */
function distance(curve: Curve, x: number, y: number): number {
  const points = Array.from({ length: 25 }, (_, at) => pointOn(curve, at / 24));
  const pieces = points.slice(1).map((to, at) => {
    const from = points[at];
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const along = ((x - from.x) * dx + (y - from.y) * dy) / (dx * dx + dy * dy || 1);
    const t = Math.min(1, Math.max(0, along));
    return Math.hypot(from.x + t * dx - x, from.y + t * dy - y);
  });
  return Math.min(...pieces);
}

describe("what is drawn of the bands", () => {
  const wide = { width: 900, height: 400 };
  /** Many columns of one map each; all feed all that follow. */
  const deep = (columns: number) => {
    const plan = { kind: "linear", neurons: 1, value: () => 1, intensity: () => 1 };
    const maps = Array.from({ length: columns }, (_, depth) => ({
      ...plan,
      name: `m${depth}`,
      depth,
    }));
    const links = maps.flatMap((_, from) =>
      maps.slice(from + 1).map((_, at) => ({
        producer: from,
        consumer: from + 1 + at,
        channels: 1,
        edges: [],
      })),
    );
    const scene = readScene(sceneBytes("deep", maps, links)) as Scene;
    const layout = layOut(scene, "linear", wide, MARGINS);
    const bundles = bundlesOf(scene, layout.folding);
    const widths = widthsOf(Array.from(bundles, (_, at) => (at % 7 === 0 ? at % 3 : 0)));
    const reach = reachOf(scene, layout);
    return { layout, bundles, widths, reach, seen: bandsInSight(layout, bundles) };
  };
  const strokes = ({ layout, reach, bundles, widths }: ReturnType<typeof deep>) =>
    [...strokesOf(layout, reach, bundles, widths)].filter((stroke) => stroke !== null);

  it("is fainter the more they are, and of thousands never so dark that what is on it is lost", () => {
    const inks = [1, 80, 500, 4000, 4001, 20_000, 500_000].map(bandInk);
    expect(inks[1]).toEqual({ opacity: 0.22, together: 1 });
    expect(inks[3]).toEqual({ opacity: 0.22 * Math.sqrt(80 / 4000), together: 1 });
    // One alone is as dark on either side of the bound.
    expect((inks[4].together * inks[4].opacity) / inks[3].opacity).toBeCloseTo(1, 1);
    for (const { together } of inks.slice(4)) expect(together).toBeCloseTo(2 / 3, 12);
    const depths = [20_000, 500_000].map((many) => -many * Math.log1p(-bandInk(many).opacity));
    expect(depths[1]).toBeCloseTo(depths[0], 6);
  });

  it("is every band in sight, as it is, where they are few", () => {
    const few = deep(60);
    const { layout, reach, bundles, widths, seen } = few;
    expect(seen.length).toBeLessThan(bundles.length);
    expect(seen.length).toBeGreaterThan(500);
    const expected = Array.from(seen, (at) => ({
      curve: curveOf(layout, reach, bundles.at(at)),
      ...{ width: widths[at], many: 1 },
    }));
    const found = strokes(few);
    expect(found.map(({ curve, width, many }) => ({ curve, width, many }))).toEqual(expected);
    for (const { opacity } of found) expect(opacity).toBeCloseTo(bandInk(seen.length).opacity, 12);
  });

  it("is no more than a part of a pixel beside each band, where they are many", () => {
    const many = deep(240);
    const { layout, reach, bundles, widths, seen } = many;
    const found = strokes(many);
    expect(found.reduce((sum, stroke) => sum + stroke.many, 0)).toBe(seen.length);
    expect(found.length).toBeLessThan(0.75 * seen.length);
    // Their ink at some heights of the picture, as drawn and band by band.
    for (const x of [200, 431, 700, 860]) {
      const inks = [new Float64Array(wide.height), new Float64Array(wide.height)];
      const add = (ink: Float64Array, curve: Curve, width: number, depth: number) => {
        const [x0, x1] = [curve[0].x, curve[3].x];
        const [low, high] = [Math.min(x0, x1), Math.max(x0, x1)];
        if (x < low || x > high || high - low < 30) return;
        const { y } = pointOn(curve, (x - x0) / (x1 - x0));
        for (let row = Math.floor(y - width); row <= y + width; row++) {
          const inside = Math.min(row + 1, y + width / 2) - Math.max(row, y - width / 2);
          if (row >= 0 && row < wide.height) ink[row] += depth * Math.max(0, inside);
        }
      };
      for (const { curve, width, opacity } of found)
        add(inks[0], curve, width, -Math.log1p(-opacity));
      const one = -Math.log1p(-bandInk(seen.length).opacity);
      for (const at of seen) add(inks[1], curveOf(layout, reach, bundles.at(at)), widths[at], one);
      const [drawn, each] = inks.map((ink) => ink.map((depth) => 255 * -Math.expm1(-depth)));
      const apart = each.map((level, row) => Math.abs(level - drawn[row]));
      expect(Math.max(...apart)).toBeLessThan(8);
      expect(apart.reduce((sum, level) => sum + level) / wide.height).toBeLessThan(0.2);
      expect(Math.max(...each)).toBeGreaterThan(30);
    }
  });
});
