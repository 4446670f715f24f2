import { describe, expect, it } from "vitest";
import { parallel, transformer } from "../../dev/architectures.js";
import { sceneBytes } from "../../dev/synthetic.js";
import { linksWithEdges, plainOf, sortedBy } from "../../src/wire/links/columns.js";
import {
  endOf,
  endsFrom,
  findLink,
  hasParallels,
  linkFrom,
  linkKeyOf,
  producersOf,
  sameEnds,
} from "../../src/wire/links/names.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const branched = readScene(parallel()) as Scene;
const stream = readScene(transformer()) as Scene;

describe("links", () => {
  it("are called as Python calls them", () => {
    const keys = branched.links.map((_, index) => linkKeyOf(branched, index));
    expect(keys).toEqual([
      ["stem", "mixed"],
      ["stem", "mixed", 1],
      ["stem", "mixed", 2],
      ["mixed", "fc"],
      ["stem", "fc"],
    ]);
    keys.forEach((key, index) => void expect(findLink(branched, key)).toBe(index));
    expect(findLink(branched, ["stem", "mixed", 3])).toBeNull();
    expect(findLink(branched, ["fc", "stem"])).toBeNull();
  });

  it("say which they are where several are parallel", () => {
    expect(hasParallels(branched)).toBe(true);
    expect(hasParallels(stream)).toBe(false);
    expect([0, 2, 3].map((index) => endOf(branched, index))).toEqual([
      "mixed, link 0",
      "mixed, link 2",
      "fc",
    ]);
    expect(sameEnds(branched, 1)).toEqual([1]);
    expect(sameEnds(branched, 1, true)).toEqual([0, 1, 2]);
    expect(sameEnds(branched, 4, true)).toEqual([4]);
  });

  it("that have edges are told from those of which none was sent", () => {
    const links = stream.links.map((link, at) => ({
      ...plainOf(link),
      sent: at % 4 === 1 ? 2 : 0,
    }));
    expect([...linksWithEdges(links)]).toEqual([...links.keys()].filter((at) => at % 4 === 1));
    expect([...linksWithEdges([])]).toEqual([]);
  });

  it("are sorted by a key, those of one key in their own order", () => {
    const keys = Uint32Array.of(2, 0, 1, 2, 0, 2);
    const some = Int32Array.of(5, 4, 3, 1, 0);
    expect([...sortedBy(some, keys, 3)]).toEqual([4, 1, 5, 3, 0]);
    expect([...sortedBy(Int32Array.of(), keys, 3)]).toEqual([]);
  });

  it("are each to be chosen, by what they leave and then by what they end in", () => {
    for (const scene of [branched, stream]) {
      const found = producersOf(scene).flatMap(({ map, links }) => {
        const ends = endsFrom(scene, map);
        expect(ends.flatMap((end) => end.links).sort()).toEqual([...links].sort());
        expect(new Set(ends.map(({ name }) => name)).size).toBe(ends.length);
        return links;
      });
      expect(found.sort((a, b) => a - b)).toEqual([...scene.links.keys()]);
    }
  });

  it("of several laws are one to choose, the two sides of a head two", () => {
    const plan = { neurons: 3, value: (k: number) => 3 - k, intensity: () => 1 };
    const maps = ["a", "b"].map((name, depth) => ({ ...plan, name, kind: "linear", depth }));
    const link = { producer: 0, consumer: 1, edges: [{ m: 0, n: 0, weight: 0.5 }] };
    const plans = [
      { ...link, channels: 9, side: "q" as const },
      { ...link, channels: 7, side: "q" as const },
      { ...link, channels: 9, side: "k" as const },
    ];
    const scene = readScene(sceneBytes("sides", maps, plans)) as Scene;
    expect(endsFrom(scene, 0).map(({ name, links }) => [name, links])).toEqual([
      ["b.q", [0, 1]],
      ["b.k", [2]],
    ]);
  });

  it("of another producer lead into the same map where one does", () => {
    expect(linkFrom(branched, 0, 3)).toBe(4);
    expect(linkFrom(branched, 1, 0)).toBe(3);
  });
});
