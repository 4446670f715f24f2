// A canvas of edges as density with neurons above them, painted a slice a frame.

import type { ReadonlySignal } from "@preact/signals-core";
import type { Layout } from "../layout.js";
import { createEdgePainter, type EdgePainter, type Palette, type Rgb } from "../paint.js";
import { type Accumulator, createAccumulator, develop } from "../raster.js";
import type { Scene } from "../scene.js";
import type { Stage } from "./stage.js";
import { oncePerFrame, type View } from "./view.js";

/** Milliseconds of painting between two frames: the page stays alive, however many edges. */
const SLICE = 16;

export interface Layer {
  /** The neurons whose edges are drawn, 1 at each; "all", or null for an empty canvas. */
  readonly of: ReadonlySignal<Uint8Array | "all" | null>;
  ink(palette: Palette): Rgb;
  /** Opacity of the weakest edge alone. */
  readonly faintest: number;
  /** What is drawn above the edges. */
  over(painting: Painting): void;
}

export interface Painting {
  readonly context: CanvasRenderingContext2D;
  readonly scene: Scene;
  readonly layout: Layout;
  readonly palette: Palette;
  readonly ratio: number;
  /** The canvas in its own pixels. */
  readonly width: number;
  readonly height: number;
}

/** Keeps the canvas up to date: what is painted stays while only the threshold moves. */
export function edgeLayer(view: View, stage: Stage, canvas: HTMLCanvasElement, layer: Layer): void {
  const { state } = view;
  const context = contextOf(canvas);
  let accumulator: Accumulator | null = null;
  let image: ImageData | null = null;
  let painter: EdgePainter | null = null;
  let painterOf: readonly unknown[] = [];
  let rest: Generator<void, void, void> | null = null;

  let changed = false;
  const draw = oncePerFrame(view, () => {
    const scene = state.scene.peek();
    const layout = stage.layout.peek();
    const cut = state.cut.peek();
    const palette = view.palette.peek();
    const ratio = stage.ratio.peek();
    const of = layer.of.peek();
    if (!scene || !layout || !cut || !palette || of === null) {
      rest = null;
      context.clearRect(0, 0, canvas.width, canvas.height);
      canvas.dataset.painted = "true";
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
    const wanted = [scene, layout, ratio, accumulator, of];
    if (!painter || wanted.some((part, index) => part !== painterOf[index])) {
      const only = of === "all" ? null : of;
      const { faintest } = layer;
      painter = createEdgePainter(scene, layout, ratio, accumulator, { only, faintest });
      painterOf = wanted;
      changed = true;
    }
    if (changed || !rest) rest = painter.towards(cut.drawnPerLink);
    changed = false;
    let done = false;
    while (!done && performance.now() - begun < SLICE) done = rest.next().done === true;
    develop(accumulator, layer.ink(palette), new Uint32Array(image.data.buffer));
    context.putImageData(image, 0, 0);
    layer.over({ context, scene, layout, palette, ratio, width, height });
    canvas.dataset.painted = String(done);
    if (done) rest = null;
    else draw();
  });
  view.watch(() => {
    for (const cause of [state.scene, state.cut, stage.layout, stage.ratio, stage.appearances]) {
      cause.value;
    }
    view.palette.value;
    layer.of.value;
    changed = true;
    canvas.dataset.painted = "false";
    draw();
  });
}

/** Pixels that are computed anew only where what they show has changed. */
export function pixelLayer(
  fill: (pixels: Uint32Array, painting: Painting) => void,
): (painting: Painting, cause?: unknown) => void {
  const canvas = document.createElement("canvas");
  const own = contextOf(canvas);
  let painted: readonly unknown[] = [];
  return (painting, cause) => {
    const { context, scene, layout, palette, ratio, width, height } = painting;
    const wanted = [scene, layout, palette, ratio, width, height, cause];
    if (wanted.some((value, index) => value !== painted[index])) {
      painted = wanted;
      canvas.width = width;
      canvas.height = height;
      const image = own.createImageData(width, height);
      fill(new Uint32Array(image.data.buffer), painting);
      own.putImageData(image, 0, 0);
    }
    context.drawImage(canvas, 0, 0);
  };
}

export function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  return context;
}
