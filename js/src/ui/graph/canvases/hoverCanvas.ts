// What the pointer or the keyboard is at, drawn in the accent colour above the picture.

import { computed, type ReadonlySignal } from "@preact/signals-core";
import { curveOf, reachOf } from "../../../geometry/bands.js";
import { bundleAt } from "../../../geometry/bundles.js";
import type { Layout } from "../../../geometry/layout.js";
import { createPath, DASH, isDashed, tracePath } from "../../../geometry/paths.js";
import { endsOf, type Hover } from "../../../logic/linkedHover.js";
import { incidentEdges } from "../../../logic/strongestPath.js";
import type { Cut } from "../../../logic/threshold.js";
import { NEURON_RADIUS, neuronInk, RIM } from "../../../paint/paint.js";
import { css } from "../../../paint/palette.js";
import type { Edge, Neuron, Scene } from "../../../wire/scene.js";
import { h } from "../../kit/dom.js";
import { oncePerFrame } from "../../kit/frames.js";
import type { View } from "../../view.js";
import type { Stage } from "../stage.js";
import { strokeCurve } from "./ribbons.js";

export interface Hovered {
  readonly neurons: readonly Neuron[];
  readonly edges: readonly Edge[];
}

export interface HoverCanvas {
  readonly canvas: HTMLCanvasElement;
  /** What the pointer or the keyboard is at, with the edges that light up for it. */
  readonly hovered: ReadonlySignal<Hovered>;
}

const NOTHING: Hovered = { neurons: [], edges: [] };

export function hoverCanvas(view: View, stage: Stage): HoverCanvas {
  const { state } = view;
  const canvas = h("canvas", { class: "svr-highlight", "aria-hidden": true });
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");

  const hovered = computed<Hovered>(() => {
    const scene = state.scene.value;
    const cut = state.cut.value;
    const hover = state.hover.value;
    return scene && cut && hover ? highlightedByHover(scene, cut, hover) : NOTHING;
  });
  const draw = oncePerFrame(view, () => {
    const scene = state.scene.peek();
    const layout = stage.layout.peek();
    const palette = view.palette.peek();
    const ratio = stage.ratio.peek();
    const width = Math.round((layout?.size.width ?? 0) * ratio);
    const height = Math.round((layout?.size.height ?? 0) * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!scene || !layout || !palette) return;
    const accent = css(palette.accent);
    context.strokeStyle = accent;
    const { neurons, edges } = hovered.peek();
    const hover = state.hover.peek();
    const bundles = state.bundles.peek();
    const at = hover?.kind === "ribbon" ? bundleAt(scene, layout.folding, bundles, hover.link) : -1;
    if (at >= 0) {
      const curve = curveOf(layout, reachOf(scene, layout), bundles.at(at));
      context.lineWidth = Math.max(3, state.bundleWidths.peek()[at]);
      context.globalAlpha = 0.6;
      context.beginPath();
      strokeCurve(context, curve);
      context.globalAlpha = 1;
    }
    strokeEdges(context, scene, layout, edges);
    for (const neuron of neurons) {
      const { start } = scene.maps[neuron.map];
      const x = layout.x[neuron.map];
      const y = layout.y[start + neuron.k];
      const ink = neuronInk(scene, palette, neuron.map, scene.hue[start + neuron.k]);
      circle(context, x, y, NEURON_RADIUS + 3);
      context.fillStyle = css(palette.paper);
      context.fill();
      context.lineWidth = 2;
      context.stroke();
      for (const [radius, colour] of [
        [NEURON_RADIUS, ink.rim],
        [NEURON_RADIUS - RIM, ink.inside],
      ] as const) {
        circle(context, x, y, radius);
        context.fillStyle = css(colour);
        context.fill();
      }
    }
  });
  view.watch(() => {
    for (const cause of [hovered, stage.layout, stage.ratio, stage.appearances, state.hover]) {
      cause.value;
    }
    view.palette.value;
    draw();
  });
  return { canvas, hovered };
}

function highlightedByHover(scene: Scene, cut: Cut, hover: Hover): Hovered {
  if (hover.kind === "neuron") {
    return { neurons: [hover.neuron], edges: incidentEdges(scene, cut, [hover.neuron]) };
  }
  if (hover.kind === "ribbon") return NOTHING;
  const { link, m, n, edge } = hover;
  return { neurons: endsOf(scene, hover), edges: [{ link, m, n, edge: edge ?? -1 }] };
}

/** Strokes edges in a few passes, each with the opacity of its share of weights. */
function strokeEdges(
  context: CanvasRenderingContext2D,
  scene: Scene,
  layout: Layout,
  edges: readonly Edge[],
): void {
  const bins = 6;
  const path = createPath();
  const binOf = ({ edge }: Edge) => {
    const share = edge < 0 ? 1 : scene.edgeWeight[edge] / scene.largestWeight;
    return Math.min(bins - 1, Math.floor(Math.sqrt(share) * bins));
  };
  for (let bin = 0; bin < bins; bin++) {
    context.globalAlpha = 0.3 + (0.7 * (bin + 1)) / bins;
    context.lineWidth = 1 + (0.75 * bin) / bins;
    for (const dashed of [false, true]) {
      context.setLineDash(dashed ? DASH : []);
      context.beginPath();
      for (const edge of edges) {
        if (binOf(edge) !== bin || isDashed(scene, edge.link) !== dashed) continue;
        const { points, length } = tracePath(scene, layout, edge.link, edge.m, edge.n, path);
        context.moveTo(points[0], points[1]);
        for (let at = 2; at < length; at += 2) context.lineTo(points[at], points[at + 1]);
      }
      context.stroke();
    }
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function circle(context: CanvasRenderingContext2D, x: number, y: number, radius: number): void {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
}
