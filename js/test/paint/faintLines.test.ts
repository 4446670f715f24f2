import { describe, expect, it } from "vitest";
import { randomFrom } from "../../dev/random.js";
import { createFaintLines } from "../../src/paint/faintLines.js";
import { addLine, createAccumulator, depthAt } from "../../src/paint/raster.js";
import { OFF } from "../../src/paint/strips.js";
import { exactDepths, levelsOf, type Stroke } from "../support/exactLines.js";

const [WIDTH, HEIGHT] = [150, 90];

/** Lines between columns and elsewhere, flat and steep ones, inside and across the borders. */
function strokes(many: number, seed: number, depth = 0.001): Stroke[] {
  const random = randomFrom(seed);
  const columns = [-20.3, 10, 71.4, 140.6, 170];
  return Array.from({ length: many }, (_, at) => {
    const place = () => (random() * 1.6 - 0.3) * HEIGHT;
    const free = [random() * WIDTH, place(), random() * WIDTH, place()] as const;
    const gap = Math.floor(random() * 4);
    const between = [columns[gap], place(), columns[gap + 1], place()] as const;
    return { line: at % 4 === 0 ? free : between, depth: depth * (0.5 + random()) };
  });
}

/** The picture of lines that are drawn so many at a time. */
function drawn(lines: readonly Stroke[], atOnce: number, thickness = 1) {
  const target = createAccumulator(WIDTH, HEIGHT);
  const faint = createFaintLines(target, thickness, [-20.3, 10, 71.4, 140.6, 170]);
  lines.forEach(({ line, depth }, at) => {
    addLine(target, ...line, depth, thickness, faint);
    if ((at + 1) % atOnce === 0) for (const _ of faint.draw());
  });
  for (const _ of faint.draw());
  return target;
}

const all = (value: (x: number, y: number) => number) =>
  Float64Array.from({ length: WIDTH * HEIGHT }, (_, at) =>
    value(at % WIDTH, Math.floor(at / WIDTH)),
  );

describe("faint lines", () => {
  it.each([1, 2, 3])("%d pixels wide lie where they should, with all their ink", (thickness) => {
    const lines = strokes(30_000, 1);
    const target = drawn(lines, lines.length, thickness);
    const { depths, near } = exactDepths(lines, WIDTH, HEIGHT, thickness);
    const painted = all((x, y) => depthAt(target, x, y));
    // A line that lies off by so much covers that much less or more of a pixel.
    const wrong = painted.filter((depth, at) => {
      return Math.abs(depth - depths[at]) > OFF * near[at] + 1e-4;
    });
    expect(wrong).toHaveLength(0);
    const [is, should] = [levelsOf(painted), levelsOf(depths)];
    expect(Math.max(...is.map((level, at) => Math.abs(level - should[at])))).toBeLessThanOrEqual(6);
    const ink = (values: Float64Array) => values.reduce((sum, value) => sum + value, 0);
    expect(ink(painted) / ink(depths)).toBeGreaterThan(0.999);
    expect(ink(painted) / ink(depths)).toBeLessThan(1.001);
  });

  it.each([1, 2, 3])("%d pixels wide are the same one by one, to the bit", (thickness) => {
    const lines = strokes(30_000, 2);
    const atOnce = drawn(lines, lines.length, thickness);
    expect(drawn(lines, 1_000, thickness).depth).toEqual(atOnce.depth);
    expect(drawn([...lines].reverse(), 17_000, thickness).depth).toEqual(atOnce.depth);
  });

  it("leave nothing when they are taken away, however they were drawn", () => {
    const lines = strokes(20_000, 3);
    const negative = lines.map(({ line, depth }) => ({ line, depth: -depth }));
    for (const atOnce of [40_000, 20_000, 3_000]) {
      const target = drawn([...lines, ...negative], atOnce);
      expect(target.depth.every((depth) => depth === 0)).toBe(true);
    }
    const kept = drawn(strokes(500, 4), 500);
    const there = drawn([...strokes(500, 4), ...lines, ...negative.reverse()], 9_000);
    expect(there.depth).toEqual(kept.depth);
  });

  it("wait, and show nothing of themselves before all are drawn", () => {
    const target = createAccumulator(WIDTH, HEIGHT);
    const faint = createFaintLines(target, 1, []);
    for (const { line, depth } of strokes(10_000, 5)) {
      // Those without a strip of their own are drawn at once.
      const [x0, y0, x1, y1] = line;
      if (Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0)) < 60) continue;
      if ([x0, x1, y0, y1].some((at) => at < 0) || Math.max(x0, x1) > WIDTH) continue;
      if (Math.max(y0, y1) <= HEIGHT) addLine(target, ...line, depth, 1, faint);
    }
    const drawing = faint.draw();
    for (let turn = 0; turn < 3; turn++) {
      expect(drawing.next().done).toBe(false);
      expect(target.depth.every((depth) => depth === 0)).toBe(true);
    }
    while (!drawing.next().done);
    expect(target.depth.some((depth) => depth > 0)).toBe(true);
  });
});
