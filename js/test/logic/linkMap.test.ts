import { describe, expect, it } from "vitest";
import { heads, resnet } from "../../dev/architectures.js";
import { bundlesOf } from "../../src/geometry/bundles.js";
import { foldingOf } from "../../src/logic/folding.js";
import { darknessOf, headKinds, headMapOf, linkMapOf, pixelsOf } from "../../src/logic/linkMap.js";
import { cutAtStop } from "../../src/logic/threshold.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const scene = readScene(resnet()) as Scene;
const gpt = readScene(heads(3, 2)) as Scene;
const cutOf = (of: Scene) => cutAtStop(of, "exact", "p", 300);

describe("who speaks to whom", () => {
  it.each([[[]], [["layer2", "layer3.1"]], [null]])(
    "sums edges over what is folded: %s",
    (folded) => {
      const cut = cutOf(scene);
      const folding = foldingOf(scene, folded);
      const map = linkMapOf(scene, cut, folding, bundlesOf(scene, folding));
      expect(map.rows).toHaveLength(folding.columns.length);
      const expected = new Map<string, number>();
      scene.links.forEach(({ producer, consumer, start }, link) => {
        const key = [folding.columnOf[consumer], folding.columnOf[producer]].join(" ");
        let edges = expected.get(key) ?? 0;
        for (let at = start; at < start + scene.links[link].sent; at++) {
          if (scene.log10p.exact[at] <= cut.log10p) edges++;
        }
        expected.set(key, edges);
      });
      const found = new Map(map.cells.map(({ row, column, edges }) => [`${row} ${column}`, edges]));
      expect(found).toEqual(expected);
      for (const { beyond, edges, expected: byChance, tests } of map.cells) {
        expect(byChance).toBeCloseTo(tests * 10 ** cut.log10p);
        expect(beyond).toBe(Math.max(0, edges - byChance));
      }
      expect(map.most).toBe(Math.max(...map.cells.map(({ beyond }) => beyond)));
    },
  );

  it("shows heads a row a layer, each with all of its links", () => {
    expect(headKinds(scene)).toEqual([]);
    expect(headKinds(gpt)).toEqual(["OV", "QK"]);
    const map = headMapOf(gpt, cutOf(gpt), "OV");
    expect(map.rows).toEqual(["h.0.attn", "h.1.attn", "h.2.attn"]);
    expect(map.columns).toEqual(["0", "1"]);
    expect(map.cells).toHaveLength(6);
    for (const { row, column, links } of map.cells) {
      const name = `transformer.h.${row}.attn[OV.${column}]`;
      const own = gpt.links.flatMap(({ producer, consumer }, link) =>
        [producer, consumer].some((at) => gpt.maps[at].name === name) ? [link] : [],
      );
      expect([...links].sort((a, b) => a - b)).toEqual(own);
    }
  });

  it("loses no cell where cells are smaller than pixels", () => {
    const folding = foldingOf(scene, []);
    const map = linkMapOf(scene, cutOf(scene), folding, bundlesOf(scene, folding));
    for (const side of [5, 21, 200]) {
      const pixels = pixelsOf(map, side, side, ({ beyond }) => beyond);
      expect(Math.max(...pixels)).toBeCloseTo(map.most, 3);
      for (const { row, column, beyond } of map.cells) {
        const [x, y] = [column, row].map((at) => Math.floor((at * side) / map.rows.length));
        expect(pixels[y * side + x]).toBeGreaterThanOrEqual(Math.fround(beyond));
      }
      const seen = pixels.filter((value) => value >= 0).length;
      if (side === 21) expect(seen).toBe(map.cells.length);
    }
  });

  it("is darker the more there is, from nothing to the most", () => {
    expect([0, 100].map((beyond) => darknessOf(beyond, 100))).toEqual([0, 1]);
    expect(darknessOf(10, 100)).toBeGreaterThan(darknessOf(9, 100));
    expect(darknessOf(0, 0)).toBe(0);
  });
});
