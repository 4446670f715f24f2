import { describe, expect, it } from "vitest";
import { packIncrements } from "../../dev/synthetic.js";
import { unpackIncrements } from "../../src/wire/increments.js";

describe("counts that rise", () => {
  // The same bytes as in tests/widget/test_increments.py.
  const bytes = Uint8Array.of(3, 10, 5, 2, 128, 2, 7);

  it("are read as Python writes them", () => {
    const rows = [
      [0, 5, 0],
      [0, 6, 128],
      [0, 6, 128],
    ];
    expect([...unpackIncrements(bytes, 3, 3)]).toEqual(rows.flat());
    expect(packIncrements(rows)).toEqual(bytes);
  });

  it("may be larger than 31 bits, and none", () => {
    const rows = [[4294967295], [4294967295]];
    expect([...unpackIncrements(packIncrements(rows), 2, 1)]).toEqual(rows.flat());
    expect(unpackIncrements(new Uint8Array(), 0, 7)).toEqual(new Uint32Array());
  });

  it.each([
    [2, 3],
    [3, 2],
    [4, 3],
  ])("of %d rows of %d are not those of another table", (rows, columns) => {
    expect(() => unpackIncrements(bytes, rows, columns)).toThrow(/9 numbers/);
  });
});
