import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { foldingOf } from "../../src/logic/folding.js";
import { readModules } from "../../src/wire/modules.js";
import type { Scene } from "../../src/wire/scene.js";

/** What Python sees of the same graphs; tests/engine/graph/test_brackets.py has them. */
interface Case {
  readonly maps: { name: string; label: string; depth: number; module: number | null }[];
  readonly modules: { name: string; label: string; parent: number | null; folded: boolean }[];
  readonly folded: string[] | null;
  readonly columns: [label: string, maps: number[], folded: boolean][];
  readonly brackets: [label: string, first: number, last: number, row: number][];
}

const cases: Case[] = JSON.parse(
  readFileSync(new URL("../golden/folding.json", import.meta.url), "utf8"),
);

describe("folded graphs are seen as Python draws them", () => {
  it.each(cases.map((each, at) => [at, each] as const))("case %i", (_, { ...told }) => {
    const { maps, modules, folded } = told;
    const innermost = maps.map(({ module }) => module);
    const scene = { maps, links: [], modules: readModules(modules, innermost) };
    const { columns, brackets } = foldingOf(scene as unknown as Scene, folded);
    expect(columns.map(({ label, maps, module }) => [label, maps, module !== null])).toEqual(
      told.columns,
    );
    expect(brackets.map(({ label, first, last, row }) => [label, first, last, row])).toEqual(
      told.brackets,
    );
  });
});
