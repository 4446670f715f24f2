// The pane of one link's matrices: consumer's neurons down, producer's across.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import { shorten } from "../../geometry/labels.js";
import { byConstruction, TIED } from "../../logic/format.js";
import { hoverOf, type Marks, marksOf, neuronsOf, type Target } from "../../logic/linkedHover.js";
import { type Facts, internalMeaning, internalWords, largestEntry } from "../../logic/matrices.js";
import { ALL, type Frame, type Pair } from "../../logic/tiles.js";
import { CONTRACT } from "../../wire/contract.js";
import { endOf, linkKeyOf, testsOf, withoutLinks } from "../../wire/links/names.js";
import type { Matrix } from "../../wire/requests.js";
import { fill, h, nameOf, segmented, tailOf, textMeasure } from "../kit/dom.js";
import { oncePerFrame } from "../kit/frames.js";
import { select } from "../kit/select.js";
import { ASKING, say } from "../status/status.js";
import type { View } from "../view.js";
import { describeTarget } from "./captions.js";
import { colourScale } from "./colourScale.js";
import { type EntryEvents, followGestures } from "./gestures.js";
import { linkChoice } from "./linkChoice.js";
import { type Box, type MatrixView, matrix, type Spot } from "./matrix.js";
import { type MatrixData, matrixData } from "./matrixData.js";

const WORDS: Readonly<Record<Matrix, readonly [string, string]>> = {
  adjacency: ["Adjacency", "Weights of the edges of this link"],
  cross: ["|ṼᵀU|", "How the producer's SVR neurons feed the consumer's co-SVR neurons (Fig 7)"],
  output: ["|U|", "The producer's output representations, a channel a row (Fig 8)"],
};
const ONLY_SENT = "Only the edges that were sent are shown.";
const NO_ANSWER = "Python does not answer yet.";

export function matrixPane(view: View) {
  const { state } = view;
  const which = signal<Matrix>("adjacency");
  const masking = signal(false);
  const frame = signal<Frame>(ALL);
  const target = signal<Target | null>(null);
  const data = matrixData(view, which);
  const { shown, internal, news } = data;

  const mask = computed(() => (masking.value ? (state.cut.value?.log10p ?? null) : null));
  const marks = computed<Marks>(() =>
    marksOf(state.scene.value, shown.value?.facts ?? null, {
      target: target.value,
      hover: state.hover.value,
      selected: state.selectedNeurons.value,
    }),
  );
  const largest = computed<Spot | null>(() => {
    const [scene, facts] = [state.scene.value, shown.value?.facts];
    return scene && facts ? largestEntry(scene, facts) : null;
  });
  const picture = matrix(view, { shown, internal, frame, mask, marks, largest, news });
  const pointAt = followTarget(view, data, picture, frame, target, largest);

  const head = linkChoice(view);
  const tools = matrixTools(view, which, masking, frame);
  const matrixFrame = h(
    "div",
    { class: "svr-matrix-frame" },
    ...axisWords(view, data, picture),
    picture.element,
  );
  const message = h("div", { class: "svr-soft", role: "status" });
  const body = h(
    "div",
    { class: "svr-adjacency" },
    tools,
    matrixFrame,
    h(
      "div",
      { class: "svr-captions" },
      ...captions(view, data, target, frame, { largest, pointAt }),
      message,
    ),
  );
  view.watch(() => {
    const [scene, link] = [state.scene.value, state.link.value];
    const tied = scene && link !== null && scene.links[link].by_construction;
    head.inert = link === null;
    tools.hidden = matrixFrame.hidden = link === null || tied === true;
    if (link === null) return say(message, withoutLinks(scene), false);
    if (tied) {
      const key = linkKeyOf(scene, link)
        .map((part) => JSON.stringify(part))
        .join(", ");
      const words = `${TIED}: ${byConstruction(scene, link)}. Its matrix is svr.adjacency((${key})).`;
      return say(message, words, false);
    }
    const waits = view.silent.value ? NO_ANSWER : shown.value ? "" : ASKING;
    const part = shown.value?.facts.complete === false ? ONLY_SENT : "";
    const trouble = data.trouble.value;
    say(message, [part, trouble || waits].join(" ").trim(), trouble !== "");
  });
  view.watch(() => {
    const link = state.scene.value?.links[state.link.value ?? -1];
    body.classList.toggle("svr-waiting", shown.value === null && !link?.by_construction);
  });
  view.watch(() => body.style.setProperty("--svr-slack", `${picture.slack.value}px`));
  return { head, body };
}

/** What is pointed at in the matrix: told to the graph, and selected there by a click. */
function followTarget(
  view: View,
  { shown, news }: MatrixData,
  picture: MatrixView,
  frame: Signal<Frame>,
  target: Signal<Target | null>,
  largest: ReadonlySignal<Spot | null>,
): EntryEvents {
  const { state } = view;
  let spot: Spot | null = null;
  let of: Facts | null = null;
  view.watch(() => {
    const facts = shown.value?.facts ?? null;
    const same = of && facts && of.link === facts.link && of.which === facts.which;
    if (!same) frame.value = ALL;
    if (of !== facts) spot = target.value = null;
    of = facts;
  });
  const hover = (spot: Spot | null) => {
    const scene = state.scene.peek();
    const at = shown.peek();
    if (!scene || !at || !spot) {
      target.value = null;
      state.hover.value = null;
      return;
    }
    const { row, column } = spot;
    const cell = row !== null && column !== null ? at.tiles.cellOf(row, column) : null;
    target.value = { cell, row: cell ? null : row, column: cell ? null : column };
    state.hover.value = hoverOf(scene, at.facts, target.value);
  };
  const hoverSoon = oncePerFrame(view, () => hover(spot));
  // What lies under the pointer may be known more finely by now.
  view.watch(() => {
    news.value;
    frame.value;
    if (spot) hoverSoon();
  });
  const events: EntryEvents = {
    shown: () => shown.peek(),
    largest: () => largest.peek(),
    step({ row, column }): Pair {
      const cell = shown.peek()?.tiles.cellOf(row ?? 0, column ?? 0);
      return cell ? [cell.rows[1] - cell.rows[0], cell.columns[1] - cell.columns[0]] : [1, 1];
    },
    hover(at) {
      spot = at;
      hoverSoon();
    },
    select(there, add) {
      hover(there);
      const scene = state.scene.peek();
      const at = shown.peek();
      if (!scene || !at || !target.peek()) return;
      const neurons = neuronsOf(scene, at.facts, target.peek() as Target);
      if (neurons.length > 0) select(view, neurons, add);
    },
  };
  followGestures(view, picture, frame, events);
  return events;
}

function matrixTools(
  view: View,
  which: Signal<Matrix>,
  masking: Signal<boolean>,
  frame: Signal<Frame>,
): HTMLElement {
  const choice = segmented(
    "matrix",
    CONTRACT.matrices.map((name) => [name, ...WORDS[name]] as const),
    (name) => (which.value = name),
  );
  const dim = h("button", { type: "button", class: "svr-toggle" }, "mask");
  dim.title = "Dim the entries that are not significant at the threshold";
  const whole = h("button", { type: "button", class: "svr-tool" }, "whole");
  view.listen(dim, "click", () => (masking.value = !masking.peek()));
  view.listen(whole, "click", () => (frame.value = ALL));
  view.watch(() => {
    choice.show(which.value);
    dim.setAttribute("aria-pressed", String(masking.value));
    dim.hidden = which.value === "output";
    whole.hidden = frame.value.zoom === 1;
  });
  const space = h("span", { class: "svr-grow" });
  return h("div", { class: "svr-pane-tools" }, choice.element, space, whole, dim);
}

/** Beside the rows of a matrix, less the arrow. */
const roomDown = ({ height }: Box) => (height > 0 ? Math.max(48, height - 24) : 1e3);

/** What the columns and the rows of the matrix are. */
function axisWords(view: View, { shown }: MatrixData, picture: MatrixView): HTMLElement[] {
  const across = h("div", { class: "svr-matrix-across" });
  const down = h("div", { class: "svr-matrix-down" });
  const measure = textMeasure(down);
  view.watch(() => {
    const scene = view.state.scene.value;
    const facts = shown.value?.facts;
    if (!scene || !facts) return fill(across, "\u00a0");
    const link = scene.links[facts.link];
    const from = scene.maps[link.producer].label;
    const to = endOf(scene, facts.link);
    fill(across, tailOf(from), " →");
    if (facts.which === "output") fill(down, "channels");
    else fill(down, "← ", nameOf(shorten(to, roomDown(picture.box.value), measure), { title: to }));
    const [rows, columns] = facts.shape;
    const name = `${WORDS[facts.which][0]} of ${from} and ${to}, ${rows} by ${columns}`;
    picture.canvas.setAttribute("aria-label", name);
  });
  view.watch(() => {
    down.style.height = `${picture.box.value.top + picture.box.value.height}px`;
  });
  return [across, down];
}

/** Beneath the matrix: its internal dimensions, and what is pointed at or seen. */
function captions(
  view: View,
  { shown, internal }: MatrixData,
  target: ReadonlySignal<Target | null>,
  frame: ReadonlySignal<Frame>,
  { largest, pointAt }: { largest: ReadonlySignal<Spot | null>; pointAt: EntryEvents },
): HTMLElement[] {
  const { state } = view;
  const internalLine = h("div", { "data-svr": "internal" });
  const scale = colourScale(view, shown);
  const go = h("button", { type: "button", class: "svr-go" }, "largest entry");
  go.title = "Select the two neurons that it joins";
  view.listen(go, "click", (event) => {
    const { value } = largest;
    if (value) pointAt.select(value, event.shiftKey);
  });
  const words = h("div", { class: "svr-soft", "data-svr": "cell", role: "status" });
  view.watch(() => {
    const scene = state.scene.value;
    const link = shown.value?.facts.link;
    const isNull = scene && link !== undefined && testsOf(scene, link) === 0;
    const found = internal.value ? internalWords(internal.value) : "";
    const nothing = "nothing to test: null neurons, whose vectors are arbitrary";
    fill(internalLine, isNull ? nothing : found);
    internalLine.title = internal.value ? internalMeaning(internal.value) : "";
  });
  view.watch(() => {
    const scene = state.scene.value;
    const facts = shown.value?.facts;
    if (!scene || !facts) return fill(words);
    const known = largest.value === null ? "largest entry" : go;
    const hover = state.hover.value;
    fill(words, ...describeTarget(scene, facts, target.value, hover, frame.value, known));
  });
  return [internalLine, words, scale];
}
