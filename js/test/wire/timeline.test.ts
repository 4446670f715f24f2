import { describe, expect, it } from "vitest";
import { ancestors, chosenOf, createSceneStore, presentIn } from "../../src/wire/timeline.js";
import { checkpointBytes, checkpointScene } from "../support/checkpoints.js";

describe("neurons through checkpoints", () => {
  const before = checkpointScene([3, 2, 1, 0.5], [0, 1, 2, -1]);
  const after = checkpointScene([4, 2.5, 1, 0.5], [2, 0, 3, -1]);

  it("finds each one's place before, and none for what is new or has no number", () => {
    expect([...ancestors(before, after)]).toEqual([2, 0, -1, -1]);
    expect([...ancestors(before, checkpointScene([1], [0], "other"))]).toEqual([-1]);
  });

  it("follows the chosen ones, and leaves out those that do not live", () => {
    const chosen = chosenOf(before, [
      ["fc", 2],
      ["fc", 1],
      ["fc", 3],
      ["gone", 0],
    ]);
    expect(presentIn(after, chosen)).toEqual([
      ["fc", 0],
      ["fc", 3],
    ]);
    expect(presentIn(before, chosen)).toEqual([
      ["fc", 2],
      ["fc", 1],
      ["fc", 3],
    ]);
  });
});

describe("the store of scenes", () => {
  it("lets go of those asked for longest ago, and of those that are dropped", () => {
    const bytes = checkpointBytes([1], [0]);
    const store = createSceneStore(3 * bytes.byteLength);
    for (const step of [1, 2, 3]) store.add(step, bytes);
    store.get(1);
    store.add(4, bytes);
    expect([1, 2, 3, 4].map((step) => store.has(step))).toEqual([true, false, true, true]);
    store.keep([4]);
    expect([1, 3, 4].map((step) => store.has(step))).toEqual([false, false, true]);
    store.add(5, bytes);
    store.add(6, bytes);
    expect(store.has(4)).toBe(true);
  });
});
