// Sets of spectral neurons: which lie within a drawn line, and how sets join.

import type { Neuron, Scene } from "../wire/scene.js";
import type { Layout } from "./layout.js";
import { lowerBound } from "./picking.js";
import type { Point } from "./placement.js";

/** How newly pointed-at neurons meet those that are selected. */
export type Joining = "replace" | "add" | "toggle";

/**
 * The selection after `neurons` were pointed at. "toggle" adds them beside the others, or takes
 * them away where all are selected already.
 */
export function joined(
  before: readonly Neuron[],
  neurons: readonly Neuron[],
  how: Joining,
): readonly Neuron[] {
  if (how === "replace") return neurons;
  const selected = new Set(before.map(keyOf));
  if (how === "toggle" && neurons.every((neuron) => selected.has(keyOf(neuron)))) {
    const gone = new Set(neurons.map(keyOf));
    return before.filter((neuron) => !gone.has(keyOf(neuron)));
  }
  return [...before, ...neurons.filter((neuron) => !selected.has(keyOf(neuron)))];
}

const keyOf = ({ map, k }: Neuron) => map * 2 ** 32 + k;

/** The corners of the rectangle between two opposite ones. */
export function rectangle(a: Point, b: Point): Point[] {
  return [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }];
}

/**
 * The neurons inside a closed line, by the even-odd rule.
 *
 * Neurons stand in columns, sorted by height, so a column's are found between the heights where
 * the line crosses it: the cost goes with the columns and with what is found.
 */
export function neuronsWithin(scene: Scene, layout: Layout, line: readonly Point[]): Neuron[] {
  const found: Neuron[] = [];
  scene.maps.forEach(({ start, neurons }, map) => {
    const heights = crossings(line, layout.x[map]);
    for (let pair = 0; pair + 1 < heights.length; pair += 2) {
      const [top, bottom] = [heights[pair], heights[pair + 1]];
      for (let at = lowerBound(layout.y, start, start + neurons, top); at < start + neurons; at++) {
        if (layout.y[at] > bottom) break;
        found.push({ map, k: at - start });
      }
    }
  });
  return found;
}

/** Where a closed line crosses a vertical one, from top to bottom. */
export function crossings(line: readonly Point[], x: number): number[] {
  const heights: number[] = [];
  line.forEach((a, index) => {
    const b = line[(index + 1) % line.length];
    if (a.x <= x === b.x <= x) return;
    heights.push(a.y + ((x - a.x) / (b.x - a.x)) * (b.y - a.y));
  });
  return heights.sort((a, b) => a - b);
}
