// Edges of one picture in the making. The same code runs in a worker and, where there is none, in
// slices on the page.

import type { Layout, Size } from "../geometry/layout.js";
import type { Drawable } from "../wire/scene.js";
import { createEdgePainter, type EdgePainter, type Share, WHOLE_SHARE } from "./paint.js";
import type { Rgb } from "./palette.js";
import { type Accumulator, createAccumulator, develop } from "./raster.js";

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

/** The size of a job's picture, in its own pixels. */
export const sizeOf = ({ layout, ratio }: Pick<Job, "layout" | "ratio">): Size => ({
  width: Math.round(layout.size.width * ratio),
  height: Math.round(layout.size.height * ratio),
});

export interface Painting {
  /** From now on works towards this job, or a share of it; what is there and still holds is kept. */
  begin(job: Job, share?: Share): void;
  /** Works for so long at most; whether all is there. */
  work(milliseconds: number): boolean;
  /** A copy of the depths that are there by now, margins and all. */
  depths(): Int32Array<ArrayBuffer>;
  /** What is there by now, with what others have of the same picture, as RGBA. */
  picture(others?: readonly Int32Array[]): Uint32Array<ArrayBuffer>;
}

/** All of a job but what may change without painting anew. */
const FIXED = ["scene", "layout", "ratio", "only", "faintest"] as const;

/** Whether edges that were painted for one job hold for another. */
export const isKept = (before: Job, next: Job) =>
  FIXED.every((name) => before[name] === next[name]);

export function createPainting(): Painting {
  let job: Job | null = null;
  let part: Share = WHOLE_SHARE;
  let accumulator: Accumulator | null = null;
  let painter: EdgePainter | null = null;
  let rest: Generator<void, void, void> | null = null;
  const begun = () => {
    if (!job || !accumulator) throw new Error("there is no picture before it is begun");
    return { ink: job.ink, accumulator };
  };
  return {
    begin(next, share = WHOLE_SHARE) {
      const { width, height } = sizeOf(next);
      if (accumulator?.width !== width || accumulator.height !== height) {
        accumulator = createAccumulator(width, height);
        painter = null;
      }
      const sameShare = share.part === part.part && share.of === part.of;
      if (!painter || !job || !sameShare || !isKept(job, next)) {
        const { scene, layout, ratio, only, faintest } = next;
        painter = createEdgePainter(scene, layout, ratio, accumulator, { only, faintest }, share);
      }
      rest = painter.towards(next.drawn);
      job = next;
      part = share;
    },
    work(milliseconds) {
      const start = performance.now();
      while (rest && performance.now() - start < milliseconds) {
        if (rest.next().done) rest = null;
      }
      return rest === null;
    },
    depths: () => begun().accumulator.depth.slice(),
    picture(others = []) {
      const { accumulator, ink } = begun();
      const pixels = new Uint32Array(accumulator.width * accumulator.height);
      develop(withOthers(accumulator, others), ink, pixels);
      return pixels;
    },
  };
}

function withOthers(own: Accumulator, others: readonly Int32Array[]): Accumulator {
  if (others.length === 0) return own;
  const depth = own.depth.slice();
  for (const other of others) for (let at = 0; at < depth.length; at++) depth[at] += other[at];
  return { ...own, depth };
}
