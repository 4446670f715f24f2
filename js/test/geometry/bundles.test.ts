import { describe, expect, it } from "vitest";
import { heads } from "../../dev/architectures.js";
import { mlp, residual } from "../../dev/networks.js";
import { sceneBytes } from "../../dev/synthetic.js";
import { type Bundle, bends, bundleAt, bundlesOf } from "../../src/geometry/bundles.js";
import { shapeOf, unfolded } from "../../src/geometry/columns.js";
import { layOut } from "../../src/geometry/layout.js";
import { foldingOf } from "../../src/logic/folding.js";
import { plainOf } from "../../src/wire/links/columns.js";
import { type Link, readScene, type Scene } from "../../src/wire/scene.js";

const SIZE = { width: 900, height: 400 };
const MARGINS = { top: 20, right: 30, bottom: 60, left: 70 };
const gpt = readScene(heads(4, 3)) as Scene;

describe("links between folded columns", () => {
  it("are every link once, within the bundle of its two columns", () => {
    for (const folded of [null, [], ["transformer.h.0"]]) {
      const folding = foldingOf(gpt, folded);
      const bundles = bundlesOf(gpt, folding);
      const all = [...bundles].flatMap(({ links }) => [...links]).sort((a, b) => a - b);
      expect(all).toEqual([...gpt.links.keys()]);
      for (const { from, to, links } of bundles) {
        for (const link of links) {
          expect(folding.columnOf[gpt.links[link].producer]).toBe(from);
          expect(folding.columnOf[gpt.links[link].consumer]).toBe(to);
        }
        expect([...links]).toEqual([...links].sort((a, b) => a - b));
      }
      const order = Array.from(bundles, ({ from, to }) => from * folding.columns.length + to);
      expect(order).toEqual([...new Set(order)].sort((a, b) => a - b));
    }
  });

  it("are one each in a long chain, whose columns have few links", () => {
    const plan = { kind: "linear", neurons: 1, value: () => 1, intensity: () => 1 };
    const maps = Array.from({ length: 300 }, (_, depth) => ({ ...plan, name: `m${depth}`, depth }));
    const links = maps
      .slice(1)
      .map((_, at) => ({ producer: at, consumer: at + 1, channels: 1, edges: [] }));
    const chain = readScene(sceneBytes("chain", maps, links.reverse())) as Scene;
    const bundles = bundlesOf(chain, unfolded(chain));
    expect(Array.from(bundles, ({ from, to, links: [link] }) => [from, to, link])).toEqual(
      chain.links.map((_, at) => [at, at + 1, 298 - at]),
    );
  });

  it("leave out those by construction, and follow the links when those change", () => {
    const folding = foldingOf(gpt, null);
    const before = bundlesOf(gpt, folding);
    const links = gpt.links.map((link, at) => ({
      ...plainOf(link),
      by_construction: at % 3 === 0,
    }));
    const bundles = bundlesOf({ ...gpt, links }, folding);
    const all = [...bundles].flatMap(({ links }) => [...links]).sort((a, b) => a - b);
    expect(all).toEqual([...links.keys()].filter((at) => at % 3 !== 0));
    expect([...before].flatMap(({ links }) => [...links])).toHaveLength(links.length);
  });

  it("are drawn but for those within one", () => {
    const folding = foldingOf(gpt, null);
    const { x } = layOut(gpt, "linear", SIZE, MARGINS, undefined, 24, null, 0, folding);
    const shapes = gpt.links.map((link) => shapeOf(folding, link));
    gpt.links.forEach(({ producer, consumer }, link) => {
      expect(shapes[link] === "inner").toBe(x[producer] === x[consumer]);
    });
    expect(new Set(shapes)).toEqual(new Set(["line", "arc", "inner"]));
  });

  it("are found by their ends, or by a link that is in them", () => {
    for (const folded of [null, [], ["transformer.h.1"]]) {
      const folding = foldingOf(gpt, folded);
      const bundles = bundlesOf(gpt, folding);
      const many = folding.columns.length;
      const known = new Map(Array.from(bundles, ({ from, to }, at) => [from * many + to, at]));
      const links = Array.from(bundles, ({ links }) => [...links]);
      expect(links.map((_, at) => [...bundles.at(at).links])).toEqual(links);
      for (let pair = 0; pair < many * many; pair++) {
        const at = bundles.between(Math.floor(pair / many), pair % many);
        expect(at).toBe(known.get(pair) ?? -1);
      }
      const places = gpt.links.map((_, link) => bundleAt(gpt, folding, bundles, link));
      expect(places).toEqual(gpt.links.map((_, link) => [...bundles].findIndex(holds(link))));
    }
    const links = gpt.links.map((link) => ({ ...plainOf(link), by_construction: true }));
    const scene = { ...gpt, links };
    const folding = foldingOf(scene, null);
    expect(bundlesOf(scene, folding)).toHaveLength(0);
    expect(bundleAt(scene, folding, bundlesOf(scene, folding), 0)).toBe(-1);
  });
});

const holds =
  (link: number) =>
  ({ links }: Bundle) =>
    links.includes(link);

describe("whether links bend", () => {
  it("is what a walk over all of them finds", () => {
    const backward = gpt.links.map((link, at) => ({ ...plainOf(link), backward: at % 97 === 0 }));
    const scenes = [gpt, { ...gpt, links: backward }, readScene(residual()), readScene(mlp(true))];
    const seen = new Set<string>();
    for (const scene of scenes as Scene[]) {
      for (const folded of [null, [], ["transformer.h.0"]]) {
        const folding = foldingOf(scene, folded);
        const arcs = scene.links.filter((link) => shapeOf(folding, link) === "arc");
        const isBack = ({ producer, consumer, backward }: Link) =>
          backward || folding.columnOf[consumer] < folding.columnOf[producer];
        const expected = { above: arcs.some((at) => !isBack(at)), below: arcs.some(isBack) };
        expect(bends(scene, folding)).toEqual(expected);
        seen.add(JSON.stringify(expected));
      }
    }
    expect(seen.size).toBeGreaterThan(1);
  });
});
