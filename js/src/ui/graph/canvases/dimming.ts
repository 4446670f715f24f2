// While columns are to stand out by their names, the picture is dimmed elsewhere: by a mask over
// the canvases, so that nothing has to be painted anew.

import type { Layout } from "../../../geometry/layout.js";
import type { View } from "../../view.js";
import type { Stage } from "../stage.js";

const DIM = 0.14;
/** So far beside a column it is as bright as the column. */
const BESIDE = 8;

export function keepBright(view: View, stage: Stage, ...canvases: readonly HTMLElement[]): void {
  view.watch(() => {
    const layout = stage.layout.value;
    const bright = view.state.bright.value;
    const mask = layout && bright ? maskOf(layout, bright) : "";
    for (const { style } of canvases) style.maskImage = mask;
  });
}

/** Bright at the columns that stand out, and between two of them that are neighbours. */
function maskOf({ x }: Layout, bright: ReadonlySet<number>): string {
  const order = [...x.keys()].sort((a, b) => x[a] - x[b]);
  const stops = order.flatMap((map) => {
    const colour = `rgb(0 0 0 / ${bright.has(map) ? 1 : DIM})`;
    return [x[map] - BESIDE, x[map] + BESIDE].map((at) => `${colour} ${at.toFixed(1)}px`);
  });
  return `linear-gradient(to right, ${stops.join(", ")})`;
}
