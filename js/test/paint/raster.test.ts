import { describe, expect, it } from "vitest";
import { normal, randomFrom } from "../../dev/random.js";
import {
  addDisc,
  addLine,
  createAccumulator,
  depthAt,
  develop,
  opticalDepth,
} from "../../src/paint/raster.js";

type Line = [number, number, number, number];
const WIDTH = 60;
const HEIGHT = 40;

function drawn(lines: readonly Line[], depth = 0.5, thickness = 1) {
  const target = createAccumulator(WIDTH, HEIGHT);
  for (const line of lines) addLine(target, ...line, depth, thickness);
  return target;
}

/** The share of each pixel that a band of some thickness about the line covers, by sampling. */
function coverage([x0, y0, x1, y1]: Line, thickness: number, samples = 24): number[][] {
  const length = Math.hypot(x1 - x0, y1 - y0);
  const [ux, uy] = [(x1 - x0) / length, (y1 - y0) / length];
  const inside = (x: number, y: number) => {
    const along = (x - x0) * ux + (y - y0) * uy;
    const across = Math.abs((y - y0) * ux - (x - x0) * uy);
    return along >= 0 && along <= length && across <= thickness / 2;
  };
  return Array.from({ length: HEIGHT }, (_, row) =>
    Array.from({ length: WIDTH }, (_, column) => {
      let hits = 0;
      for (let i = 0; i < samples; i++) {
        for (let j = 0; j < samples; j++) {
          if (inside(column + (i + 0.5) / samples, row + (j + 0.5) / samples)) hits++;
        }
      }
      return hits / samples ** 2;
    }),
  );
}

const total = (target: ReturnType<typeof drawn>) =>
  target.depth.reduce((sum, value) => sum + value, 0) / 2 ** 19;

describe("lines", () => {
  const lines: Line[] = [
    [5.3, 20.2, 54.1, 20.2],
    [5, 5, 50, 33],
    [50.7, 4.2, 7.4, 36.1],
    [20, 2.5, 24, 37],
    [31.5, 37.9, 31.5, 3.1],
    [8, 30, 52, 26.5],
  ];

  it.each(lines)("from (%d, %d) to (%d, %d) cover what supersampling says", (...line) => {
    for (const thickness of [1, 2]) {
      const target = drawn([line], 1, thickness);
      const truth = coverage(line, thickness);
      let difference = 0;
      let ink = 0;
      for (let y = 0; y < HEIGHT; y++) {
        for (let x = 0; x < WIDTH; x++) {
          difference += Math.abs(depthAt(target, x, y) - truth[y][x]);
          ink += truth[y][x];
        }
      }
      // The profile differs a little (two pixels share one's ink), the ink itself hardly.
      expect(difference / ink).toBeLessThan(0.36);
      expect(total(target) / ink).toBeGreaterThan(0.96);
      expect(total(target) / ink).toBeLessThan(1.04);
    }
  });

  it.each(lines)("from (%d, %d) to (%d, %d) run through the right places", (...line) => {
    const [x0, y0, x1, y1] = line;
    const steep = Math.abs(y1 - y0) > Math.abs(x1 - x0);
    const target = drawn([line], 1);
    const [from, to] = steep
      ? [Math.min(y0, y1), Math.max(y0, y1)]
      : [Math.min(x0, x1), Math.max(x0, x1)];
    for (let major = Math.ceil(from); major < Math.floor(to); major++) {
      let ink = 0;
      let moment = 0;
      for (let minor = 0; minor < (steep ? WIDTH : HEIGHT); minor++) {
        const depth = steep ? depthAt(target, minor, major) : depthAt(target, major, minor);
        ink += depth;
        moment += depth * (minor + 0.5);
      }
      const share = (major + 0.5 - (steep ? y0 : x0)) / (steep ? y1 - y0 : x1 - x0);
      const expected = steep ? x0 + (x1 - x0) * share : y0 + (y1 - y0) * share;
      expect(moment / ink).toBeCloseTo(expected, 1);
    }
  });

  it("add up, to the bit, in any order", () => {
    const random = randomFrom(4);
    const many = Array.from(
      { length: 300 },
      () => [random() * 60, random() * 40, random() * 60, random() * 40] as Line,
    );
    const forward = drawn(many, 0.01);
    expect(drawn([...many].reverse(), 0.01).depth).toEqual(forward.depth);
    const parts = [drawn(many.slice(0, 100), 0.01), drawn(many.slice(100), 0.01)];
    expect(parts[0].depth.map((value, at) => value + parts[1].depth[at])).toEqual(forward.depth);
  });

  it("lose nothing where a thousand faint ones overlap", () => {
    const line: Line = [0, 20.5, 60, 20.5];
    const target = drawn(Array(1000).fill(line), opticalDepth(0.0005));
    expect(depthAt(target, 30, 20)).toBeCloseTo(1000 * opticalDepth(0.0005), 1);
    const pixels = new Uint32Array(WIDTH * HEIGHT);
    develop(target, [10, 20, 30], pixels);
    const alpha = pixels[20 * WIDTH + 30] >>> 24;
    expect(alpha / 255).toBeCloseTo(1 - (1 - 0.0005) ** 1000, 2);
  });

  it("that leave the picture are cut, and never write outside", () => {
    const random = randomFrom(8);
    for (let trial = 0; trial < 2000; trial++) {
      const line = Array.from({ length: 4 }, () => 20 + normal(random) * 80) as Line;
      const target = drawn([line], 1, 1 + (trial % 3));
      const { depth, stride } = target;
      // The margin's outermost ring is never touched.
      const ring = [...depth.subarray(0, stride), ...depth.subarray(-stride)];
      expect(ring.some((value) => value !== 0)).toBe(false);
      const [x0, y0, x1, y1] = line;
      const inside = (x: number, y: number) => x > 2 && x < WIDTH - 2 && y > 2 && y < HEIGHT - 2;
      const middle = [(x0 + x1) / 2, (y0 + y1) / 2];
      if (Math.hypot(x1 - x0, y1 - y0) > 4 && inside(middle[0], middle[1])) {
        expect(depthAt(target, Math.floor(middle[0]), Math.floor(middle[1]))).toBeGreaterThan(0);
      }
    }
  });

  it("in pieces make the same picture as in one", () => {
    const whole = drawn([[3, 5, 51, 29]]);
    const pieces = drawn([
      [3, 5, 21, 14],
      [21, 14, 51, 29],
    ]);
    const differences = whole.depth.map((value, at) => Math.abs(value - pieces.depth[at]));
    expect(Math.max(...differences) / 2 ** 19).toBeLessThan(0.01);
  });
});

describe("discs", () => {
  it("cover their area, opaque inside and clear outside", () => {
    for (const [x, y, radius] of [
      [20, 20, 3],
      [20.37, 19.81, 6],
      [0, 39, 4],
    ]) {
      const pixels = new Uint32Array(WIDTH * HEIGHT);
      addDisc(pixels, WIDTH, HEIGHT, x, y, radius, [200, 100, 50]);
      let area = 0;
      pixels.forEach((pixel, at) => {
        const away = Math.hypot((at % WIDTH) + 0.5 - x, Math.floor(at / WIDTH) + 0.5 - y);
        area += (pixel >>> 24) / 255;
        if (away < radius - 1)
          expect(pixel).toBe(((255 << 24) | (50 << 16) | (100 << 8) | 200) >>> 0);
        if (away > radius + 1) expect(pixel).toBe(0);
      });
      if (x > radius && y < HEIGHT - radius) {
        expect(area / (Math.PI * radius * radius)).toBeCloseTo(1, 1);
      }
    }
  });
});

describe("taking a line away", () => {
  it("leaves what was there, to the bit", () => {
    const random = randomFrom(5);
    const line = (): Line => [random() * 60, random() * 40, random() * 60, random() * 40];
    const kept = Array.from({ length: 20 }, line);
    const gone = Array.from({ length: 50 }, line);
    for (const thickness of [1, 2, 3]) {
      const target = drawn(kept, 0.31, thickness);
      const before = target.depth.slice();
      for (const away of gone) addLine(target, ...away, 0.0173, thickness);
      expect(target.depth).not.toEqual(before);
      for (const away of gone) addLine(target, ...away, -0.0173, thickness);
      expect(target.depth).toEqual(before);
    }
  });
});
