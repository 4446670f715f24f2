// The grid of spectral images: what stands in its rows, and how a cell is drawn.

import { count, signed, significant } from "../../logic/format.js";
import type { Palette } from "../../paint/palette.js";
import {
  type Images,
  likeness,
  type ShownInput,
  type SpectralImage,
} from "../../wire/pictures/images.js";
import type { Neuron, Scene } from "../../wire/scene.js";
import { type Child, h, nameOf, tailOf } from "../kit/dom.js";
import { select } from "../kit/select.js";
import type { View } from "../view.js";
import { bars, picture, signedScale } from "./pictures.js";

/** A row of the grid: a neuron, or the n-th neuron of every map. */
export interface Row {
  /** Empty where each cell says which neuron it is. */
  readonly title: Child;
  readonly cells: readonly Cell[];
}

interface Cell {
  readonly neuron: Neuron;
  readonly image: SpectralImage | null;
}

export function rowsOfMaps(
  scene: Scene,
  found: Images,
  input: number,
  maps: readonly number[],
): readonly Row[] {
  const ks = maps.map((map) => found.neurons(scene.maps[map].name));
  const rows = Math.max(0, ...ks.map((mine) => mine.length));
  return Array.from({ length: rows }, (_, row) => ({
    title: "",
    cells: maps.map((map, at) => ({
      neuron: { map, k: ks[at][row] },
      image: row < ks[at].length ? found.image(input, scene.maps[map].name, row) : null,
    })),
  }));
}

export function rowsOfInputs(
  scene: Scene,
  found: Images,
  inputs: readonly number[],
  neurons: ReadonlyMap<number, readonly number[]>,
): readonly Row[] {
  return [...neurons].flatMap(([map, ks]) =>
    ks.map((k, place) => ({
      title: h("span", { class: "svr-of-row" }, tailOf(scene.maps[map].name), ` · ${count(k)}`),
      cells: inputs.map((number) => ({
        neuron: { map, k },
        image: found.image(number, scene.maps[map].name, place),
      })),
    })),
  );
}

/**
 * The table. `input` is the one that the maps saw, beside their rows; without it each column is an
 * input, and rows begin with their mean likeness.
 */
export function grid(
  view: View,
  scene: Scene,
  palette: Palette,
  { input, heads, rows }: { input: Child; heads: readonly Child[]; rows: readonly Row[] },
): HTMLElement {
  const head = h("tr", {}, h("td"), ...heads.map((name) => h("th", { scope: "col" }, name)));
  return h(
    "table",
    { "aria-label": "spectral images" },
    head,
    ...rows.map(({ title, cells }, place) => {
      // Bars of one row share a scale, so that they can be compared.
      const scale = Math.max(0, ...cells.map(({ image }) => image?.scale ?? 0));
      return h(
        "tr",
        {},
        title
          ? h("th", { scope: "row" }, title, summary(cells))
          : place === 0 && h("td", { class: "svr-corner", rowspan: rows.length }, input),
        ...cells.map((cell) => {
          const shown = cell.image && shownCell(view, scene, palette, cell, scale, !title);
          return h("td", {}, shown);
        }),
      );
    }),
  );
}

function shownCell(
  view: View,
  scene: Scene,
  palette: Palette,
  { neuron, image }: Cell,
  rowScale: number,
  named: boolean,
): Child {
  if (!image) return null;
  const { kind, values, shape, scale, cosine } = image;
  const name = `${scene.maps[neuron.map].name} · ${count(neuron.k)}`;
  const words =
    kind === "bar"
      ? `${name}: ${significant(values[0], 3)}`
      : `${name}: ${shape.join(" × ")}, from ${significant(-scale, 2)} to ${significant(scale, 2)}`;
  const drawn =
    kind === "bar"
      ? bars(values, rowScale, palette, words, () => words)
      : picture(values, shape, scale, palette, words);
  drawn.title = words;
  const button = h("button", { type: "button", class: "svr-cell-button" }, drawn);
  button.setAttribute("aria-label", words);
  view.listen(button, "pointerenter", () => {
    view.state.hover.value = { kind: "neuron", neuron, from: "images" };
  });
  view.listen(button, "pointerleave", () => {
    view.state.hover.value = null;
  });
  view.listen(button, "click", (event) => select(view, [neuron], event.shiftKey));
  const size = kind === "bar" ? signed(values[0], 2) : `± ${significant(scale, 2)}`;
  const caption = [
    named && `neuron ${count(neuron.k)}`,
    size,
    cosine !== null && `cos ${likenessWords(cosine)}`,
  ];
  return h(
    "figure",
    {},
    button,
    h("figcaption", {}, ...caption.map((words) => words && h("div", {}, words))),
  );
}

const likenessWords = (cosine: number) => cosine.toFixed(2);

/** Mean, standard deviation and number of a row's cosines. */
function summary(cells: readonly Cell[]): Child {
  const found = likeness(cells.flatMap(({ image }) => image?.cosine ?? []));
  if (!found) return null;
  const { mean, sd, n } = found;
  const spread = sd === null ? "" : ` ± ${likenessWords(sd)}`;
  return h(
    "div",
    {
      class: "svr-soft",
      title: `mean${sd === null ? "" : " ± standard deviation"} over ${count(n)} inputs`,
    },
    h("div", {}, `${likenessWords(mean)}${spread}`),
    h("div", {}, `n = ${count(n)}`),
  );
}

export function inputHead(input: ShownInput | undefined): HTMLElement | null {
  if (!input) return null;
  const { label, thumbnail } = input;
  const words = nameOf(label, { title: label });
  if (!thumbnail) return h("div", { class: "svr-input" }, words);
  const [rows, columns] = thumbnail.size;
  const canvas = h("canvas", { role: "img", "aria-label": `input ${label}` });
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  const image = context.createImageData(columns, rows);
  for (let at = 0; at < rows * columns; at++) {
    image.data.set([...thumbnail.rgb.subarray(3 * at, 3 * at + 3), 255], 4 * at);
  }
  context.putImageData(image, 0, 0);
  return h("div", { class: "svr-input" }, canvas, words);
}

/** The colours of all images, each from minus to plus the number beneath it. */
export const ownScales = (palette: Palette): HTMLElement =>
  h(
    "div",
    { class: "svr-own-scales svr-soft" },
    signedScale("−", "+", palette),
    "of the number beneath each image",
  );

export function leftOut({ leftOut }: Images): HTMLElement | null {
  const names = Object.entries(leftOut);
  if (names.length === 0) return null;
  return h(
    "ul",
    { class: "svr-soft" },
    ...names.map(([name, why]) => h("li", {}, nameOf(name), `: ${why}`)),
  );
}
