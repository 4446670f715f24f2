import { describe, expect, it } from "vitest";
import { normal, randomFrom } from "../../dev/random.js";
import type { Layout } from "../../src/geometry/layout.js";
import { createPath, tracePath } from "../../src/geometry/paths.js";
import { edgeDepths } from "../../src/paint/density.js";
import { createEdgePainter, type Share } from "../../src/paint/paint.js";
import { createAccumulator, depthAt } from "../../src/paint/raster.js";
import type { Drawable } from "../../src/wire/scene.js";
import { exactDepths, levelsOf, type Stroke } from "../support/exactLines.js";

const SIZE = { width: 260, height: 120 };
const NEURONS = 232;
/** Lines from column to column, an arc over the middle one and back from the last to the first. */
const ENDS = [
  [0, 1],
  [1, 2],
  [0, 2],
  [2, 0],
];

/** Three columns with many edges between them, all weights small as in wide maps. */
function crowd(): Drawable {
  const random = randomFrom(11);
  const maps = [0, 1, 2].map((index) => ({ start: index * NEURONS, neurons: NEURONS }));
  const all = ENDS.map(([producer, consumer], index) => {
    const many = index < 2 ? NEURONS ** 2 : 2_000;
    const edges = Array.from({ length: many }, (_, at) => ({
      m: Math.floor(at / NEURONS),
      n: at % NEURONS,
      weight: Math.abs(normal(random)) / Math.sqrt(NEURONS),
    }));
    edges.sort((a, b) => b.weight - a.weight);
    return { producer, consumer, backward: consumer < producer, edges };
  });
  let start = 0;
  const links = all.map(({ edges, ...link }) => {
    start += edges.length;
    const sent = edges.length;
    return { ...link, start: start - sent, sent, tests: sent, mean: 1 / NEURONS, strongest: null };
  });
  const edges = all.flatMap((link) => link.edges);
  return {
    maps,
    links,
    edgeM: Uint32Array.from(edges, ({ m }) => m),
    edgeN: Uint32Array.from(edges, ({ n }) => n),
    edgeWeight: Float32Array.from(edges, ({ weight }) => weight),
    largestWeight: Math.max(...all.map((link) => link.edges[0].weight)),
  } as unknown as Drawable;
}

/** Where they stand at a zoom: the middle of the picture stays where it is. */
function layoutAt(zoom: number): Layout {
  const random = randomFrom(12);
  const [middle, centre] = [SIZE.width / 2, SIZE.height / 2];
  const x = Float64Array.from([20.3, 125.6, 240.2], (at) => middle + (at - middle) * zoom);
  const y = Float64Array.from({ length: 3 * NEURONS }, (_, at) => {
    const place = 10 + (100 * (at % NEURONS)) / NEURONS + random();
    return centre + (place - centre) * zoom;
  });
  const camera = { zoom, x: middle * (1 - zoom), y: centre * (1 - zoom) };
  const margins = { top: 10, right: 20, bottom: 20, left: 20 };
  const columns = [0, 1, 2].map((map) => ({ module: null, maps: [map] }));
  const places = Int32Array.of(0, 1, 2);
  const folding = { columns, columnOf: places, ranks: places };
  return { size: SIZE, margins, camera, x, y, folding, reach: 50 * zoom } as unknown as Layout;
}

const scene = crowd();
const sent = scene.links.map((link) => link.sent);
const part = (share: number) => sent.map((all) => Math.round(all * share));

function paintedBy(
  layout: Layout,
  ratio: number,
  stops: readonly number[],
  share?: Share,
  only: Uint8Array | null = null,
) {
  const target = createAccumulator(SIZE.width * ratio, SIZE.height * ratio);
  const painter = createEdgePainter(scene, layout, ratio, target, { only }, share);
  for (const stop of stops) for (const _ of painter.towards(part(stop)));
  return target;
}

/** What each edge by itself leaves, in float64; without those that are dashed. */
function exact(layout: Layout, ratio: number, only: Uint8Array | null = null) {
  const depthOf = edgeDepths(scene, layout, { only });
  const path = createPath();
  const strokes: Stroke[] = [];
  scene.links.forEach(({ start, sent, backward }, link) => {
    if (backward) return;
    for (let edge = start; edge < start + sent; edge++) {
      const depth = depthOf(link, edge);
      if (depth === 0) continue;
      tracePath(scene, layout, link, scene.edgeM[edge], scene.edgeN[edge], path);
      const at = path.points.slice(0, path.length).map((value) => value * ratio);
      for (let piece = 2; piece < at.length; piece += 2) {
        const line = [at[piece - 2], at[piece - 1], at[piece], at[piece + 1]] as const;
        strokes.push({ line, depth });
      }
    }
  });
  return exactDepths(strokes, SIZE.width * ratio, SIZE.height * ratio, ratio).depths;
}

const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, value), 0);

describe("a crowd of edges", () => {
  it.each([
    [1, 1],
    [1.7, 2],
    [6, 1],
  ])("at zoom %d and pixel ratio %d is the sum of each by itself", (zoom, ratio) => {
    const layout = layoutAt(zoom);
    const target = createAccumulator(SIZE.width * ratio, SIZE.height * ratio);
    const painter = createEdgePainter(scene, layout, ratio, target);
    const forward = scene.links.map(({ backward, sent }) => (backward ? 0 : sent));
    for (const _ of painter.towards(forward));
    const should = exact(layout, ratio);
    const painted = should.map((_, at) => {
      const row = Math.floor(at / target.width);
      return depthAt(target, at - row * target.width, row);
    });
    const ink = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);
    expect(ink(painted) / ink(should)).toBeCloseTo(1, 2);
    const [is, wanted] = [levelsOf(painted), levelsOf(should)];
    const off = is.map((level, at) => Math.abs(level - wanted[at]));
    expect(largest(off)).toBeLessThanOrEqual(8);
    expect(off.reduce((sum, levels) => sum + levels, 0) / off.length).toBeLessThan(1);
    expect(largest(is)).toBeGreaterThan(100);
  });

  it("is the same to the bit wherever the threshold was before", () => {
    const layout = layoutAt(1);
    const straight = paintedBy(layout, 1, [0.7]).depth;
    expect(paintedBy(layout, 1, [1, 0.7]).depth).toEqual(straight);
    expect(paintedBy(layout, 1, [0.1, 0.69, 0.72, 0, 0.7]).depth).toEqual(straight);
    expect(paintedBy(layout, 1, [1, 0]).depth.every((depth) => depth === 0)).toBe(true);
  });

  it("goes on from wherever it was left", () => {
    const layout = layoutAt(1);
    const straight = paintedBy(layout, 1, [0.4]).depth;
    const target = createAccumulator(SIZE.width, SIZE.height);
    const painter = createEdgePainter(scene, layout, 1, target);
    // Some turns of either: among the edges, and while those that waited are drawn.
    for (const [stop, turns] of [
      [1, 100],
      [0.9, 440],
      [1, 3],
      [0.2, 350],
    ]) {
      const left = painter.towards(part(stop));
      for (let turn = 0; turn < turns && !left.next().done; turn++);
    }
    for (const _ of painter.towards(part(0.4)));
    expect(target.depth).toEqual(straight);
  });

  it("is the sum of the shares of several", () => {
    const layout = layoutAt(1.7);
    const whole = paintedBy(layout, 2, [0.8]).depth;
    const shares = [0, 1, 2].map((at) => paintedBy(layout, 2, [0.8], { part: at, of: 3 }).depth);
    const sum = shares[0].map((depth, at) => depth + shares[1][at] + shares[2][at]);
    expect(sum).toEqual(whole);
  });

  it("of some neurons only is the sum of their edges", () => {
    const layout = layoutAt(1);
    const only = new Uint8Array(3 * NEURONS);
    for (let neuron = 0; neuron < 30; neuron++) only[NEURONS + 5 * neuron] = 1;
    const target = paintedBy(layout, 1, [1], undefined, only);
    const should = levelsOf(exact(layout, 1, only));
    let most = 0;
    should.forEach((level, at) => {
      const row = Math.floor(at / SIZE.width);
      const depth = Float64Array.of(depthAt(target, at - row * SIZE.width, row));
      most = Math.max(most, Math.abs(levelsOf(depth)[0] - level));
    });
    expect(most).toBeLessThanOrEqual(8);
  });
});
