import { describe, expect, it } from "vitest";
import { createHistory } from "../../src/state/history.js";

const history = (capacity = 10) => createHistory<number>(capacity, (a, b) => a === b);

describe("history", () => {
  it("goes back and forward, and nowhere beyond its ends", () => {
    const steps = history();
    expect(steps.move(-1)).toBeNull();
    for (const view of [1, 2, 3]) steps.settle(view);
    expect(steps.move(1)).toBeNull();
    expect([steps.move(-1), steps.move(-1), steps.move(-1)]).toEqual([2, 1, null]);
    expect([steps.can(-1), steps.can(1)]).toEqual([false, true]);
    expect([steps.move(1), steps.move(1), steps.move(1)]).toEqual([2, 3, null]);
  });

  it("takes what is seen again for no step", () => {
    const steps = history();
    for (const view of [1, 2, 2, 2]) steps.settle(view);
    expect(steps.move(-1)).toBe(1);
    // Settling what one went back to keeps the way forward.
    steps.settle(1);
    expect(steps.move(1)).toBe(2);
  });

  it("forgets the way forward when another way is taken", () => {
    const steps = history();
    for (const view of [1, 2, 3]) steps.settle(view);
    steps.move(-1);
    steps.settle(4);
    expect(steps.can(1)).toBe(false);
    expect(steps.move(-1)).toBe(2);
  });

  it("is bounded: the oldest steps go first", () => {
    const steps = history(3);
    for (const view of [1, 2, 3, 4, 5]) steps.settle(view);
    expect([steps.move(-1), steps.move(-1), steps.move(-1)]).toEqual([4, 3, null]);
  });
});
