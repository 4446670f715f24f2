import { describe, expect, it } from "vitest";
import { residual, vgg } from "../../dev/networks.js";
import { randomFrom } from "../../dev/random.js";
import { layOut } from "../../src/geometry/layout.js";
import type { Point } from "../../src/geometry/placement.js";
import { joined, neuronsWithin, rectangle } from "../../src/geometry/selection.js";
import { type Neuron, readScene, type Scene, Y_SCALES } from "../../src/wire/scene.js";

const SIZE = { width: 700, height: 380 };
const MARGINS = { top: 10, right: 20, bottom: 40, left: 60 };
const scene = readScene(residual()) as Scene;

/** Whether a point is inside, by the angle that the line turns about it: odd turns are inside. */
function inside(line: readonly Point[], x: number, y: number): boolean {
  let crossed = 0;
  line.forEach((a, index) => {
    const b = line[(index + 1) % line.length];
    // A ray to the right, where neuronsWithin looks along columns.
    if (a.y > y !== b.y > y && x < a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x)) crossed++;
  });
  return crossed % 2 === 1;
}

describe("neurons within a line", () => {
  it.each(Y_SCALES)("are those inside by a ray to the right, y scale %s", (scale) => {
    const random = randomFrom(21);
    const layout = layOut(scene, scale, SIZE, MARGINS);
    let found = 0;
    for (let trial = 0; trial < 60; trial++) {
      const corners = 3 + Math.floor(random() * 9);
      const line = Array.from({ length: corners }, () => ({
        x: random() * SIZE.width,
        y: random() * SIZE.height,
      }));
      const expected: Neuron[] = [];
      scene.maps.forEach(({ start, neurons }, map) => {
        for (let k = 0; k < neurons; k++) {
          if (inside(line, layout.x[map], layout.y[start + k])) expected.push({ map, k });
        }
      });
      expect(neuronsWithin(scene, layout, line)).toEqual(expected);
      found += expected.length;
    }
    expect(found).toBeGreaterThan(1000);
  });

  it("of a box are the same whichever corners it was drawn between", () => {
    const layout = layOut(scene, "linear", SIZE, MARGINS);
    const [left, right, top, bottom] = [100, 520, 60, 300];
    const boxes = [
      rectangle({ x: left, y: top }, { x: right, y: bottom }),
      rectangle({ x: right, y: top }, { x: left, y: bottom }),
      rectangle({ x: right, y: bottom }, { x: left, y: top }),
    ].map((line) => neuronsWithin(scene, layout, line));
    expect(boxes[0].length).toBeGreaterThan(20);
    expect(boxes[1]).toEqual(boxes[0]);
    expect(boxes[2]).toEqual(boxes[0]);
    for (const { map, k } of boxes[0]) {
      const [x, y] = [layout.x[map], layout.y[scene.maps[map].start + k]];
      expect(x >= left && x <= right && y >= top && y <= bottom).toBe(true);
    }
  });

  it("of a line around everything are all of a large network's", () => {
    const large = readScene(vgg(2000)) as Scene;
    const layout = layOut(large, "rank", SIZE, MARGINS);
    const line = rectangle({ x: -1, y: -1 }, { x: 701, y: 381 });
    expect(neuronsWithin(large, layout, line).length).toBe(large.singularValue.length);
  });
});

describe("selections join", () => {
  const [a, b, c] = [0, 1, 2].map((k) => ({ map: 1, k }));
  const other = { map: 2, k: 0 };

  it.each([
    ["replace", [a, b], [c], [c]],
    ["replace", [a, b], [], []],
    ["add", [a, b], [b, other], [a, b, other]],
    ["toggle", [a], [b], [a, b]],
    ["toggle", [a, b, c], [a, c], [b]],
    ["toggle", [a], [a, b], [a, b]],
  ] as const)("%s", (how, before, neurons, after) => {
    expect(joined(before, neurons, how)).toEqual(after);
  });
});
