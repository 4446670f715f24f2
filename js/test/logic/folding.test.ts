import { describe, expect, it } from "vitest";
import { heads, resnet, transformer } from "../../dev/architectures.js";
import { mlp } from "../../dev/networks.js";
import { bundlesOf } from "../../src/geometry/bundles.js";
import { unfolded } from "../../src/geometry/columns.js";
import {
  foldedLike,
  foldedNames,
  foldingOf,
  foundOn,
  opened,
  openedAround,
  stepped,
  toggled,
} from "../../src/logic/folding.js";
import { cutAtStop } from "../../src/logic/threshold.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

const gpt = readScene(heads(4, 3)) as Scene;
const labels = (scene: Scene, folded: readonly string[] | null) =>
  foldingOf(scene, folded).columns.map(({ label }) => label);
const moduleOf = ({ modules }: Scene, label: string) =>
  modules.findIndex((module) => module.label === label);

describe("what is seen of a deep network", () => {
  it("is a column a module that is folded", () => {
    const layers = [0, 1, 2, 3].map((layer) => `transformer.h.${layer}`);
    expect(labels(gpt, layers)).toEqual(["wte", "h.0", "h.1", "h.2", "h.3", "lm_head"]);
    const halves = layers.flatMap(() => ["attn", "mlp"]);
    expect(labels(gpt, null)).toEqual(["wte", ...halves, "lm_head"]);
  });

  it("shares out all maps among the columns, in the order in which data flows", () => {
    for (const scene of [gpt, readScene(resnet()) as Scene, readScene(transformer()) as Scene]) {
      const all = scene.modules.map(({ name }) => name);
      for (const folded of [null, [], all, all.slice(0, 1), all.slice(-1)]) {
        const { columns, columnOf } = foldingOf(scene, folded);
        const seen = columns.flatMap(({ maps }) => maps);
        expect([...seen].sort((a, b) => a - b)).toEqual([...scene.maps.keys()]);
        columns.forEach(({ maps }, at) => {
          for (const map of maps) expect(columnOf[map]).toBe(at);
        });
        const first = columns.map(({ maps }) =>
          Math.min(...maps.map((map) => scene.maps[map].depth)),
        );
        expect(first).toEqual([...first].sort((a, b) => a - b));
      }
    }
  });

  it("opens one module at a time, with its own modules as they were", () => {
    const folded = toggled(gpt, ["transformer.h.1", "transformer.h.1.attn"], moduleOf(gpt, "h.1"));
    expect(folded).toEqual(["transformer.h.1.attn"]);
    const { columns, brackets } = foldingOf(gpt, folded);
    const at = columns.findIndex(({ label }) => label === "attn");
    expect(columns[at].maps).toHaveLength(6);
    const bracket = brackets.find(({ module }) => gpt.modules[module].label === "h.1");
    expect(bracket).toMatchObject({ first: at, last: at + 2, label: "h.1" });
    expect(toggled(gpt, folded, moduleOf(gpt, "h.1"))).toEqual([...folded, "transformer.h.1"]);
  });

  it("has no module without modules, and no bracket over a few columns", () => {
    const small = readScene(mlp(true)) as Scene;
    expect(foldingOf(small, null)).toBe(unfolded(small));
    const few: Scene = { ...gpt, maps: gpt.maps.slice(0, 6), links: [] };
    expect(foldingOf(few, []).brackets).toEqual([]);
  });

  it("unfolds what hides a map, and nothing else", () => {
    const head = gpt.maps.findIndex(({ name }) => name === "transformer.h.2.attn[OV.1]");
    const all = gpt.modules.map(({ name }) => name);
    const folded = opened(gpt, all, head) as readonly string[];
    expect(all.filter((name) => !folded.includes(name))).toEqual([
      "transformer.h.2",
      "transformer.h.2.attn",
    ]);
    expect(
      foldingOf(gpt, folded).columns.some(({ maps }) => maps.includes(head) && maps.length === 1),
    ).toBe(true);
    expect(opened(gpt, [], head)).toBeNull();
  });

  it("unfolds what hides a module, which stays as it is", () => {
    const all = gpt.modules.map(({ name }) => name);
    const around = openedAround(gpt, all, moduleOf(gpt, "h.2.attn")) as readonly string[];
    expect(all.filter((name) => !around.includes(name))).toEqual(["transformer.h.2"]);
    expect(openedAround(gpt, all, moduleOf(gpt, "h.2"))).toBeNull();
  });

  it("is folded like a network beside it, as far as that has the same modules", () => {
    const other = readScene(heads(2, 3)) as Scene;
    const at = (...layers: number[]) => layers.map((layer) => `transformer.h.${layer}`);
    expect(foldedLike(gpt, at(1, 3), other, [])).toEqual(at(1));
    // What only the one that follows has stays as it was.
    expect(foldedLike(other, at(0), gpt, at(1, 3))).toEqual(at(0, 3));
    expect(foldedLike(other, null, gpt, at(1))).toBeNull();
    const before = at(3, 0);
    expect(foldedLike(other, at(0), gpt, before)).toBe(before);
  });

  it("goes from level to level until everything is open, and back", () => {
    const counts: number[] = [];
    let folded: readonly string[] | null = null;
    const count = () => foldingOf(gpt, folded).columns.length;
    for (let next: readonly string[] | null = foldedNames(gpt, null); next; ) {
      folded = next;
      counts.push(count());
      next = stepped(gpt, foldingOf(gpt, folded), 1);
    }
    expect(counts).toEqual([10, gpt.maps.length]);
    const back: number[] = [];
    for (;;) {
      const next = stepped(gpt, foldingOf(gpt, folded), -1);
      if (!next) break;
      folded = next;
      back.push(count());
    }
    expect(back).toEqual([10, 6]);
  });
});

describe("brackets", () => {
  it("say once what the names above them share", () => {
    const { columns, brackets, rows } = foldingOf(gpt, []);
    const names = columns.filter(({ name }) => name.startsWith("transformer.h.0."));
    expect(names.map(({ label }) => label).slice(-3)).toEqual(["OV.2", "c_fc", "c_proj"]);
    expect(rows).toBe(2);
    const inner = brackets.filter(({ row }) => row === 0).map(({ label }) => label);
    expect(inner.slice(0, 2)).toEqual(["attn", "mlp"]);
  });

  it("are left out where a module is scattered among others", () => {
    const turn = (at: number) => ({ ...gpt.maps[at], depth: at });
    const mixed = ["a.x", "b.x", "a.y", "b.y", "c.x", "c.y", "a.z", "b.z", "c.z"].map(
      (name, at) => ({
        ...turn(at),
        name,
        label: name,
        module: "abc".indexOf(name[0]),
      }),
    );
    const modules = ["a", "b", "c"].map((name, at) => ({
      ...gpt.modules[0],
      name,
      label: name,
      parent: null,
      folded: false,
      maps: mixed.flatMap(({ module }, map) => (module === at ? [map] : [])),
    }));
    const { brackets } = foldingOf({ ...gpt, maps: mixed, modules, links: [] }, []);
    expect(brackets).toEqual([{ module: 2, label: "c", first: 4, last: 5, row: 0 }]);
  });

  it("go on from the bracket around them only where that is seen", () => {
    const names = ["a.0.x", "b.0", "a.0.y", "b.1", "a.0.z", "b.2", "a.1.x", "a.1.y", "c"];
    const places = [1, 3, 1, 3, 1, 3, 2, 2, null];
    const said = [
      ["a", null],
      ["a.0", 0],
      ["a.1", 0],
      ["b", null],
    ] as const;
    const maps = names.map((name, at) => ({
      ...gpt.maps[at],
      name,
      label: name,
      depth: at,
      module: places[at],
    }));
    const modules = said.map(([name, parent]) => ({
      name,
      label: name,
      parent,
      folded: false,
      maps: names.flatMap((each, map) => (each.startsWith(`${name}.`) ? [map] : [])),
    }));
    const { brackets } = foldingOf({ ...gpt, maps, modules, links: [] }, []);
    expect(brackets.map(({ label }) => label)).toEqual(["a.1"]);
  });

  it("span the columns of their module, and a number goes on from its name", () => {
    const scene = readScene(resnet()) as Scene;
    const { columns, brackets } = foldingOf(scene, ["layer2.0"]);
    for (const { module, first, last } of brackets) {
      const { maps, name } = scene.modules[module];
      const inside = columns.slice(first, last + 1).flatMap((column) => column.maps);
      expect(
        [...inside].sort((a, b) => a - b),
        name,
      ).toEqual(maps);
    }
    expect(columns.map(({ label }) => label)).toContain(".0");
  });
});

describe("what was found between folded columns", () => {
  it("is the sum over all links there, whether it is known of each or of those with edges", () => {
    const cut = cutAtStop(gpt, "exact", "p", 300);
    for (const folded of [null, [], ["transformer.h.0", "transformer.h.2"]]) {
      const folding = foldingOf(gpt, folded);
      const bundles = bundlesOf(gpt, folding);
      for (const each of [cut, { ...cut, significantPerLink: null }]) {
        const found = foundOn(gpt, folding, bundles, each);
        const perLink = each.significantPerLink ?? each.drawnPerLink;
        const expected = Array.from(bundles, ({ links }) =>
          [...links].reduce((sum, link) => sum + perLink[link], 0),
        );
        expect([...found]).toEqual(expected);
        expect(Math.max(...found)).toBeGreaterThan(0);
      }
    }
  });
});
