import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { devHost } from "../../dev/host.js";
import { mlp } from "../../dev/networks.js";
import { createState } from "../../src/state/state.js";
import { createSteps, createViewHistory } from "../../src/state/viewHistory.js";

const bytes = mlp(true);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function started() {
  const host = devHost({ _scene: bytes });
  const controller = new AbortController();
  const state = createState(host, controller.signal);
  return { host, controller, state, viewHistory: createViewHistory(state, controller.signal) };
}

describe("back and forward", () => {
  it("takes what belongs together as one step, and restores it whole", () => {
    const { host, state, viewHistory } = started();
    expect(viewHistory.canGoBack.value).toBe(false);
    for (const level of [0.1, 0.2, 0.3]) {
      state.setLevel(level);
      vi.advanceTimersByTime(100);
    }
    state.moveCamera([2, 0.5, 0.5]);
    vi.advanceTimersByTime(1000);
    state.select([{ map: 1, k: 3 }]);
    state.setYScale("rank");
    vi.advanceTimersByTime(1000);
    viewHistory.go(-1);
    expect(state.selected.value).toEqual([]);
    expect(host.traits.y_scale).toBe("linear");
    expect([state.threshold.value, state.camera.value]).toEqual([0.3, [2, 0.5, 0.5]]);
    viewHistory.go(-1);
    expect([state.threshold.value, state.camera.value]).toEqual([0.05, null]);
    expect(viewHistory.canGoBack.value).toBe(false);
    viewHistory.go(1);
    viewHistory.go(1);
    expect(state.selectedNeurons.value).toEqual([{ map: 1, k: 3 }]);
    expect([state.y_scale.value, state.threshold.value]).toEqual(["rank", 0.3]);
    expect(viewHistory.canGoForward.value).toBe(false);
  });

  it("goes back from what has not settled yet, and can come back to it", () => {
    const { state, viewHistory } = started();
    state.setLevel(0.2);
    viewHistory.go(-1);
    expect(state.threshold.value).toBe(0.05);
    viewHistory.go(1);
    expect(state.threshold.value).toBe(0.2);
  });

  it("follows Python, too, and takes no echo for a step", () => {
    const { host, state, viewHistory } = started();
    host.push("selected", [["fc2", 3]]);
    vi.advanceTimersByTime(1000);
    host.push("selected", [["fc2", 3]]);
    vi.advanceTimersByTime(1000);
    viewHistory.go(-1);
    expect(state.selected.value).toEqual([]);
    expect(viewHistory.canGoBack.value).toBe(false);
  });

  it("is bounded and ends with the view", () => {
    const { state, viewHistory, controller } = started();
    for (let step = 1; step <= 150; step++) {
      state.setLevel(step / 1000);
      vi.advanceTimersByTime(1000);
    }
    let back = 0;
    while (viewHistory.canGoBack.value) {
      viewHistory.go(-1);
      back++;
    }
    expect(back).toBe(99);
    controller.abort();
    expect(vi.getTimerCount()).toBe(0);
  });
});

const history = (capacity = 10) => createSteps<number>(capacity, (a, b) => a === b);

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
