// The pane of spectral images: what chosen neurons make of chosen inputs (paper, Figure 5b).

import { computed, signal } from "@preact/signals-core";
import { count } from "../../logic/format.js";
import { CONTRACT } from "../../wire/contract.js";
import { MOST_COLUMNS, mapsShown, neuronsShown, readImages } from "../../wire/pictures/images.js";
import { fill, h, segmented, tailOf } from "../kit/dom.js";
import { resource } from "../status/resource.js";
import { statusOf } from "../status/status.js";
import type { View } from "../view.js";
import { followDrops } from "./drops.js";
import { grid, inputHead, leftOut, ownScales, rowsOfInputs, rowsOfMaps } from "./imageGrid.js";

type Across = "maps" | "inputs";

const NO_MODEL = "These are bare weights: no input can be run through them.";
const NO_INPUTS = "No inputs yet: set widget.inputs = images in Python, or drop an image here.";
const NO_KERNEL =
  "The kernel is gone, and with it the inputs. Run the cell again to see spectral images.";

export function imagesPane(view: View) {
  const { state } = view;
  const choice = imageChoice(view);
  const { across, input, cosine, labels, hasModel, shown, neurons } = choice;
  const images = resource(
    view,
    () => {
      const scene = state.scene.value;
      const offered = state.inputs.value;
      const open = offered && state.panes.value.includes("images") && hasModel.value;
      if (!scene || !open || labels.value.length === 0 || shown.value.length === 0) return null;
      return {
        kind: "images",
        inputs: across.value === "maps" ? [input.value] : shown.value,
        neurons: Object.fromEntries(
          [...neurons.value].map(([at, ks]) => [scene.maps[at].name, ks]),
        ),
        most: CONTRACT.images.most_positions,
        cosine: cosine.value,
        revision: offered.revision,
      };
    },
    ({ buffers }) => readImages(buffers[0]),
  );

  const tools = toolbar(view, choice);
  const message = h("p", { class: "svr-soft svr-empty" });
  const compared = h("p", { class: "svr-soft svr-empty" });
  const table = h("div", { class: "svr-image-grid", "data-svr": "images" });
  view.watch(() => {
    const empty = state.python.value === "gone" ? NO_KERNEL : NO_INPUTS;
    const none = labels.value.length === 0 ? empty : "";
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
        ? shown.value.map((at) => tailOf(scene.maps[at].name))
        : shown.value.map((number) => inputHead(found.inputs.find((of) => of.number === number)));
    const seen = across.value === "maps" ? inputHead(found.inputs[0]) : null;
    const drawn = grid(view, scene, palette, { input: seen, heads, rows });
    fill(table, drawn, ownScales(palette), leftOut(found));
    const any = rows.some(({ cells }) => cells.some(({ image }) => image?.cosine != null));
    const words = any ? "Beneath each image its cosine with" : "No image here compares with";
    fill(compared, words, " ", inWords(state.inputs.peek()?.reference));
  });
  view.watch(() => {
    compared.hidden = table.hidden || !cosine.value || images.value.value === null;
  });
  const body = h("div", { class: "svr-images" });
  const { line, awaited } = followDrops(view, body, hasModel);
  body.append(tools, statusOf(view, [awaited, images]), message, compared, table);
  return { head: line, body };
}

/** What is to be seen, and which part of it: one input through the maps, or a map's neurons. */
function imageChoice({ state, watch }: View) {
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
    return mapsShown(scene, state.selectedNeurons.value);
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

  watch(() => {
    state.scene.value;
    map.value = 0;
    page.value = 0;
  });
  let before = labels.peek();
  watch(() => {
    const now = labels.value;
    if (now.length === before.length && now.every((label, at) => label === before[at])) return;
    // A dropped image comes last, and is what one wants to see.
    input.value = now.length > before.length ? now.length - 1 : 0;
    before = now;
  });
  return { across, input, map, page, cosine, labels, hasModel, columns, pages, shown, neurons };
}

function toolbar(view: View, choice: ReturnType<typeof imageChoice>): HTMLElement {
  const { across, input, map, page, cosine, labels, columns, pages } = choice;
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
  const compare = h("button", { type: "button", class: "svr-toggle" }, "cosine");
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
    compare.setAttribute("aria-pressed", String(cosine.value));
    const at = Math.min(page.value, pages.value - 1);
    for (const part of [left, right, where]) part.hidden = pages.value < 2;
    left.disabled = at === 0;
    right.disabled = at === pages.value - 1;
    const end = Math.min((at + 1) * MOST_COLUMNS, columns.value.length);
    where.textContent = `${at * MOST_COLUMNS + 1} to ${end} of ${count(columns.value.length)}`;
  });
  view.listen(which, "change", () => (input.value = Number(which.value)));
  view.listen(from, "change", () => (map.value = Number(from.value)));
  view.watch(() => {
    const { reference } = view.state.inputs.value ?? {};
    compare.title = `Cosine of each image with ${inWords(reference)}`;
  });
  view.listen(compare, "click", () => (cosine.value = !cosine.peek()));
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
    compare,
  );
}

const option = (value: number, name: string) => h("option", { value }, `\u2068${name}\u2069`);

const inWords = (reference: string | undefined) =>
  reference === "sobel" ? "the Sobel filter of the input" : `${reference} of the input`;
