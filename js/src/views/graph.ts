// The picture itself: edges and neurons on one canvas, what is lit on another above it.

import { type Layout, WHOLE } from "../layout.js";
import { createEdgePainter, type EdgePainter, type Palette, paintNeurons } from "../paint.js";
import { type Accumulator, createAccumulator, develop } from "../raster.js";
import type { Scene } from "../scene.js";
import { axes } from "./axes.js";
import { h } from "./dom.js";
import { highlights } from "./highlights.js";
import { followKeyboard } from "./keyboard.js";
import { legend } from "./legend.js";
import { followPointer } from "./pointer.js";
import { progress } from "./progress.js";
import { createStage, type Stage } from "./stage.js";
import { tooltip } from "./tooltip.js";
import { oncePerFrame, type View } from "./view.js";

export function graph(view: View): HTMLElement {
  const stage = createStage(view);
  const canvas = h("canvas", {
    class: "svr-picture",
    "data-svr": "graph",
    tabindex: 0,
    role: "application",
    "aria-label": "graph of spectral neurons",
  });
  const { grid, frame } = axes(view, stage);
  const lit = highlights(view, stage);
  stage.element.append(grid, canvas, lit.canvas, frame, tooltip(view, stage, lit), progress(view));
  paint(view, stage, canvas);
  followPointer(view, stage, canvas);
  followKeyboard(view, stage, canvas);
  forgetWithScene(view);
  view.watch(() => {
    canvas.classList.toggle("svr-dimmed", view.state.selectedNeurons.value.length > 0);
  });
  return h("div", { class: "svr-graph" }, legend(view), stage.element);
}

/** Milliseconds of painting between two frames: the page stays alive, however many edges. */
const SLICE = 16;

function paint(view: View, stage: Stage, canvas: HTMLCanvasElement): void {
  const { state } = view;
  const context = contextOf(canvas);
  const neurons = neuronLayer();
  let accumulator: Accumulator | null = null;
  let image: ImageData | null = null;
  let painter: EdgePainter | null = null;
  let painterOf: readonly unknown[] = [];
  let rest: Generator<void, void, void> | null = null;

  // A slice a frame while edges are left. What is painted stays while only the threshold moves.
  let changed = false;
  const draw = oncePerFrame(view, () => {
    const scene = state.scene.peek();
    const layout = stage.layout.peek();
    const cut = state.cut.peek();
    const palette = view.palette.peek();
    const ratio = stage.ratio.peek();
    if (!scene || !layout || !cut || !palette) {
      rest = null;
      context.clearRect(0, 0, canvas.width, canvas.height);
      return;
    }
    const begun = performance.now();
    const width = Math.round(layout.size.width * ratio);
    const height = Math.round(layout.size.height * ratio);
    if (!accumulator || !image || image.width !== width || image.height !== height) {
      accumulator = createAccumulator(width, height);
      image = context.createImageData(width, height);
      canvas.width = width;
      canvas.height = height;
    }
    const of = [scene, layout, ratio, accumulator];
    if (!painter || of.some((part, index) => part !== painterOf[index])) {
      painter = createEdgePainter(scene, layout, ratio, accumulator);
      painterOf = of;
      changed = true;
    }
    if (changed || !rest) rest = painter.towards(cut.drawnPerLink);
    changed = false;
    let done = false;
    while (!done && performance.now() - begun < SLICE) done = rest.next().done === true;
    develop(accumulator, palette.ink, new Uint32Array(image.data.buffer));
    context.putImageData(image, 0, 0);
    context.drawImage(neurons(scene, layout, palette, ratio, width, height), 0, 0);
    canvas.dataset.painted = String(done);
    if (done) rest = null;
    else draw();
  });
  view.watch(() => {
    for (const cause of [state.scene, state.cut, stage.layout, stage.ratio, stage.appearances]) {
      cause.value;
    }
    view.palette.value;
    changed = true;
    canvas.dataset.painted = "false";
    draw();
  });
}

/** The neurons as a picture of their own, painted anew only where they stand elsewhere. */
function neuronLayer() {
  const canvas = document.createElement("canvas");
  const context = contextOf(canvas);
  let painted: readonly unknown[] = [];
  return (
    scene: Scene,
    layout: Layout,
    palette: Palette,
    ratio: number,
    width: number,
    height: number,
  ) => {
    const wanted = [scene, layout, palette, ratio, width, height];
    if (wanted.every((value, index) => value === painted[index])) return canvas;
    painted = wanted;
    canvas.width = width;
    canvas.height = height;
    const image = context.createImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    paintNeurons(scene, layout, palette, ratio, pixels, width, height);
    context.putImageData(image, 0, 0);
    return canvas;
  };
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  return context;
}

/** Another scene makes what pointed into the old one meaningless. */
function forgetWithScene(view: View): void {
  let scene = view.state.scene.peek();
  view.watch(() => {
    const next = view.state.scene.value;
    if (next === scene) return;
    scene = next;
    view.state.hover.value = null;
    view.state.camera.value = WHOLE;
  });
}
