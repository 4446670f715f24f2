import { describe, expect, it } from "vitest";
import { curveOf, reachOf } from "../../src/geometry/bands.js";
import { bundlesOf } from "../../src/geometry/bundles.js";
import { unfolded } from "../../src/geometry/columns.js";
import { layOut, scaleOf } from "../../src/geometry/layout.js";
import { readPreview } from "../../src/wire/preview.js";
import { previewBytes } from "../support/previews.js";

describe("a preview", () => {
  it("has columns with what is known of them, and links without edges", () => {
    const found = readPreview(previewBytes());
    expect(found?.exact).toBe(1);
    expect([...(found?.states ?? [])]).toEqual([2, 1, 0]);
    const scene = found?.scene;
    expect(scene?.maps.map(({ name, neurons, rank }) => [name, neurons, rank])).toEqual([
      ["fc1", 3, 3],
      ["fc2", 2, 9],
      ["fc3", 0, 4],
    ]);
    expect([...(scene?.singularValue ?? [])]).toEqual([3, 2, 0, 5, 4]);
    expect(scene?.links.map((link) => [link.producer, link.consumer, link.tests])).toEqual([
      [0, 1, 0],
      [1, 2, 0],
    ]);
    expect(scene?.links[1].backward).toBe(true);
    expect([...(scene?.hue ?? [])]).toEqual([0, 0, 0, 0, 0]);
  });

  it("is none where none was sent", () => {
    expect(readPreview(null)).toBeNull();
    expect(readPreview(new Uint8Array())).toBeNull();
  });

  it("that does not hold together is refused", () => {
    expect(() => readPreview(previewBytes({ state: Uint8Array.of(2) }))).toThrow('"state" has 1');
    expect(() => readPreview(previewBytes({ singular_value: Float64Array.of(1) }))).toThrow(
      '"null" has 5 values',
    );
    const beyond = { link_consumer: Uint32Array.of(1, 7) };
    expect(() => readPreview(previewBytes(beyond))).toThrow("a map that is not there");
  });

  it("is laid out, its links too where nothing is known of a column", () => {
    const scene = readPreview(previewBytes())?.scene;
    if (!scene) throw new Error("no preview");
    expect(scaleOf(scene)).toBe("linear");
    const size = { width: 400, height: 300 };
    const margins = { top: 10, right: 10, bottom: 50, left: 10 };
    const layout = layOut(scene, "linear", size, margins);
    const bundles = bundlesOf(scene, unfolded(scene));
    const ends = Array.from(bundles, (ends) => curveOf(layout, reachOf(scene, layout), ends));
    expect(ends[0][3].y).toBeCloseTo((layout.y[3] + layout.y[4]) / 2);
    expect(ends[1][3].y).toBe(130);
  });
});
