import { describe, expect, it } from "vitest";
import { boxWithin, isAtLargest } from "../../../src/ui/matrix/matrix.js";

const rows = new Float64Array(1);

describe("the box of a matrix", () => {
  it.each<[readonly [number, number], readonly [number, number]]>([
    [
      [24, 32],
      [300, 400],
    ],
    [
      [32, 9],
      [600, 220],
    ],
    [
      [512, 512],
      [300, 800],
    ],
    [
      [3, 2],
      [600, 600],
    ],
  ])("has square cells: %j in %j", (shape, room) => {
    const { left, top, width, height } = boxWithin(room, { shape, rows });
    expect(width / shape[1] / (height / shape[0])).toBeCloseTo(1, 1);
    expect(left + width).toBeLessThanOrEqual(room[0]);
    expect(top + height).toBeLessThanOrEqual(room[1]);
  });

  it("is never a mere line, and never leaves its room", () => {
    const { width, height } = boxWithin([300, 300], { shape: [4000, 8], rows });
    expect([width, height]).toEqual([40, 274]);
  });
});

describe("the ring around the largest entry", () => {
  const box = { left: 26, top: 26, width: 256, height: 256 };
  const whole = { zoom: 1, x: 0, y: 0 };
  const at = { row: 10, column: 20 };

  it("is met where it is drawn, and only where cells are small", () => {
    const met = (x: number, y: number, shape: readonly [number, number]) =>
      isAtLargest(box, whole, shape, at, x, y);
    expect(met(26 + 20.5 + 5, 26 + 10.5, [256, 256])).toBe(true);
    expect(met(26 + 20.5 + 12, 26 + 10.5, [256, 256])).toBe(false);
    expect(met(26 + (20.5 * 256) / 24, 26 + (10.5 * 256) / 24, [24, 24])).toBe(false);
    expect(isAtLargest(box, whole, [256, 256], null, 40, 40)).toBe(false);
  });
});
