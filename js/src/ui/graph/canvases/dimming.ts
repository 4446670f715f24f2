// While columns are to stand out by their names, the picture is dimmed elsewhere: by a mask over
// the canvases, so that nothing has to be painted anew.

import type { Layout } from "../../../geometry/layout.js";
import type { View } from "../../view.js";
import type { Stage } from "../stage.js";

const DIM = 0.3;
/** So far beside a column nothing is dimmed that the column is not. */
const BESIDE = 8;

export function dimOthers(view: View, stage: Stage, ...canvases: readonly HTMLElement[]): void {
  view.watch(() => {
    const layout = stage.layout.value;
    const matched = view.state.matched.value;
    const mask = layout && matched ? maskOf(layout, matched) : "";
    for (const { style } of canvases) style.maskImage = mask;
  });
}

/** Opaque at the columns that match, and between two of them that are neighbours. */
function maskOf({ columnX, folding }: Layout, matched: ReadonlySet<number>): string {
  const stops = folding.columns.flatMap(({ maps }, column) => {
    const colour = `rgb(0 0 0 / ${maps.some((map) => matched.has(map)) ? 1 : DIM})`;
    const ends = [columnX[column] - BESIDE, columnX[column] + BESIDE];
    return ends.map((at) => `${colour} ${at.toFixed(1)}px`);
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
