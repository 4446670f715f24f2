// The line that a selection is drawn with: a box or a lasso.

import type { Point } from "../../../geometry/placement.js";
import { s } from "../../kit/dom.js";

export interface Outline {
  readonly element: SVGElement;
  /** Shows a closed line, or none. */
  draw(line: readonly Point[]): void;
}

export function lassoOutline(): Outline {
  const shape = s("polygon", { points: "" });
  const element = s("svg", { class: "svr-outline", "aria-hidden": true }, shape);
  return {
    element,
    draw: (line) => shape.setAttribute("points", line.map(({ x, y }) => `${x},${y}`).join(" ")),
  };
}
