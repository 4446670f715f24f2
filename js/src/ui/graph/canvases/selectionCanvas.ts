// What is selected, above the picture: the neurons and their significant edges in the accent colour,
// and in ink the strongest path through them. Thousands of them are pixels, not strokes.

import { createPath, tracePath } from "../../../geometry/paths.js";
import type { StrongPath } from "../../../logic/strongestPath.js";
import { NEURON_RADIUS, neuronInk, RIM } from "../../../paint/paint.js";
import { css } from "../../../paint/palette.js";
import { addDisc } from "../../../paint/raster.js";
import { h } from "../../kit/dom.js";
import type { View } from "../../view.js";
import type { Stage } from "../stage.js";
import { edgeCanvas, pixelCanvas, type Surface } from "./edgeCanvas.js";

/** A selected edge is seen more easily than an ordinary one, however weak. */
const FAINTEST = 0.35;
const RING = 2;
const PATH_RING = 1;
const GAP = 1;

export function selectionCanvas(view: View, stage: Stage): HTMLCanvasElement {
  const { state } = view;
  const canvas = h("canvas", {
    class: "svr-highlight",
    "aria-hidden": true,
    "data-svr": "selected",
  });
  const neurons = pixelCanvas((pixels, { scene, layout, palette, ratio, width, height }) => {
    const highlighted = state.highlighted.peek();
    if (!highlighted) return;
    const onPath = highlighted.path?.neurons ?? [];
    const all = [
      ...onPath.map((neuron) => ({ ...neuron, around: palette.ink, ring: PATH_RING })),
      ...highlighted.neurons.map((neuron) => ({ ...neuron, around: palette.accent, ring: RING })),
    ];
    // All rings before all discs: where neurons crowd, one outline goes around them.
    for (const part of ["ring", "gap", "rim", "inside"] as const) {
      for (const { map, k, around, ring } of all) {
        const beyond = { ring: GAP + ring, gap: GAP, rim: 0, inside: -RIM }[part];
        const { start } = scene.maps[map];
        const x = layout.x[map] * ratio;
        const y = layout.y[start + k] * ratio;
        const ink = neuronInk(scene, palette, map, scene.hue[start + k]);
        const colour = { ring: around, gap: palette.paper, ...ink }[part];
        addDisc(pixels, width, height, x, y, (NEURON_RADIUS + beyond) * ratio, colour);
      }
    }
  });
  edgeCanvas(view, stage, canvas, {
    of: state.selectedMask,
    ink: ({ accent }) => accent,
    faintest: FAINTEST,
    over(surface) {
      const highlighted = state.highlighted.peek();
      if (highlighted?.path) strokePath(surface, highlighted.path);
      neurons(surface, highlighted);
    },
  });
  return canvas;
}

/** The path as one line, parted from what it crosses by a rim of paper. */
function strokePath({ context, scene, layout, palette, ratio }: Surface, path: StrongPath): void {
  const course = createPath();
  context.save();
  context.scale(ratio, ratio);
  context.lineCap = "round";
  context.lineJoin = "round";
  context.beginPath();
  for (const { link, m, n } of path.edges) {
    const { points, length } = tracePath(scene, layout, link, m, n, course);
    context.moveTo(points[0], points[1]);
    for (let at = 2; at < length; at += 2) context.lineTo(points[at], points[at + 1]);
  }
  for (const [colour, width] of [
    [palette.paper, 5],
    [palette.ink, 2.5],
  ] as const) {
    context.strokeStyle = css(colour);
    context.lineWidth = width;
    context.stroke();
  }
  context.restore();
}
