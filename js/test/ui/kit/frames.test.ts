import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { inNextFrame, oncePerFrame } from "../../../src/ui/kit/frames.js";

let frames: (() => void)[] = [];
const runFrame = () => {
  for (const run of frames.splice(0)) run();
};

beforeEach(() => {
  frames = [];
  vi.stubGlobal("requestAnimationFrame", (run: () => void) => frames.push(run));
  vi.stubGlobal("cancelAnimationFrame", (id: number) => void frames.splice(id - 1, 1));
});
afterEach(() => {
  runFrame();
  vi.unstubAllGlobals();
});

function owner() {
  const controller = new AbortController();
  const guard = <A extends unknown[]>(run: (...values: A) => void) => run;
  return { controller, signal: controller.signal, guard };
}

it("draws in the frame in which it looked", () => {
  const view = owner();
  const done: string[] = [];
  const draw = oncePerFrame(view, () => done.push("draw"));
  const look = oncePerFrame(view, () => {
    done.push("look");
    draw();
  });
  look();
  look();
  expect(done).toEqual([]);
  runFrame();
  expect(done).toEqual(["look", "draw"]);
  expect(frames).toEqual([]);
});

it("gives two that ask for each other one turn a frame each", () => {
  const view = owner();
  let done: string[] = [];
  const one = oncePerFrame(view, () => {
    done.push("one");
    two();
  });
  const two = oncePerFrame(view, () => {
    done.push("two");
    one();
  });
  one();
  for (let frame = 0; frame < 3; frame++) {
    done = [];
    runFrame();
    expect(done).toEqual(["one", "two"]);
  }
  view.controller.abort();
});

it("does work in slices, one a frame, also where a frame began it", () => {
  const view = owner();
  let slices = 0;
  const more = inNextFrame(view, () => work());
  const work = () => {
    slices += 1;
    if (slices < 3) more();
  };
  oncePerFrame(view, work)();
  runFrame();
  expect(slices).toBe(1);
  runFrame();
  expect(slices).toBe(2);
});

it("ends with the view", () => {
  const view = owner();
  const run = vi.fn();
  const soon = oncePerFrame(view, run);
  soon();
  view.controller.abort();
  runFrame();
  soon();
  runFrame();
  expect(run).not.toHaveBeenCalled();
});
