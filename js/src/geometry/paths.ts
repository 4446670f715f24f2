// The course of one edge on the screen: a line between consecutive columns, an arc over columns
// that its link skips (below them where it runs backward), a loop beside a map linked to itself.

import type { Drawable } from "../wire/scene.js";
import { shapeOf } from "./columns.js";
import type { Layout } from "./layout.js";

export const ARC_PIECES = 20;
export const LOOP_PIECES = 14;

/** A polyline x0, y0, x1, y1, ...; `length` numbers of `points` are used. */
export interface Path {
  readonly points: Float64Array;
  length: number;
}

export function createPath(): Path {
  return { points: new Float64Array(2 * (Math.max(ARC_PIECES, LOOP_PIECES) + 1)), length: 0 };
}

/** Writes into `path` the course from the producer's neuron `m` to the consumer's neuron `n`. */
export function tracePath(
  scene: Drawable,
  layout: Layout,
  linkIndex: number,
  m: number,
  n: number,
  path: Path,
): Path {
  const link = scene.links[linkIndex];
  const x0 = layout.x[link.producer];
  const x1 = layout.x[link.consumer];
  const y0 = layout.y[scene.maps[link.producer].start + m];
  const y1 = layout.y[scene.maps[link.consumer].start + n];
  const shape = shapeOf(layout.folding, link);
  const { points } = path;
  if (shape === "line") {
    points[0] = x0;
    points[1] = y0;
    points[2] = x1;
    points[3] = y1;
    path.length = 4;
  } else if (shape === "loop" || shape === "inner") {
    const bulge = (Math.min(36 * layout.camera.zoom, layout.reach * 1.2) * 4) / 3;
    // Neurons at one height still need a loop to be seen.
    const spread = Math.abs(y1 - y0) < 12 ? 10 : 0;
    bezier(path, LOOP_PIECES, x0, y0, x0 + bulge, y0 - spread, x0 + bulge, y1 + spread, x1, y1);
  } else {
    const lift = arcLift(layout, x0, y0, x1, y1, link.backward || x1 < x0);
    const third = (x1 - x0) / 3;
    const rise = (y1 - y0) / 3;
    bezier(
      path,
      ARC_PIECES,
      x0,
      y0,
      x0 + third,
      y0 + rise + lift,
      x1 - third,
      y1 - rise + lift,
      x1,
      y1,
    );
  }
  return path;
}

/**
 * Whether the course of an edge may come within a distance of (x, y): a quick no, no certain yes.
 *
 * The course of a line or an arc is a parabola over x, so over a short stretch it hardly leaves
 * the straight line between the stretch's ends.
 */
export function mayPass(
  scene: Drawable,
  layout: Layout,
  linkIndex: number,
  m: number,
  n: number,
  x: number,
  y: number,
  within: number,
): boolean {
  const link = scene.links[linkIndex];
  const shape = shapeOf(layout.folding, link);
  if (shape === "loop" || shape === "inner") return true;
  const { producer, consumer, backward } = link;
  const [x0, x1] = [layout.x[producer], layout.x[consumer]];
  const y0 = layout.y[scene.maps[producer].start + m];
  const y1 = layout.y[scene.maps[consumer].start + n];
  const lift = shape === "arc" ? arcLift(layout, x0, y0, x1, y1, backward || x1 < x0) : 0;
  const share = (at: number) => Math.min(1, Math.max(0, (at - x0) / (x1 - x0)));
  const [from, to] = [share(x - within), share(x + within)];
  const height = (t: number) => y0 + (y1 - y0) * t + 3 * lift * t * (1 - t);
  const [start, end] = [height(from), height(to)];
  // The painted pieces of an arc lie inside it, by less than this bulge of one piece.
  const stretch = Math.abs(to - from) + 1 / ARC_PIECES;
  const room = within + 0.75 * Math.abs(lift) * stretch * stretch;
  return Math.min(start, end) <= y + room && Math.max(start, end) >= y - room;
}

/** Whether a link is drawn with gaps: what runs against the flow of data is marked so. */
export function isDashed(scene: Drawable, linkIndex: number): boolean {
  return scene.links[linkIndex].backward;
}

/** Lengths of a dash and of the gap after it, in CSS pixels. */
export const DASH = [6, 4] as const;

/** Gives the straight pieces of a path one by one, all of it or in dashes. */
export function forStrokes(
  { points, length }: Path,
  dashed: boolean,
  use: (x0: number, y0: number, x1: number, y1: number) => void,
): void {
  const [on, off] = DASH;
  let phase = 0;
  for (let at = 2; at < length; at += 2) {
    const [x0, y0, x1, y1] = [points[at - 2], points[at - 1], points[at], points[at + 1]];
    if (!dashed) {
      use(x0, y0, x1, y1);
      continue;
    }
    const whole = Math.hypot(x1 - x0, y1 - y0);
    for (let done = 0; done < whole; ) {
      const step = Math.min(whole - done, (phase < on ? on : on + off) - phase);
      if (phase < on) {
        const [from, to] = [done / whole, (done + step) / whole];
        use(x0 + (x1 - x0) * from, y0 + (y1 - y0) * from, x0 + (x1 - x0) * to, y0 + (y1 - y0) * to);
      }
      done += step;
      phase = phase + step < on + off - 1e-9 ? phase + step : 0;
    }
  }
}

/** An arc rises by a share of the plot's height that grows with its span, and never quite more. */
export const LEAST_LIFT = 12;
export const MOST_LIFT = 0.3;
/** An arc over half the graph rises half as far as can be, but in a narrow one none so short. */
const LEAST_HALF_SPAN = 240;
export const halfSpan = ({ plotWidth, camera }: Pick<Layout, "plotWidth" | "camera">) =>
  Math.max(LEAST_HALF_SPAN, plotWidth / 2) * camera.zoom;

/**
 * How far an arc's inner control points leave the straight line; negative is up.
 *
 * Near the plot's edge arcs rise less and less, so that those of many spans are still told apart.
 */
export function arcLift(
  layout: Layout,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  down: boolean,
): number {
  const { size, camera } = layout;
  const span = Math.abs(x1 - x0);
  const wanted =
    camera.zoom * LEAST_LIFT +
    (camera.zoom * size.height * MOST_LIFT * span) / (span + halfSpan(layout));
  const { top, bottom } = arcEnds(layout);
  // The arc itself goes three quarters as far; it stays within the plot and a little beyond.
  const most = Math.max(10, (down ? bottom - Math.max(y0, y1) : Math.min(y0, y1) - top) / 0.75);
  return ((down ? 1 : -1) * wanted) / Math.hypot(1, wanted / most);
}

/** Where no arc goes beyond, above the data and below it. */
export const arcEnds = ({ size, margins, camera }: Layout) => ({
  top: margins.top * camera.zoom + camera.y - margins.top + 4,
  bottom: (size.height - margins.bottom / 2) * camera.zoom + camera.y,
});

function bezier(
  path: Path,
  pieces: number,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  x2: number,
  y2: number,
  x3: number,
  y3: number,
): void {
  const { points } = path;
  for (let piece = 0; piece <= pieces; piece++) {
    const t = piece / pieces;
    const s = 1 - t;
    const a = s * s * s;
    const b = 3 * s * s * t;
    const c = 3 * s * t * t;
    const d = t * t * t;
    points[2 * piece] = a * x0 + b * x1 + c * x2 + d * x3;
    points[2 * piece + 1] = a * y0 + b * y1 + c * y2 + d * y3;
  }
  path.length = 2 * (pieces + 1);
}
