// Where a tooltip goes: inside the frame, off what it describes, over as little else as can be.

import type { Size } from "./layout.js";

export interface Point {
  readonly x: number;
  readonly y: number;
}

const DISTANCE = 14;
const EDGE = 4;
/** Places across the frame, and down it, that are tried beside those near the anchor. */
const PLACES = 9;

/**
 * The upper left corner of a box near `anchors`, the points that it is about: clear of them, and
 * over as few of the `obstacles` as can be. `inset` is kept free at the frame's left.
 */
export function placeTip(
  box: Size,
  frame: Size,
  anchors: readonly Point[],
  obstacles: readonly Point[],
  inset = EDGE,
): Point {
  const anchor = middleOf(anchors);
  const [right, low] = [frame.width - box.width - EDGE, frame.height - box.height - EDGE];
  const evenly = (from: number, to: number) =>
    Array.from({ length: PLACES }, (_, at) => from + ((to - from) * at) / (PLACES - 1));
  const columns = [
    anchor.x + DISTANCE,
    anchor.x - DISTANCE - box.width,
    anchor.x - box.width / 2,
    ...evenly(inset, right),
  ];
  const rows = [
    anchor.y - DISTANCE - box.height,
    anchor.y + DISTANCE,
    anchor.y - box.height / 2,
    ...evenly(EDGE, low),
  ];
  let best: Point = { x: columns[0], y: rows[0] };
  let least = Number.POSITIVE_INFINITY;
  for (const column of columns) {
    for (const row of rows) {
      const x = clamp(column, inset, right);
      const y = clamp(row, EDGE, low);
      const inside = (point: Point, around: number) =>
        point.x > x - around &&
        point.x < x + box.width + around &&
        point.y > y - around &&
        point.y < y + box.height + around;
      const hidden = obstacles.filter((point) => inside(point, 2)).length;
      const away = Math.hypot(x + box.width / 2 - anchor.x, (y + box.height / 2 - anchor.y) * 1.5);
      const covered = anchors.filter((point) => inside(point, 7)).length;
      // Off what it speaks of, if there is such a place, however far away; else over little of it.
      const cost =
        1e6 * covered + (hidden > 0 ? 1e4 + (1e4 * hidden) / obstacles.length : 0) + away;
      if (cost < least) {
        least = cost;
        best = { x, y };
      }
    }
  }
  return { x: Math.round(best.x), y: Math.round(best.y) };
}

function middleOf(points: readonly Point[]): Point {
  const sum = points.reduce((a, b) => ({ x: a.x + b.x, y: a.y + b.y }), { x: 0, y: 0 });
  return { x: sum.x / (points.length || 1), y: sum.y / (points.length || 1) };
}

const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value));
