import { describe, expect, it } from "vitest";
import { residual } from "../../dev/networks.js";
import { layOut } from "../../src/geometry/layout.js";
import { createEdgePainter } from "../../src/paint/paint.js";
import { createAccumulator, depthAt } from "../../src/paint/raster.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const SIZE = { width: 300, height: 200 };
const MARGINS = { top: 16, right: 20, bottom: 40, left: 40 };

describe("painting edges", () => {
  const scene = readScene(residual()) as Scene;
  const layout = layOut(scene, "linear", SIZE, MARGINS);
  const share = (part: number) => scene.links.map(({ sent }) => Math.round(sent * part));

  function paintedBy(...stops: number[]) {
    const target = createAccumulator(SIZE.width, SIZE.height);
    const painter = createEdgePainter(scene, layout, 1, target);
    for (const stop of stops) for (const _ of painter.towards(share(stop)));
    return target.depth;
  }

  it("is the same on whatever way the threshold came there", () => {
    const straight = paintedBy(0.4);
    expect(straight.some((depth) => depth > 0)).toBe(true);
    expect(paintedBy(1, 0.1, 0.9, 0, 0.4)).toEqual(straight);
    expect(paintedBy(0.5)).not.toEqual(straight);
  });

  it("takes all ink away at a threshold that nothing passes", () => {
    expect(paintedBy(1, 0).every((depth) => depth === 0)).toBe(true);
  });

  it("goes on from where it was left", () => {
    const target = createAccumulator(SIZE.width, SIZE.height);
    const painter = createEdgePainter(scene, layout, 1, target);
    painter.towards(share(1)).next();
    for (const _ of painter.towards(share(0.4)));
    expect(target.depth).toEqual(paintedBy(0.4));
  });

  it("of some neurons only is what those edges alone leave", () => {
    const only = new Uint8Array(scene.singularValue.length);
    only[scene.maps[4].start + 1] = 1;
    const target = createAccumulator(SIZE.width, SIZE.height);
    const painter = createEdgePainter(scene, layout, 1, target, { only });
    for (const _ of painter.towards(share(0.5)));
    // Ink in the gaps beside map 4 and on the arcs that leave it, none before any of its links.
    const painted = (from: number, to: number) =>
      Array.from({ length: SIZE.height }, (_, y) => y).some((y) =>
        Array.from({ length: Math.round(to - from) }, (_, x) => Math.round(from) + x).some(
          (x) => depthAt(target, x, y) > 0,
        ),
      );
    const { x } = layout;
    const from = Math.min(
      ...scene.links.filter((at) => at.consumer === 4).map((at) => x[at.producer]),
    );
    expect(painted(0, from - 2)).toBe(false);
    expect(painted(from + 2, x[4] - 2)).toBe(true);
    expect(painted(x[4] + 2, x[4] + 8)).toBe(true);
    for (const _ of painter.towards(share(0)));
    expect(target.depth.every((depth) => depth === 0)).toBe(true);
  });
});
