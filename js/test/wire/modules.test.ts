import { describe, expect, it } from "vitest";
import { readModules } from "../../src/wire/modules.js";

const said = (name: string, parent: number | null) => ({
  name,
  label: name,
  parent,
  folded: false,
});

describe("modules", () => {
  it("hold the columns of those within them, too", () => {
    const modules = [said("h", null), said("h.0", 0), said("h.1", 0)];
    const found = readModules(modules, [null, 1, 1, 2, 0]);
    expect(found.map(({ maps }) => maps)).toEqual([[1, 2, 3, 4], [1, 2], [3]]);
  });

  it("are refused where they stand in themselves, or are not there", () => {
    expect(() => readModules([said("h", 0)], [])).toThrow('module "h"');
    expect(() => readModules([said("h", null)], [1])).toThrow("not there");
  });
});
