// A matrix as image pixels, one a cell, with the internal dimensions as a cross over it.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import { type Adjacency, cellOf, entriesOf, hasBlock } from "../adjacency.js";
import { css, type Palette } from "../paint.js";
import { entered, type Scene } from "../scene.js";
import type { Hover } from "../state.js";
import { fill, h, nameOf } from "./dom.js";
import { endsOf, select } from "./pointer.js";
import { oncePerFrame, type View } from "./view.js";

const TALLEST = 300;
const FLATTEST = 96;
/** Small entries are most of a matrix: this exponent keeps them apart. */
const TONE = 0.5;

export function matrix(view: View, shown: ReadonlySignal<Adjacency | null>): HTMLElement {
  const { state } = view;
  const canvas = h("canvas", { class: "svr-matrix", role: "img" });
  const across = h("div", { class: "svr-matrix-across" });
  const down = h("div", { class: "svr-matrix-down" });
  const frame = h("div", { class: "svr-matrix-frame" }, across, down, canvas);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  const width = signal(0);
  const resizes = new ResizeObserver(view.guard(() => (width.value = canvas.clientWidth)));
  resizes.observe(canvas);
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });

  let image: { of: Adjacency; palette: Palette; canvas: HTMLCanvasElement } | null = null;
  const draw = oncePerFrame(view, () => {
    const adjacency = shown.peek();
    const palette = view.palette.peek();
    const scene = state.scene.peek();
    const ratio = window.devicePixelRatio || 1;
    const sizes = [Math.round(width.peek() * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== sizes[0]) canvas.width = sizes[0];
    if (canvas.height !== sizes[1]) canvas.height = sizes[1];
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!adjacency || !palette || !scene || canvas.width === 0) return;
    if (image?.of !== adjacency || image.palette !== palette) {
      image = { of: adjacency, palette, canvas: develop(adjacency, palette) };
    }
    context.imageSmoothingEnabled = false;
    context.drawImage(image.canvas, 0, 0, canvas.width, canvas.height);
    context.lineWidth = Math.max(1, Math.round(ratio));
    context.strokeStyle = css(palette.accent);
    drawCross(context, adjacency);
    drawHover(context, scene, adjacency, state.hover.peek(), palette);
  });
  view.watch(() => {
    const adjacency = shown.value;
    if (adjacency && width.value > 0) {
      const [rows, columns] = adjacency.shape;
      const tall = (width.value * rows) / columns;
      canvas.style.height = `${Math.round(Math.max(FLATTEST, Math.min(TALLEST, tall)))}px`;
    }
    state.hover.value;
    view.palette.value;
    draw();
  });
  view.watch(() => {
    const scene = state.scene.value;
    const adjacency = shown.value;
    if (!scene || !adjacency) return;
    const link = scene.links[adjacency.link];
    const [from, to] = [scene.maps[link.producer].name, scene.maps[link.consumer].name];
    fill(across, nameOf(from), " →");
    fill(down, "← ", nameOf(entered(to, link)));
    canvas.setAttribute("aria-label", `adjacency of ${from} and ${entered(to, link)}`);
  });
  const look = (event: MouseEvent) => {
    const scene = state.scene.peek();
    const adjacency = shown.peek();
    if (!scene || !adjacency) return;
    const { left, top, width: wide, height: tall } = canvas.getBoundingClientRect();
    const x = (event.clientX - left) / wide;
    const y = (event.clientY - top) / tall;
    state.hover.value = hoverAt(scene, adjacency, x, y);
  };
  view.listen(canvas, "pointermove", look);
  view.listen(canvas, "click", (event) => {
    look(event);
    const hover = state.hover.peek();
    const scene = state.scene.peek();
    if (hover?.kind === "edge" && scene) select(view, endsOf(scene, hover), event.shiftKey);
  });
  view.listen(canvas, "pointerleave", () => {
    state.hover.value = null;
  });
  return frame;
}

/** What the pointer is at, as shares of the matrix; of pooled entries the strongest edge sent. */
export function hoverAt(scene: Scene, adjacency: Adjacency, x: number, y: number): Hover | null {
  const { shape, cells, values, link } = adjacency;
  const row = Math.min(cells[0] - 1, Math.max(0, Math.floor(y * cells[0])));
  const column = Math.min(cells[1] - 1, Math.max(0, Math.floor(x * cells[1])));
  const [n0, n1] = entriesOf(row, shape[0], cells[0]);
  const [m0, m1] = entriesOf(column, shape[1], cells[1]);
  const { start, sent } = scene.links[link];
  const from = { kind: "edge", link, from: "adjacency" } as const;
  for (let edge = start; edge < start + sent; edge++) {
    const m = scene.edgeM[edge];
    const n = scene.edgeN[edge];
    if (m >= m0 && m < m1 && n >= n0 && n < n1) {
      return { ...from, m, n, edge, weight: scene.edgeWeight[edge] };
    }
  }
  if (!adjacency.complete) return null;
  return { ...from, m: m0, n: n0, edge: null, weight: values[row * cells[1] + column] };
}

function develop({ cells, values, max }: Adjacency, palette: Palette): HTMLCanvasElement {
  const [rows, columns] = cells;
  const canvas = document.createElement("canvas");
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d") as CanvasRenderingContext2D;
  const image = context.createImageData(columns, rows);
  const { paper, ink } = palette;
  for (let at = 0; at < values.length; at++) {
    const tone = max > 0 ? Math.min(1, values[at] / max) ** TONE : 0;
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * at + channel] = paper[channel] + (ink[channel] - paper[channel]) * tone;
    }
    image.data[4 * at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function drawCross(context: CanvasRenderingContext2D, { internal, shape }: Adjacency): void {
  if (!internal || !hasBlock(internal)) return;
  const { width, height } = context.canvas;
  const x = Math.round((internal.d_in / shape[1]) * width);
  const y = Math.round((internal.d_out / shape[0]) * height);
  context.beginPath();
  context.moveTo(x + 0.5, 0);
  context.lineTo(x + 0.5, height);
  context.moveTo(0, y + 0.5);
  context.lineTo(width, y + 0.5);
  context.stroke();
}

/** Marks the row or the column of the neuron that the pointer is over, or the cell of an edge. */
function drawHover(
  context: CanvasRenderingContext2D,
  scene: Scene,
  { link, shape, cells }: Adjacency,
  hover: Hover | null,
  palette: Palette,
): void {
  if (!hover) return;
  const { producer, consumer } = scene.links[link];
  const { width, height } = context.canvas;
  const mark = (n: number | null, m: number | null) => {
    const y = n === null ? 0 : (cellOf(n, shape[0], cells[0]) / cells[0]) * height;
    const x = m === null ? 0 : (cellOf(m, shape[1], cells[1]) / cells[1]) * width;
    const tall = n === null ? height : Math.max(3, height / cells[0]);
    const wide = m === null ? width : Math.max(3, width / cells[1]);
    context.fillStyle = css(palette.accent, 0.22);
    context.fillRect(x, y, wide, tall);
    context.strokeRect(
      Math.round(x) + 0.5,
      Math.round(y) + 0.5,
      Math.round(wide),
      Math.round(tall),
    );
  };
  if (hover.kind === "edge") {
    if (hover.link === link) mark(hover.n, hover.m);
    return;
  }
  if (hover.neuron.map === consumer) mark(hover.neuron.k, null);
  if (hover.neuron.map === producer) mark(null, hover.neuron.k);
}
