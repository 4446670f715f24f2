import { describe, expect, it } from "vitest";
import { chain, transformer } from "../../dev/architectures.js";
import { vgg } from "../../dev/networks.js";
import { type Layout, layOut } from "../../src/geometry/layout.js";
import { edgeAlpha, edgeDepths, fullWeight } from "../../src/paint/density.js";
import { createEdgePainter } from "../../src/paint/paint.js";
import { createAccumulator, depthAt, opticalDepth } from "../../src/paint/raster.js";
import { plainOf } from "../../src/wire/links/columns.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const SIZE = { width: 900, height: 420 };
const MARGINS = { top: 16, right: 20, bottom: 40, left: 40 };
const sceneOf = (bytes: Uint8Array) => readScene(bytes) as Scene;
const layoutOf = (scene: Scene): Layout => layOut(scene, "linear", SIZE, MARGINS);

/** Only the first so many edges of each link, as if no others had been sent. */
const thinned = (scene: Scene, most: number): Scene => ({
  ...scene,
  links: scene.links.map((link) => ({ ...plainOf(link), sent: Math.min(most, link.sent) })),
});

describe("the depth of an edge", () => {
  it("is its own where it is alone", () => {
    const scene = thinned(sceneOf(chain(3)), 1);
    const depthOf = edgeDepths(scene, layoutOf(scene), {});
    scene.links.forEach(({ start }, link) => {
      const alone = opticalDepth(edgeAlpha(scene.edgeWeight[start], fullWeight(scene, link)));
      expect(depthOf(link, start) / alone).toBeGreaterThan(0.95);
      expect(depthOf(link, start) / alone).toBeLessThan(1.03);
    });
  });

  it("never rises as weights fall, within a link", () => {
    const scene = sceneOf(vgg(30_000));
    const depthOf = edgeDepths(scene, layoutOf(scene), {});
    scene.links.forEach(({ start, sent }, link) => {
      const depths = Array.from({ length: sent }, (_, at) => depthOf(link, start + at));
      expect(depths.every((depth, at) => at === 0 || depth <= depths[at - 1])).toBe(true);
    });
  });

  it("makes room for the edges of other links in the same gap", () => {
    const scene = sceneOf(transformer(4));
    const layout = layoutOf(scene);
    const link = 0;
    const weakest = scene.links[link].start + scene.links[link].sent - 1;
    const together = edgeDepths(scene, layout, {})(link, weakest);
    const links = scene.links.map((at, index) => (index === link ? at : { ...at, sent: 0 }));
    const alone = edgeDepths({ ...scene, links }, layout, {})(link, weakest);
    expect(together).toBeLessThan(0.5 * alone);
  });

  it("stays for the first edge of a link, however dense and strong others are", () => {
    const scene = sceneOf(transformer(4));
    const bySent = [...scene.links.keys()].sort(
      (a, b) => scene.links[b].sent - scene.links[a].sent,
    );
    const [across, planted] = bySent;
    const [other, { start }] = [scene.links[across], scene.links[planted]];
    const edgeWeight = scene.edgeWeight.slice();
    edgeWeight.fill(1, other.start, other.start + other.sent);
    edgeWeight[start] = 0.6;
    const certain = { m: 0, n: 0, weight: 0.6, log10_p: { exact: -99, chi2: -99 } };
    const links = scene.links.map((link, index) =>
      index === planted ? { ...plainOf(link), strongest: certain } : link,
    );
    const crowded = { ...scene, links, edgeWeight, largestWeight: 1 };
    const depthOf = edgeDepths(crowded, layoutOf(scene), {});
    expect(-Math.expm1(-depthOf(planted, start))).toBeGreaterThan(0.85);
  });

  it("is none where an edge touches no chosen neuron", () => {
    const scene = sceneOf(chain(3));
    const only = new Uint8Array(scene.singularValue.length);
    only[scene.maps[1].start + 2] = 1;
    const depthOf = edgeDepths(scene, layoutOf(scene), { only });
    const { start, sent } = scene.links[0];
    for (let edge = start; edge < start + sent; edge++) {
      expect(depthOf(0, edge) > 0).toBe(scene.edgeN[edge] === 2);
    }
  });
});

describe("a picture", () => {
  /** The alphas of all pixels between the first and the last column. */
  function alphas(scene: Scene): number[] {
    const layout = layoutOf(scene);
    const target = createAccumulator(SIZE.width, SIZE.height);
    const painter = createEdgePainter(scene, layout, 1, target);
    for (const _ of painter.towards(scene.links.map(({ sent }) => sent)));
    const found: number[] = [];
    for (let y = 0; y < SIZE.height; y += 3) {
      for (let x = MARGINS.left; x < SIZE.width - MARGINS.right; x += 3) {
        found.push(-Math.expm1(-depthAt(target, x, y)));
      }
    }
    return found;
  }

  it.each([
    ["of all pairs", () => transformer(12, 120)],
    ["of a hundred thousand edges", () => vgg(100_000)],
  ])("%s keeps its greys, nearly black in no more than an eighth", (_, bytes) => {
    const found = alphas(sceneOf(bytes()));
    const share = (low: number) => found.filter((alpha) => alpha > low).length / found.length;
    expect(share(0.95)).toBeLessThan(0.125);
    expect(share(0.05)).toBeGreaterThan(0.2);
  });

  it("of ten edges shows each of them", () => {
    const scene = thinned(sceneOf(chain(3)), 5);
    expect(Math.max(...alphas(scene))).toBeGreaterThan(0.5);
  });
});
