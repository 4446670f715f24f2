// Small pictures of signed numbers: filters and images on canvases, vectors as bars.

import { significant } from "../../logic/format.js";
import { css, type Palette } from "../../paint/palette.js";
import {
  type Grid,
  kernelGrid,
  negative,
  positive,
  signedColour,
} from "../../paint/signedColours.js";
import { h } from "../kit/dom.js";

/** A filter or image, one pixel a value; its size on the page is the style sheet's. */
export function picture(
  values: ArrayLike<number>,
  kernel: readonly number[],
  scale: number,
  palette: Palette,
  label: string,
): HTMLCanvasElement {
  const grid: Grid = kernelGrid(kernel);
  const canvas = h("canvas", { class: "svr-signed", role: "img", "aria-label": label });
  canvas.width = grid.columns;
  canvas.height = grid.rows;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  const image = context.createImageData(grid.columns, grid.rows);
  for (let row = 0; row < grid.rows; row++) {
    for (let column = 0; column < grid.columns; column++) {
      const at = grid.at(row, column);
      if (at < 0) continue;
      const pixel = 4 * (row * grid.columns + column);
      image.data.set([...signedColour(palette, values[at], scale), 255], pixel);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** Bars from a line in the middle: up for positive numbers, down for negative ones. */
export function bars(
  values: ArrayLike<number>,
  scale: number,
  palette: Palette,
  label: string,
  title: (index: number) => string,
): HTMLElement {
  const element = h("div", { class: "svr-bars", role: "img", "aria-label": label });
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    const share = scale > 0 ? Math.min(1, Math.abs(value) / scale) : 0;
    const bar = h("i", { title: title(index) });
    bar.style.setProperty("--share", `${(share * 50).toFixed(2)}%`);
    bar.style.setProperty("--colour", css(value < 0 ? negative(palette) : positive(palette)));
    bar.dataset.sign = value < 0 ? "negative" : "positive";
    element.append(bar);
  }
  return element;
}

/** How long the longest bar is. */
export const barLegend = (scale: number) =>
  h("div", { class: "svr-soft" }, `longest bar ${significant(scale, 2)}`);

/** The scale of colours, with its ends named. */
export const signedLegend = (scale: number, palette: Palette) =>
  signedScale(significant(-scale, 2), significant(scale, 2), palette);

/** From one end, in blue, over zero to the other. */
export function signedScale(low: string, high: string, palette: Palette): HTMLElement {
  const colours = [negative(palette), palette.paper, positive(palette)].map((rgb) => css(rgb));
  const style = `background:linear-gradient(to right, ${colours.join(", ")})`;
  return h(
    "span",
    { class: "svr-scale svr-soft" },
    low,
    h("i", { class: "svr-ramp", style }),
    high,
  );
}
