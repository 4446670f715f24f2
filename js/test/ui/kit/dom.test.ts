import { describe, expect, it } from "vitest";
import { type Child, fillChanged } from "../../../src/ui/kit/dom.js";

/** An element that knows what it was filled with, for there is no page here. */
function element() {
  const content: Child[][] = [];
  const fake = { replaceChildren: (...children: Child[]) => void content.push(children) };
  return { content, element: fake as unknown as Element };
}

describe("fillChanged", () => {
  it("leaves what is pressed where the words are the same", () => {
    const { element: row, content } = element();
    fillChanged(row, ["fc1", " · 3", "0.5"], () => ["fc1 · 3", "0.5"]);
    fillChanged(row, ["fc1", " · 3", "0.5"], () => ["made again"]);
    expect(content).toEqual([["fc1 · 3", "0.5"]]);
  });

  it("says new words, fewer words, and the first again", () => {
    const { element: row, content } = element();
    for (const words of [["a", "b"], ["a", "c"], ["a"], ["a", "b"]]) {
      fillChanged(row, words, () => words);
    }
    expect(content).toEqual([["a", "b"], ["a", "c"], ["a"], ["a", "b"]]);
  });

  it("keeps elements apart", () => {
    const [one, other] = [element(), element()];
    for (const { element: row } of [one, other]) fillChanged(row, ["a"], () => ["a"]);
    expect(one.content).toEqual(other.content);
  });
});
