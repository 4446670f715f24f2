// What lies under the pointer.

import { columnsOf, linksWithEdges } from "../wire/links/columns.js";
import type { Edge, Neuron, Scene } from "../wire/scene.js";
import { shapeOf } from "./columns.js";
import type { Layout } from "./layout.js";
import { createPath, mayPass, type Path, tracePath } from "./paths.js";

/** The nearest neuron within a distance, the stronger one of two equally near. */
export function pickNeuron(
  scene: Scene,
  layout: Layout,
  x: number,
  y: number,
  within: number,
): Neuron | null {
  let best: Neuron | null = null;
  let nearest = within * within;
  scene.maps.forEach(({ start, neurons }, map) => {
    const dx = layout.x[map] - x;
    if (Math.abs(dx) > within || neurons === 0) return;
    // Within a column the neurons go down the screen as their singular values fall.
    const below = lowerBound(layout.y, start, start + neurons, y);
    for (const neuron of [firstAt(layout.y, start, below - 1), below]) {
      if (neuron < start || neuron >= start + neurons) continue;
      const square = dx * dx + (layout.y[neuron] - y) ** 2;
      if (square < nearest || (square === nearest && best === null)) {
        nearest = square;
        best = { map, k: neuron - start };
      }
    }
  });
  return best;
}

/** How much farther than the nearest edge a stronger one may be, and still be the one meant. */
const SLACK = 1.5;

/** The strongest of the drawn edges that lie about as near as the nearest one does. */
export function pickEdge(
  scene: Scene,
  layout: Layout,
  drawn: ArrayLike<number>,
  x: number,
  y: number,
  within: number,
): Edge | null {
  const path = createPath();
  const candidates: { edge: Edge; distance: number }[] = [];
  let nearest = within;
  for (const index of linksWithEdges(scene.links)) {
    if (drawn[index] === 0) continue;
    const link = scene.links[index];
    const shape = shapeOf(layout.folding, link);
    if (shape === "inner") continue;
    if (!mayReach(layout, shape, link.producer, link.consumer, x, within)) continue;
    for (let edge = link.start; edge < link.start + drawn[index]; edge++) {
      const m = scene.edgeM[edge];
      const n = scene.edgeN[edge];
      if (!mayPass(scene, layout, index, m, n, x, y, within)) continue;
      const distance = distanceTo(tracePath(scene, layout, index, m, n, path), x, y);
      if (distance > nearest + SLACK || distance > within) continue;
      nearest = Math.min(nearest, distance);
      candidates.push({ edge: { link: index, m, n, edge }, distance });
    }
  }
  let best: Edge | null = null;
  for (const { edge, distance } of candidates) {
    if (distance > nearest + SLACK) continue;
    if (!best || scene.edgeWeight[edge.edge] > scene.edgeWeight[best.edge]) best = edge;
  }
  return best;
}

/** The link whose two columns the pointer is between: the one with the closest pair of columns. */
export function pickLink(scene: Scene, layout: Layout, x: number): number | null {
  let best: number | null = null;
  let narrowest = Number.POSITIVE_INFINITY;
  const { producer, consumer } = columnsOf(scene.links);
  for (let link = 0; link < producer.length; link++) {
    const [from, to] = [layout.x[producer[link]], layout.x[consumer[link]]];
    const [left, right] = from < to ? [from, to] : [to, from];
    // Those within a folded module have no room between their ends.
    if (x < left || x > right || right - left >= narrowest || right === left) continue;
    narrowest = right - left;
    best = link;
  }
  return best;
}

function mayReach(
  layout: Layout,
  shape: string,
  producer: number,
  consumer: number,
  x: number,
  within: number,
): boolean {
  const left = Math.min(layout.x[producer], layout.x[consumer]) - within;
  const right = Math.max(layout.x[producer], layout.x[consumer]) + within;
  const bulge = shape === "loop" ? 40 * layout.camera.zoom : 0;
  return x >= left && x <= right + bulge;
}

/** The distance from a point to a polyline. */
function distanceTo({ points, length }: Path, x: number, y: number): number {
  let nearest = Number.POSITIVE_INFINITY;
  for (let at = 2; at < length; at += 2) {
    const dx = points[at] - points[at - 2];
    const dy = points[at + 1] - points[at - 1];
    const square = dx * dx + dy * dy;
    const along = ((x - points[at - 2]) * dx + (y - points[at - 1]) * dy) / (square || 1);
    const t = Math.min(1, Math.max(0, along));
    const ex = points[at - 2] + t * dx - x;
    const ey = points[at - 1] + t * dy - y;
    nearest = Math.min(nearest, ex * ex + ey * ey);
  }
  return Math.sqrt(nearest);
}

/** The first index in [low, high) whose value is at least `limit`, in ascending values. */
export function lowerBound(values: Float64Array, low: number, high: number, limit: number): number {
  let from = low;
  let to = high;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (values[middle] < limit) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** The first of the equal values that end at `index`. */
function firstAt(values: Float64Array, start: number, index: number): number {
  return index < start ? index : lowerBound(values, start, index, values[index]);
}
