import { expect, test } from "vitest";
import { damagedInWords } from "../../../src/ui/status/notices.js";

const damaged = (name: string) => ({ name, why: `'${name}' has 3 NaN or infinite of 12 entries` });

test("maps that are not drawn are named with the reason, the first of many", () => {
  expect(damagedInWords([])).toBe("");
  expect(damagedInWords([damaged("fc")])).toBe(
    "Not drawn: 'fc' has 3 NaN or infinite of 12 entries.",
  );
  const many = ["a", "b", "c", "d", "e"].map(damaged);
  expect(damagedInWords(many)).toMatch(/^Not drawn: 'a' .*; 'b' .*; 'c' .*; and 2 more maps\.$/);
});
