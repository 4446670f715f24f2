// What is known of a graph before there is a scene, drawn in the picture's place: columns, neurons
// without any hue, who feeds whom. It is there only while it is shown, and asks Python nothing.

import { computed, untracked } from "@preact/signals-core";
import type { Layout } from "../../../geometry/layout.js";
import { previewInWords } from "../../../logic/format.js";
import { NEURON_RADIUS, RIM } from "../../../paint/paint.js";
import { css, type Palette } from "../../../paint/palette.js";
import { EXACT, type Preview } from "../../../wire/preview.js";
import { h } from "../../kit/dom.js";
import { oncePerFrame } from "../../kit/frames.js";
import { createView, type View } from "../../view.js";
import { axes } from "../axes.js";
import { followPointer } from "../pointer.js";
import { createStage, type Stage } from "../stage.js";
import { lassoOutline } from "./lassoOutline.js";
import { bands, ribbons } from "./ribbons.js";

/** Neurons closer than this cover each other, in pixels of the screen. */
const APART = 0.5;
/** Of a rim that is dashed, in CSS pixels: four dashes around. */
const DASHES = [3, 1.7];

/** `picture` is the canvas whose place it takes, until something is painted there. */
export function previewPane(view: View, picture: HTMLCanvasElement): HTMLElement {
  const { state } = view;
  const holder = h("div", { class: "svr-early" });
  const isThere = computed(() => state.preview.value !== null);
  let shown: AbortController | null = null;
  const empty = () => holder.replaceChildren();
  const painted = new MutationObserver(() => {
    if (picture.dataset.painted !== "true") return;
    painted.disconnect();
    empty();
  });
  const end = () => {
    const last = holder.querySelector(".svr-picture");
    shown?.abort();
    shown = null;
    painted.disconnect();
    empty();
    if (!last || !state.scene.peek() || view.signal.aborted) return;
    // Without it there would be no neuron for as long as the edges take.
    last.classList.add("svr-leaving");
    holder.append(last);
    painted.observe(picture, { attributeFilter: ["data-painted"] });
  };
  view.signal.addEventListener("abort", end, { once: true });
  view.watch(() => {
    const { value } = isThere;
    untracked(() => {
      end();
      if (!value) return;
      empty();
      shown = new AbortController();
      holder.append(drawing(viewOfPreview(view, shown.signal)));
    });
  });
  return holder;
}

/** The view with the preview's state in the place of the scene's, until the signal is aborted. */
function viewOfPreview(view: View, signal: AbortSignal): View {
  const { ask, cancel, resume, silent, trait, palette } = view;
  const state = { ...view.state, ...view.state.early };
  return createView(state, trait, { ask, cancel, resume, silent }, signal, palette);
}

function drawing(view: View): HTMLElement {
  const stage = createStage(view, view);
  const canvas = h("canvas", { class: "svr-picture", "data-svr": "preview", role: "img" });
  const { grid, frame } = axes(view, stage);
  const outline = lassoOutline();
  stage.element.append(grid, bands(view, stage), ribbons(view, stage), canvas, frame);
  followPointer(view, stage, canvas, { ...outline, draw: () => {} });
  paint(view, stage, canvas);
  view.watch(() => {
    const { value: preview } = view.state.preview;
    if (!preview) return;
    const words = previewInWords(preview.exact, preview.states.length);
    canvas.setAttribute("aria-label", `graph of spectral neurons, ${words}`);
  });
  return stage.element;
}

function paint(view: View, stage: Stage, canvas: HTMLCanvasElement): void {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  const draw = oncePerFrame(view, () => {
    const [preview, layout] = [view.state.preview.peek(), stage.layout.peek()];
    const [palette, ratio] = [view.palette.peek(), stage.ratio.peek()];
    canvas.width = Math.round((layout?.size.width ?? 0) * ratio);
    canvas.height = Math.round((layout?.size.height ?? 0) * ratio);
    if (!preview || !layout || !palette) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paintDots(context, preview, layout, palette, APART / ratio);
    canvas.dataset.exact = String(preview.exact);
  });
  view.watch(() => {
    for (const cause of [view.state.preview, stage.layout, stage.ratio, stage.appearances]) {
      cause.value;
    }
    view.palette.value;
    draw();
  });
}

/** Neurons that are known as discs, others as dashed circles; large singular values lie on top. */
function paintDots(
  context: CanvasRenderingContext2D,
  { scene, states }: Preview,
  { x, y, size }: Layout,
  palette: Palette,
  apart: number,
): void {
  context.fillStyle = context.strokeStyle = css(palette.neutral);
  context.lineWidth = RIM;
  scene.maps.forEach(({ start, neurons }, map) => {
    if (x[map] < -NEURON_RADIUS || x[map] > size.width + NEURON_RADIUS) return;
    const isExact = states[map] === EXACT;
    context.fillStyle = css(isExact ? palette.neutral : palette.paper);
    context.setLineDash(isExact ? [] : DASHES);
    let last = Number.POSITIVE_INFINITY;
    for (let neuron = start + neurons - 1; neuron >= start; neuron--) {
      if (Math.abs(y[neuron] - last) < apart && neuron > start) continue;
      last = y[neuron];
      context.beginPath();
      context.arc(x[map], y[neuron], NEURON_RADIUS, 0, 2 * Math.PI);
      context.fill();
      if (!isExact) context.stroke();
    }
  });
}
