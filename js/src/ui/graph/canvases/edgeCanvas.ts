// A canvas of edges as density with neurons above them.

import type { ReadonlySignal } from "@preact/signals-core";
import type { Folding } from "../../../geometry/columns.js";
import { type Layout, moved } from "../../../geometry/layout.js";
import { type Job, sizeOf } from "../../../paint/paintJob.js";
import type { Palette, Rgb } from "../../../paint/palette.js";
import type { Scene } from "../../../wire/scene.js";
import { inNextFrame, oncePerFrame } from "../../kit/frames.js";
import type { View } from "../../view.js";
import type { Stage } from "../stage.js";
import { gpuPainter } from "./gpuPainter.js";
import { FEW_EDGES, type Painted, type Painter, pagePainter } from "./painters.js";

export interface EdgeDrawing {
  /** The neurons whose edges are drawn, 1 at each; "all", or null for an empty canvas. */
  readonly of: ReadonlySignal<Uint8Array | "all" | null>;
  ink(palette: Palette): Rgb;
  /** Opacity of the weakest edge alone. */
  readonly faintest: number;
  /** What else asks for another picture when it changes. */
  readonly causes?: readonly ReadonlySignal<unknown>[];
  /** What is drawn above the edges. */
  over(surface: Surface): void;
}

export interface Surface {
  readonly context: CanvasRenderingContext2D;
  readonly scene: Scene;
  readonly layout: Layout;
  readonly palette: Palette;
  readonly ratio: number;
  /** The canvas in its own pixels. */
  readonly width: number;
  readonly height: number;
}

type Where = "page" | "beside";

/** The depths of the edges of more links take too long for the page. */
const FEW_LINKS = 2000;

/** A picture on a canvas of its own, to be put where the camera has moved it. */
interface Sheet {
  readonly canvas: HTMLCanvasElement;
  readonly context: CanvasRenderingContext2D;
  job: Job | null;
}

/**
 * Keeps the canvas up to date. While a picture of another part of the graph is in the making, the
 * last one is moved and stretched to where it belongs, and what is new shows beside it.
 */
export function edgeCanvas(
  view: View,
  stage: Stage,
  canvas: HTMLCanvasElement,
  drawing: EdgeDrawing,
): void {
  const { state } = view;
  const context = contextOf(canvas);
  const whole = createSheet();
  const draft = createSheet();
  let job: Job | null = null;
  const painters = new Map<Where, Painter>();
  let where: Where = "page";

  const compose = () => {
    const scene = state.scene.peek();
    const palette = view.palette.peek();
    if (!job || !scene || !palette) return;
    const { layout, ratio } = job;
    const { width, height } = sizeOf(job);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    } else context.clearRect(0, 0, width, height);
    const place = whole.job && placeOf(whole.job, job);
    context.save();
    if (draft.job?.layout === layout) {
      if (place) clipOutside(context, place, width, height);
      context.drawImage(draft.canvas, 0, 0);
    }
    context.restore();
    if (place) context.drawImage(whole.canvas, ...place);
    drawing.over({ context, scene, layout, palette, ratio, width, height });
  };
  const show = (from: Where, picture: Painted) => {
    if (from !== where || !job) return;
    if (picture.job.scene !== job.scene || picture.job.only !== job.only) return;
    const upToDate = picture.done || whole.job?.layout === picture.job.layout;
    put(picture, upToDate ? whole : draft);
    canvas.dataset.painted = String(picture.done && picture.job === job);
    compose();
  };
  const painterAt = (place: Where) => {
    const make = { page: pagePainter, beside: gpuPainter }[place];
    const painter = painters.get(place) ?? make(view, (picture) => show(place, picture));
    painters.set(place, painter);
    return painter;
  };
  const paint = () => {
    if (job) painterAt(where).paint(job);
  };
  const paintAfterwards = inNextFrame(view, paint);
  let folding: Folding | null = null;
  const ask = oncePerFrame(view, () => {
    const scene = state.scene.peek();
    const layout = stage.layout.peek();
    const cut = state.cut.peek();
    const palette = view.palette.peek();
    const of = drawing.of.peek();
    if (!scene || !layout || !cut || !palette || of === null) {
      job = null;
      context.clearRect(0, 0, canvas.width, canvas.height);
      canvas.dataset.painted = "true";
      return;
    }
    const only = of === "all" ? null : of;
    for (const sheet of [whole, draft]) {
      // From checkpoint to checkpoint the last edges stay until the next are there.
      const same = sheet.job?.scene === scene || state.playback !== null;
      if (!same || sheet.job?.only !== only) sheet.job = null;
    }
    const ratio = stage.ratio.peek();
    const { drawnPerLink: drawn } = cut;
    const { faintest } = drawing;
    // While columns come together or part, their neurons alone are seen to move.
    if (layout.isMoving) whole.job = draft.job = null;
    job = { scene, layout, ratio, drawn, only, faintest, ink: drawing.ink(palette) };
    if (whole.job && whole.job.layout !== layout) compose();
    // The edges of a selection are few beside all the others.
    const many = scene.links.length > FEW_LINKS || (only === null && cut.drawn > FEW_EDGES);
    where = many ? "beside" : "page";
    // Where columns come and go, workers would take the cores that the frame needs which shows it.
    const isNew = folding !== null && layout.folding !== folding;
    folding = layout.folding;
    if (layout.isMoving) compose();
    else if (isNew) paintAfterwards();
    else paint();
  });
  view.watch(() => {
    for (const cause of [state.scene, state.cut, stage.layout, stage.ratio, stage.appearances]) {
      cause.value;
    }
    for (const cause of drawing.causes ?? []) cause.value;
    view.palette.value;
    drawing.of.value;
    canvas.dataset.painted = "false";
    ask();
  });
}

function createSheet(): Sheet {
  const canvas = document.createElement("canvas");
  return { canvas, context: contextOf(canvas), job: null };
}

function put({ job, image }: Painted, sheet: Sheet): void {
  const { width, height } = sizeOf(job);
  if (sheet.canvas.width !== width || sheet.canvas.height !== height) {
    sheet.canvas.width = width;
    sheet.canvas.height = height;
  }
  if (image instanceof HTMLCanvasElement) {
    sheet.context.clearRect(0, 0, width, height);
    sheet.context.drawImage(image, 0, 0);
  } else {
    const bytes = new Uint8ClampedArray(image.buffer);
    sheet.context.putImageData(new ImageData(bytes, width, height), 0, 0);
  }
  sheet.job = job;
}

type Place = [x: number, y: number, width: number, height: number];

/** Where a picture belongs in another one, in its pixels; null where it cannot be moved there. */
function placeOf(from: Job, to: Job): Place | null {
  const by = moved(from.layout, to.layout);
  if (!by) return null;
  const { width, height } = from.layout.size;
  const { ratio } = to;
  return [by.x * ratio, by.y * ratio, by.across * width * ratio, by.down * height * ratio];
}

function clipOutside(
  context: CanvasRenderingContext2D,
  place: Place,
  width: number,
  height: number,
): void {
  context.beginPath();
  context.rect(0, 0, width, height);
  context.rect(...place);
  context.clip("evenodd");
}

/** Pixels that are computed anew only where what they show has changed. */
export function pixelCanvas(
  fill: (pixels: Uint32Array, surface: Surface) => void,
): (surface: Surface, cause?: unknown) => void {
  const canvas = document.createElement("canvas");
  const own = contextOf(canvas);
  let painted: readonly unknown[] = [];
  return (surface, cause) => {
    const { context, scene, layout, palette, ratio, width, height } = surface;
    const wanted = [scene, layout, palette, ratio, width, height, cause];
    if (wanted.some((value, index) => value !== painted[index])) {
      painted = wanted;
      canvas.width = width;
      canvas.height = height;
      const image = own.createImageData(width, height);
      fill(new Uint32Array(image.data.buffer), surface);
      own.putImageData(image, 0, 0);
    }
    context.drawImage(canvas, 0, 0);
  };
}

function contextOf(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  return context;
}
