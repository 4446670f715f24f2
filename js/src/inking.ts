// Edges of one picture in the making. The same code runs in a worker and, where there is none, in
// slices on the page.

import type { Layout } from "./layout.js";
import { createEdgePainter, type EdgePainter, type Rgb } from "./paint.js";
import { type Accumulator, createAccumulator, develop } from "./raster.js";
import type { Drawable } from "./scene.js";

/** A picture that is wanted. */
export interface Job {
  readonly scene: Drawable;
  readonly layout: Layout;
  readonly ratio: number;
  /** How many of each link's edges are drawn, strongest first. */
  readonly drawn: ArrayLike<number>;
  /** Only edges of the neurons with a 1 here. */
  readonly only: Uint8Array | null;
  readonly faintest: number;
  readonly ink: Rgb;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The size of a job's picture, in its own pixels. */
export const sizeOf = ({ layout, ratio }: Pick<Job, "layout" | "ratio">): Size => ({
  width: Math.round(layout.size.width * ratio),
  height: Math.round(layout.size.height * ratio),
});

export interface Inking {
  /** From now on works towards this job; what is there already and still holds is kept. */
  begin(job: Job): void;
  /** Works for so long at most; whether all is there. */
  work(milliseconds: number): boolean;
  /** What is there by now, as RGBA. */
  picture(): Uint32Array<ArrayBuffer>;
}

/** All of a job but what may change without painting anew. */
const FIXED = ["scene", "layout", "ratio", "only", "faintest"] as const;

export function createInking(): Inking {
  let job: Job | null = null;
  let accumulator: Accumulator | null = null;
  let painter: EdgePainter | null = null;
  let rest: Generator<void, void, void> | null = null;
  return {
    begin(next) {
      const { width, height } = sizeOf(next);
      if (accumulator?.width !== width || accumulator.height !== height) {
        accumulator = createAccumulator(width, height);
        painter = null;
      }
      const before = job;
      if (!painter || !before || FIXED.some((name) => before[name] !== next[name])) {
        const { scene, layout, ratio, only, faintest } = next;
        painter = createEdgePainter(scene, layout, ratio, accumulator, { only, faintest });
      }
      rest = painter.towards(next.drawn);
      job = next;
    },
    work(milliseconds) {
      const begun = performance.now();
      while (rest && performance.now() - begun < milliseconds) {
        if (rest.next().done) rest = null;
      }
      return rest === null;
    },
    picture() {
      if (!job || !accumulator) throw new Error("there is no picture before it is begun");
      const pixels = new Uint32Array(accumulator.width * accumulator.height);
      develop(accumulator, job.ink, pixels);
      return pixels;
    },
  };
}
