// The picture of the pane of links: cells as pixels, with the names of rows and columns beside them.

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { shorten } from "../../geometry/labels.js";
import type { Size } from "../../geometry/layout.js";
import { type LinkCell, type LinkMap, pixelsOf } from "../../logic/linkMap.js";
import { css, mix, type Palette, type Rgb } from "../../paint/palette.js";
import { h } from "../kit/dom.js";
import { oncePerFrame } from "../kit/frames.js";
import type { View } from "../view.js";

const LONGEST = 96;
const LINE = 13;
const GAP = 6;
const LARGEST_CELL = 36;
/** Cells that are smaller have no names beside them. */
const LEAST_NAMED = 7;
/** A cell of a link on which nothing was found is told from one without a link. */
const NOTHING_FOUND = 0.2;

export interface Measure {
  /** How dark a cell is, from 0 to 1. */
  of(cell: LinkCell): number;
  /** What the darkest one has. */
  readonly most: number;
  readonly unit: string;
}

export interface Place {
  readonly row: number;
  readonly column: number;
}

/** Where the cells are in the canvas, in CSS pixels. */
export interface Grid extends Size {
  readonly left: number;
  readonly top: number;
}

export const inkOf = ({ paper, neutral, ink }: Palette, share: number): Rgb =>
  mix(mix(paper, neutral, NOTHING_FOUND), ink, share);

export interface Picture {
  readonly holder: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  readonly grid: ReadonlySignal<Grid>;
}

export function createPicture(
  view: View,
  shown: ReadonlySignal<LinkMap>,
  measure: ReadonlySignal<Measure>,
  at: ReadonlySignal<Place | null>,
): Picture {
  const canvas = h("canvas", {
    class: "svr-link-cells",
    tabindex: 0,
    role: "application",
    "aria-label": "links: rows read what columns write",
    "data-svr": "links",
  });
  const holder = h("div", { class: "svr-link-holder" }, canvas);
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  const room = signal<Size>({ width: 0, height: 0 });
  const resizes = new ResizeObserver(
    view.guard(() => {
      room.value = { width: holder.clientWidth, height: holder.clientHeight };
    }),
  );
  resizes.observe(holder);
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });
  const widthOf = (text: string) => context.measureText(text).width;
  const grid = computed(() => {
    setFont(context, holder);
    return gridWithin(room.value, shown.value, widthOf);
  });
  const draw = oncePerFrame(view, () => {
    const [map, palette, box] = [shown.peek(), view.palette.peek(), grid.peek()];
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [box.left + box.width, box.top + box.height];
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.width = Math.max(1, Math.round(width * ratio));
    canvas.height = Math.max(1, Math.round(height * ratio));
    if (!palette || box.width < 1 || box.height < 1) return;
    paintCells(context, map, measure.peek(), box, palette, ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    setFont(context, holder);
    paintNames(context, map, box, at.peek(), palette);
    canvas.dataset.painted = "true";
  });
  view.watch(() => {
    for (const cause of [shown, measure, grid, at, view.palette]) cause.value;
    canvas.dataset.painted = "false";
    draw();
  });
  return { holder, canvas, grid };
}

function setFont(context: CanvasRenderingContext2D, holder: HTMLElement): void {
  const { fontFamily } = getComputedStyle(holder);
  context.font = `11px ${fontFamily || "sans-serif"}`;
}

/** Square cells, with room for the names beside them and above, as far as that leaves some. */
function gridWithin(
  { width, height }: Size,
  { rows, columns }: LinkMap,
  measure: (text: string) => number,
): Grid {
  const longest = (names: readonly string[], most: number) =>
    Math.min(LONGEST, most, Math.max(0, ...names.map(measure))) + GAP;
  const within = (left: number, top: number) => {
    const across = (width - left - 2) / Math.max(1, columns.length);
    const down = (height - top - 2) / Math.max(1, rows.length);
    const cell = Math.max(0, Math.min(LARGEST_CELL, across, down));
    return { left, top, width: cell * columns.length, height: cell * rows.length };
  };
  const named = within(longest(rows, width / 3), longest(columns, height / 3));
  // Where hardly a name has room the cells have all of it; beneath them a name is always said.
  return named.height >= rows.length * LEAST_NAMED ? named : within(1, 1);
}

function paintCells(
  context: CanvasRenderingContext2D,
  map: LinkMap,
  measure: Measure,
  { left, top, ...box }: Grid,
  palette: Palette,
  ratio: number,
): void {
  const [width, height] = [box.width, box.height].map((side) =>
    Math.max(1, Math.round(side * ratio)),
  );
  const image = context.createImageData(width, height);
  const darkness = pixelsOf(map, width, height, measure.of);
  const cell = Math.min(width / map.columns.length, height / map.rows.length);
  darkness.forEach((share, pixel) => {
    // A line of paper parts cells that are large enough.
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    const isRule =
      cell >= 6 * ratio &&
      (Math.floor((x * map.columns.length) / width) !==
        Math.floor(((x + 1) * map.columns.length) / width) ||
        Math.floor((y * map.rows.length) / height) !==
          Math.floor(((y + 1) * map.rows.length) / height));
    if (share < 0 || isRule) return;
    const [red, green, blue] = inkOf(palette, share);
    image.data.set([red, green, blue, 255], 4 * pixel);
  });
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.putImageData(image, Math.round(left * ratio), Math.round(top * ratio));
}

/** The names, as many as stand apart; those of the row and the column that are pointed at always. */
function paintNames(
  context: CanvasRenderingContext2D,
  { rows, columns }: LinkMap,
  { left, top, width, height }: Grid,
  at: Place | null,
  palette: Palette,
): void {
  const measure = (text: string) => context.measureText(text).width;
  const soft = css(mix(palette.paper, palette.ink, 0.62));
  context.textBaseline = "middle";
  context.strokeStyle = css(mix(palette.paper, palette.neutral, 0.5));
  context.lineWidth = 1;
  context.strokeRect(left - 0.5, top - 0.5, width + 1, height + 1);
  const [down, across] = [height / rows.length, width / columns.length];
  const isShown = (index: number, cell: number, chosen: number | undefined) => {
    const step = Math.max(1, Math.ceil(LINE / cell));
    if (chosen === undefined) return index % step === 0;
    return index === chosen || (index % step === 0 && Math.abs(index - chosen) >= step);
  };
  const isNamed = left > GAP;
  rows.forEach((name, index) => {
    if (!isNamed || !isShown(index, down, at?.row)) return;
    context.fillStyle = index === at?.row ? css(palette.accent) : soft;
    const words = shorten(name, left - GAP, measure);
    context.fillText(words, left - GAP - measure(words), top + (index + 0.5) * down);
  });
  columns.forEach((name, index) => {
    if (!isNamed || !isShown(index, across, at?.column)) return;
    context.save();
    context.translate(left + (index + 0.5) * across, top - GAP);
    context.rotate(-Math.PI / 2);
    context.fillStyle = index === at?.column ? css(palette.accent) : soft;
    context.fillText(shorten(name, top - GAP, measure), 0, 0);
    context.restore();
  });
  if (!at) return;
  context.strokeStyle = css(palette.accent);
  context.lineWidth = 1.5;
  const [w, tall] = [Math.max(5, across), Math.max(5, down)];
  const [x, y] = [left + (at.column + 0.5) * across, top + (at.row + 0.5) * down];
  context.strokeRect(x - w / 2, y - tall / 2, w, tall);
}
