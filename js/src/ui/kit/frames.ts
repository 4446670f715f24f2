// Work that waits for the screen's next frame.
//
// What is asked for while a frame runs joins that frame: where a hover looks what is under the
// pointer and what it finds is then to be drawn, both happen before the screen is shown again.

import type { View } from "../view.js";

type Owner = Pick<View, "guard" | "signal">;

const waiting = new Set<() => void>();
let requested = false;

function request(): void {
  requested = true;
  requestAnimationFrame(runFrame);
}

function runFrame(): void {
  const done = new Set<() => void>();
  // A set that is walked also gives what is added meanwhile.
  for (const run of waiting) {
    // What has had its turn waits for the next frame: two that ask for each other end here.
    if (done.has(run)) continue;
    done.add(run);
    waiting.delete(run);
    run();
  }
  requested = false;
  if (waiting.size > 0) request();
}

/** Calls `run` once a frame, however often it was asked for: in the one that runs, or the next. */
export function oncePerFrame({ guard, signal }: Owner, run: () => void): () => void {
  const guarded = guard(run);
  signal.addEventListener("abort", () => waiting.delete(guarded), { once: true });
  return () => {
    if (signal.aborted) return;
    waiting.add(guarded);
    if (!requested) request();
  };
}

/** Calls `run` in the next frame, never in the one that runs: for work that is done in slices. */
export function inNextFrame({ guard, signal }: Owner, run: () => void): () => void {
  const guarded = guard(run);
  let asked = 0;
  signal.addEventListener("abort", () => cancelAnimationFrame(asked), { once: true });
  return () => {
    if (asked !== 0 || signal.aborted) return;
    asked = requestAnimationFrame(() => {
      asked = 0;
      guarded();
    });
  };
}
