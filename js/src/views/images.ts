// The pane of spectral images: what chosen neurons make of chosen inputs (paper, Figure 5b).

import { computed, signal } from "@preact/signals-core";
import { count, significant } from "../format.js";
import {
  type Images,
  MOST_COLUMNS,
  mapsShown,
  neuronsShown,
  readImages,
  type ShownInput,
  type SpectralImage,
} from "../images.js";
import type { Palette } from "../paint.js";
import type { Neuron } from "../picking.js";
import type { Scene } from "../scene.js";
import { type Child, fill, h, nameOf, segmented } from "./dom.js";
import { followDrops } from "./drops.js";
import { bars, picture } from "./pictures.js";
import { select } from "./pointer.js";
import { resource } from "./resource.js";
import { statusOf } from "./status.js";
import type { View } from "./view.js";

type Across = "maps" | "inputs";

/** Positions a side that are asked for. */
const MOST_POSITIONS = 96;
const NO_MODEL = "These are bare weights: no input can be run through them.";
const NO_INPUTS = "No inputs yet: set widget.inputs = images in Python, or drop an image here.";

/** A row of the grid: a neuron, or the n-th neuron of every map. */
interface Row {
  readonly title: Child;
  readonly cells: readonly Cell[];
}

interface Cell {
  readonly neuron: Neuron;
  readonly image: SpectralImage | null;
}

export function imagesPane(view: View) {
  const { state } = view;
  const across = signal<Across>("maps");
  const input = signal(0);
  const map = signal(0);
  const page = signal(0);
  const cosine = signal(false);

  const labels = computed(() => state.inputs.value?.labels ?? []);
  const hasModel = computed(() => state.inputs.value?.model ?? false);
  /** All that could stand side by side, and the page of it that does. */
  const columns = computed<readonly number[]>(() => {
    const scene = state.scene.value;
    if (!scene) return [];
    if (across.value === "inputs") return labels.value.map((_, number) => number);
    return mapsShown(scene, state.selectedNeurons.value).filter(
      (at) => scene.maps[at].name === scene.maps[at].map,
    );
  });
  const pages = computed(() => Math.max(1, Math.ceil(columns.value.length / MOST_COLUMNS)));
  const shown = computed(() => {
    const at = Math.min(page.value, pages.value - 1);
    return columns.value.slice(at * MOST_COLUMNS, (at + 1) * MOST_COLUMNS);
  });
  const neurons = computed(() => {
    const scene = state.scene.value;
    if (!scene) return new Map<number, readonly number[]>();
    const selected = state.selectedNeurons.value;
    const rows = selected.length > 0 ? mapsShown(scene, selected) : [map.value];
    const maps = across.value === "maps" ? shown.value : rows;
    return new Map(maps.map((at) => [at, neuronsShown(scene, at, selected)]));
  });
  const images = resource(
    view,
    () => {
      const scene = state.scene.value;
      const open = scene && state.panes.value.includes("images") && hasModel.value;
      if (!open || labels.value.length === 0 || shown.value.length === 0) return null;
      return {
        kind: "images",
        inputs: across.value === "maps" ? [input.value] : shown.value,
        neurons: Object.fromEntries([...neurons.value].map(([at, ks]) => [scene.maps[at].map, ks])),
        most: MOST_POSITIONS,
        cosine: cosine.value,
        revision: state.inputs.value?.revision,
      };
    },
    ({ buffers }) => readImages(buffers[0]),
  );

  view.watch(() => {
    state.scene.value;
    map.value = 0;
    page.value = 0;
  });
  let revision = state.inputs.peek()?.revision;
  let many = labels.peek().length;
  view.watch(() => {
    const now = labels.value.length;
    if (state.inputs.value?.revision === revision) return;
    revision = state.inputs.value?.revision;
    // A dropped image comes last, and is what one wants to see.
    input.value = now > many ? now - 1 : 0;
    many = now;
  });

  const tools = toolbar(view, { across, input, map, page, cosine, labels, columns, pages });
  const message = h("p", { class: "svr-soft svr-empty" });
  const table = h("div", { class: "svr-image-grid", "data-svr": "images" });
  view.watch(() => {
    const none = labels.value.length === 0 ? NO_INPUTS : "";
    message.textContent = hasModel.value ? none : NO_MODEL;
    message.hidden = message.textContent === "";
    table.hidden = tools.hidden = !message.hidden;
  });
  view.watch(() => {
    const scene = state.scene.value;
    const palette = view.palette.value;
    const found = images.value.value;
    if (!scene || !palette || !found) return fill(table);
    const rows =
      across.value === "maps"
        ? rowsOfMaps(scene, found, input.value, shown.value)
        : rowsOfInputs(scene, found, shown.value, neurons.value);
    const heads =
      across.value === "maps"
        ? shown.value.map((at) => nameOf(scene.maps[at].name, { title: scene.maps[at].name }))
        : shown.value.map((number) => inputHead(found.inputs.find((of) => of.number === number)));
    const corner = across.value === "maps" ? inputHead(found.inputs[0]) : null;
    fill(table, grid(view, scene, palette, corner, heads, rows), leftOut(found));
  });
  const body = h("div", { class: "svr-images" }, tools, statusOf(view, [images]), message, table);
  followDrops(view, body, hasModel);
  return { body };
}

interface Choices {
  readonly across: { value: Across };
  readonly input: { value: number };
  readonly map: { value: number };
  readonly page: { value: number; peek(): number };
  readonly cosine: { value: boolean; peek(): boolean };
  readonly labels: { readonly value: readonly string[] };
  readonly columns: { readonly value: readonly number[] };
  readonly pages: { readonly value: number };
}

function toolbar(view: View, choices: Choices): HTMLElement {
  const { across, input, map, page, cosine, labels, columns, pages } = choices;
  const side = segmented(
    "columns",
    [
      ["maps", "Maps", "One input through the maps"],
      ["inputs", "Inputs", "Some neurons for many inputs"],
    ],
    (chosen) => {
      across.value = chosen;
      page.value = 0;
    },
  );
  const which = h("select", { "aria-label": "input" });
  const from = h("select", { "aria-label": "map of the neurons" });
  const sobel = h("button", { type: "button", class: "svr-toggle" }, "cosine");
  sobel.title = "Cosine similarity with the Sobel filter of the input";
  const left = h("button", { type: "button", class: "svr-tool", "aria-label": "before" }, "‹");
  const right = h("button", { type: "button", class: "svr-tool", "aria-label": "after" }, "›");
  const where = h("span", { class: "svr-soft" });
  view.watch(() => {
    fill(which, ...labels.value.map((label, number) => option(number, label)));
    which.value = String(Math.min(input.value, labels.value.length - 1));
  });
  view.watch(() => {
    const maps = view.state.scene.value?.maps ?? [];
    fill(from, ...maps.map(({ name }, index) => option(index, name)));
    from.value = String(map.value);
  });
  view.watch(() => {
    side.show(across.value);
    which.hidden = across.value !== "maps";
    from.hidden = across.value !== "inputs" || view.state.selectedNeurons.value.length > 0;
    sobel.setAttribute("aria-pressed", String(cosine.value));
    const at = Math.min(page.value, pages.value - 1);
    for (const part of [left, right, where]) part.hidden = pages.value < 2;
    left.disabled = at === 0;
    right.disabled = at === pages.value - 1;
    const end = Math.min((at + 1) * MOST_COLUMNS, columns.value.length);
    where.textContent = `${at * MOST_COLUMNS + 1} to ${end} of ${count(columns.value.length)}`;
  });
  view.listen(which, "change", () => (input.value = Number(which.value)));
  view.listen(from, "change", () => (map.value = Number(from.value)));
  view.listen(sobel, "click", () => (cosine.value = !cosine.peek()));
  view.listen(left, "click", () => (page.value = Math.max(0, page.peek() - 1)));
  view.listen(right, "click", () => (page.value = page.peek() + 1));
  return h(
    "div",
    { class: "svr-pane-tools" },
    side.element,
    which,
    from,
    h("span", { class: "svr-grow" }),
    where,
    left,
    right,
    sobel,
  );
}

function rowsOfMaps(
  scene: Scene,
  found: Images,
  input: number,
  maps: readonly number[],
): readonly Row[] {
  const ks = maps.map((map) => found.neurons(scene.maps[map].map));
  const rows = Math.max(0, ...ks.map((mine) => mine.length));
  return Array.from({ length: rows }, (_, row) => ({
    title: "",
    cells: maps.map((map, at) => ({
      neuron: { map, k: ks[at][row] },
      image: row < ks[at].length ? found.image(input, scene.maps[map].map, row) : null,
    })),
  }));
}

function rowsOfInputs(
  scene: Scene,
  found: Images,
  inputs: readonly number[],
  neurons: ReadonlyMap<number, readonly number[]>,
): readonly Row[] {
  return [...neurons].flatMap(([map, ks]) =>
    ks.map((k, place) => ({
      title: h("span", {}, nameOf(scene.maps[map].name), ` · ${count(k)}`),
      cells: inputs.map((number) => ({
        neuron: { map, k },
        image: found.image(number, scene.maps[map].map, place),
      })),
    })),
  );
}

function grid(
  view: View,
  scene: Scene,
  palette: Palette,
  corner: Child,
  heads: readonly Child[],
  rows: readonly Row[],
): HTMLElement {
  const head = h(
    "tr",
    {},
    h("td", {}, corner),
    ...heads.map((name) => h("th", { scope: "col" }, name)),
  );
  return h(
    "table",
    { "aria-label": "spectral images" },
    head,
    ...rows.map(({ title, cells }) => {
      // Bars of one row share a scale, so that they can be compared.
      const scale = Math.max(0, ...cells.map(({ image }) => image?.scale ?? 0));
      return h(
        "tr",
        {},
        title ? h("th", { scope: "row" }, title) : h("td"),
        ...cells.map((cell) =>
          h("td", {}, cell.image && shownCell(view, scene, palette, cell, scale)),
        ),
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
  const likeness = cosine === null ? "" : ` · cos ${significant(cosine, 2)}`;
  return h("figure", {}, button, h("figcaption", { class: "svr-soft" }, count(neuron.k), likeness));
}

function inputHead(input: ShownInput | undefined): HTMLElement | null {
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

function leftOut({ leftOut }: Images): HTMLElement | null {
  const names = Object.entries(leftOut);
  if (names.length === 0) return null;
  return h(
    "ul",
    { class: "svr-soft" },
    ...names.map(([name, why]) => h("li", {}, nameOf(name), `: ${why}`)),
  );
}

const option = (value: number, name: string) => h("option", { value }, `\u2068${name}\u2069`);
