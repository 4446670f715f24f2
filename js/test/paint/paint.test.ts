import { describe, expect, it } from "vitest";
import { residual } from "../../dev/networks.js";
import { layOut } from "../../src/geometry/layout.js";
import { createEdgePainter, paintNeurons } from "../../src/paint/paint.js";
import type { Palette } from "../../src/paint/palette.js";
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

describe("painting neurons", () => {
  const residualScene = readScene(residual()) as Scene;
  const paper = [255, 255, 255] as const;
  const hue = [200, 0, 0] as const;
  const palette: Palette = {
    paper,
    ink: [0, 0, 0],
    accent: [0, 0, 255],
    neutral: [120, 120, 120],
    kinds: { convolution: hue, linear: hue, other: hue },
  };
  const white = 0xffffffff;

  /** The pixel in the middle of a map's first neuron, and one on its rim. */
  function dot(scene: Scene, map: number) {
    const size = { width: 900, height: 200 };
    const layout = layOut(scene, "linear", size, MARGINS);
    const ratio = 2;
    const [width, height] = [size.width * ratio, size.height * ratio];
    const pixels = new Uint32Array(width * height).fill(white);
    paintNeurons(scene, layout, palette, ratio, pixels, width, height);
    const [x, y] = [layout.x[map] * ratio, layout.y[scene.maps[map].start] * ratio];
    const at = (dx: number) => pixels[Math.floor(y) * width + Math.floor(x) + dx];
    return { middle: at(0), rim: at(5) };
  }

  it("leaves those hollow that feed no map, and fills the others", () => {
    const last = residualScene.maps.length - 1;
    const feeds = residualScene.maps.map((_, map) =>
      residualScene.links.some(({ producer }) => producer === map),
    );
    expect(residualScene.feeds).toEqual(feeds);
    expect(feeds[last]).toBe(false);
    const hollow = dot(residualScene, last);
    expect(hollow.middle).toBe(white);
    expect(hollow.rim).not.toBe(white);
    const filled = dot(residualScene, 0);
    expect(feeds[0]).toBe(true);
    expect(filled.middle).not.toBe(white);
  });

  it("draws what has no intensity for want of links", () => {
    const bare = {
      ...residualScene,
      feeds: residualScene.feeds.map(() => false),
      intensity: residualScene.intensity.map(() => Number.NaN),
    };
    const { middle, rim } = dot(bare, 0);
    expect(middle).toBe(white);
    expect(rim).not.toBe(white);
  });
});
