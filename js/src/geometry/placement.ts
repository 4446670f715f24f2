// Where a tooltip goes: inside the frame, off what it describes, over as little else as can be.

import type { Size } from "./layout.js";

export interface Point {
  readonly x: number;
  readonly y: number;
}

const DISTANCE = 14;
const EDGE = 4;

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
  const columns = [
    anchor.x + DISTANCE,
    anchor.x - DISTANCE - box.width,
    anchor.x - box.width / 2,
    inset,
    frame.width - box.width - EDGE,
  ];
  const rows = [
    anchor.y - DISTANCE - box.height,
    anchor.y + DISTANCE,
    anchor.y - box.height / 2,
    EDGE,
    frame.height - box.height - EDGE,
  ];
  let best: Point = { x: columns[0], y: rows[0] };
  let least = Number.POSITIVE_INFINITY;
  for (const column of columns) {
    for (const row of rows) {
      const x = clamp(column, inset, frame.width - box.width - EDGE);
      const y = clamp(row, EDGE, frame.height - box.height - EDGE);
      const inside = (point: Point, around: number) =>
        point.x > x - around &&
        point.x < x + box.width + around &&
        point.y > y - around &&
        point.y < y + box.height + around;
      const hidden = obstacles.filter((point) => inside(point, 2)).length;
      const away = Math.hypot(x + box.width / 2 - anchor.x, (y + box.height / 2 - anchor.y) * 1.5);
      const covered = anchors.filter((point) => inside(point, 7)).length;
      const cost = 1e6 * covered + (60 * hidden) / Math.sqrt(obstacles.length || 1) + away;
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
