// The line of tools above the picture.

import { shorten } from "../../geometry/labels.js";
import { scaleOf } from "../../geometry/layout.js";
import { count } from "../../logic/format.js";
import type { ViewHistory } from "../../state/viewHistory.js";
import { CONTRACT } from "../../wire/contract.js";
import {
  type Colour,
  METHODS,
  type Method,
  type Scene,
  Y_SCALES,
  type YScale,
} from "../../wire/scene.js";
import { dropDown, fill, h, textMeasure } from "../kit/dom.js";
import { iconButton } from "../kit/icons.js";
import type { View } from "../view.js";
import { type Title, toolLine } from "./overflow.js";
import { filterChip } from "./searchField.js";

const METHOD_WORDS: Readonly<Record<Method, readonly [string, string]>> = {
  svr: ["SVR", "kernel positions belong to what a map reads (paper, section 4.2)"],
  cosvr: ["co-SVR", "kernel positions belong to what a map emits (paper, section 4.4)"],
  cross: [
    "cross",
    "what a map emits by the SVR, joined to what the next reads by the co-SVR (5.2.1)",
  ],
};
const COLOUR_WORDS: Readonly<Record<Colour, string>> = { chance: "chance", paper: "intensity" };
const FOLD = "norms multiplied into the weights that they touch; else left out, as in the paper";
const NEEDS_PYTHON = "This needs Python, which is not there.";
const BUDGETS = [1_000, 10_000, 100_000, 1_000_000];

/** Tools that others make. */
export interface Others {
  /** In place of the network's name and counts. */
  readonly title?: HTMLElement;
  readonly search: HTMLElement;
  readonly panes: HTMLElement;
  readonly exports?: HTMLElement;
  /** What of several networks is seen. */
  readonly views?: HTMLElement;
  /** Whether the graph is what is seen, so that tools for how it is drawn do something. */
  readonly isGraph?: () => boolean;
  readonly fullScreen: HTMLElement;
  readonly help: HTMLElement;
}

export function toolbar(view: View, viewHistory: ViewHistory, others: Others): HTMLElement {
  const { name, counts } = title(view);
  const { title: words } = others;
  const named = words ? { element: words, width: () => words.scrollWidth, show: () => {} } : name;
  const looks = [yScale(view), colour(view), lasso(view)] as const;
  view.watch(() => {
    for (const tool of looks) tool.hidden = others.isGraph?.() === false;
  });
  return toolLine(view, named, filterChip(view), [
    ...(others.title ? [] : [{ element: counts, label: "network", rank: 4 }]),
    { element: others.search, label: "search", rank: 10 },
    { element: steps(view, viewHistory), label: "views", rank: 5 },
    { element: method(view), label: "method", rank: 8 },
    { element: looks[0], label: "y scale", rank: 9 },
    { element: looks[1], label: "colour", rank: 2 },
    { element: budget(view), label: "edges at most", rank: 1 },
    { element: looks[2], label: "lasso", rank: 3 },
    { element: others.panes, label: "panes", rank: 12 },
    ...(others.views ? [{ element: others.views, label: "view", rank: 20 }] : []),
    ...(others.exports ? [{ element: others.exports, label: "save or copy", rank: 6 }] : []),
    { element: others.fullScreen, label: "full screen", rank: 7 },
    { element: others.help, label: "help", rank: 11 },
  ]);
}

function title({ state, watch }: View): { name: Title; counts: HTMLElement } {
  const element = h("div", { class: "svr-title" });
  const model = h("bdi", { class: "svr-name" });
  const shared = h("bdi", { class: "svr-soft svr-shared" });
  const measure = textMeasure(element);
  const whole = () => state.scene.peek()?.model ?? "";
  const name: Title = {
    element,
    width: () => (whole() === "" ? 0 : measure(whole()) + shared.offsetWidth + 2),
    show(room) {
      model.textContent = shorten(whole(), room - shared.offsetWidth, measure);
    },
  };
  const counts = h("span", { class: "svr-soft svr-counted" });
  watch(() => {
    const scene = state.scene.value;
    if (!scene) {
      fill(element);
      return fill(counts);
    }
    const shown = scene.singularValue.length;
    const all = scene.maps.reduce((total, map) => total + map.rank, 0);
    const neurons = all > shown ? `${count(shown)} of ${count(all)}` : count(shown);
    const maps = new Set(scene.maps.map(({ map }) => map)).size;
    const words = `${plural(maps, "map")} · ${neurons} neurons`;
    element.title = `${scene.model}: ${words}`;
    model.textContent = scene.model;
    shared.textContent = scene.shared === "" ? "" : `${scene.shared}*`;
    shared.title = `The names of its maps begin with "${scene.shared}"`;
    shared.hidden = scene.shared === "";
    fill(element, model, shared);
    fill(counts, words);
  });
  return { name, counts };
}

/** Back, forward, and the whole graph where not all of it is seen. */
function steps(view: View, viewHistory: ViewHistory): HTMLElement {
  const { state } = view;
  const back = iconButton(view, "back", "back", "Alt ←", () => viewHistory.go(-1));
  const forward = iconButton(view, "forward", "forward", "Alt →", () => viewHistory.go(1));
  const whole = iconButton(view, "whole", "whole graph", "0", () => state.resetCamera());
  view.watch(() => {
    back.disabled = !viewHistory.canGoBack.value;
    forward.disabled = !viewHistory.canGoForward.value;
  });
  view.watch(() => {
    whole.disabled = state.camera.value === null;
  });
  return h(
    "div",
    { class: "svr-group", role: "group", "aria-label": "views" },
    back,
    forward,
    whole,
  );
}

function method(view: View): HTMLElement {
  const { state } = view;
  const buttons = METHODS.map((name) => {
    const [words, tip] = METHOD_WORDS[name];
    const button = h("button", { type: "button", class: "svr-toggle", title: tip }, words);
    view.listen(button, "click", () => {
      state.setMethod(name);
      expectPython(view);
    });
    view.watch(() => {
      button.setAttribute("aria-pressed", String(state.method.value === name));
      button.disabled = state.python.value !== "here";
      button.title = button.disabled ? NEEDS_PYTHON : tip;
    });
    return button;
  });
  const group = { class: "svr-group", role: "group", "aria-label": "method" };
  return h("div", { class: "svr-group" }, h("div", group, ...buttons), norms(view));
}

/** Whether norms are folded into the weights; hidden where there are none. */
function norms(view: View): HTMLElement {
  const { state } = view;
  const button = h("button", { type: "button", class: "svr-toggle" }, "fold norms");
  view.listen(button, "click", () => {
    state.setNorm(state.norm.peek() === "fold" ? "ignore" : "fold");
    expectPython(view);
  });
  view.watch(() => {
    button.hidden = (state.scene.value?.norm ?? null) === null;
    button.setAttribute("aria-pressed", String(state.norm.value === "fold"));
    button.disabled = state.python.value !== "here";
    button.title = button.disabled ? NEEDS_PYTHON : FOLD;
  });
  return button;
}

function yScale(view: View): HTMLElement {
  const { state } = view;
  const choice = dropDown(
    "y scale",
    Y_SCALES.map((scale) => [scale, scale] as const),
  );
  view.watch(() => {
    choice.value = state.y_scale.value;
    choice.disabled = !state.scene.value;
    const auto = choice.options[Y_SCALES.indexOf("auto")];
    auto.textContent = state.scene.value ? `auto: ${autoScale(view)}` : "auto";
    choice.title = SCALE_WORDS[state.scale.value];
  });
  view.listen(choice, "change", () => state.setYScale(choice.value as YScale));
  return labelled("y", choice);
}

const autoScale = ({ state }: View) =>
  state.y_scale.value === "auto" ? state.scale.value : scaleOf(state.scene.value as Scene);

const SCALE_WORDS: Readonly<Record<YScale, string>> = {
  auto: "",
  linear: "singular values as they are",
  log: "logarithms of the singular values",
  relative: "singular values relative to the largest of their map",
  rank: "the places of the singular values in their map",
};
/** What the hue of a neuron tells. */
function colour(view: View): HTMLElement {
  const { state } = view;
  const choice = dropDown(
    "colour",
    CONTRACT.colours.map((name) => [name, COLOUR_WORDS[name]] as const),
  );
  view.watch(() => {
    const scene = state.scene.value;
    const known = scene?.log10pAdjusted !== null;
    choice.value = known ? state.colour.value : "paper";
    choice.disabled = !scene || !known;
    choice.title = known
      ? "what the hue of a neuron tells: how sure it is that chance does not give it its edges, " +
        "or the paper's intensity (section 3.2), which a random network has too"
      : "This graph was saved by a version that knew the paper's intensity only.";
  });
  view.listen(choice, "change", () => state.setColour(choice.value as Colour));
  return labelled("colour", choice);
}

/** How many edges may travel: more are drawn, at the cost of a longer way. */
function budget(view: View): HTMLElement {
  const { state } = view;
  const choice = dropDown("edge budget", []);
  view.watch(() => {
    const now = state.max_edges.value;
    const offered = [...new Set([...BUDGETS, now])].sort((a, b) => a - b);
    fill(choice, ...offered.map((edges) => h("option", { value: edges }, short(edges))));
    choice.value = String(now);
    choice.disabled = state.python.value !== "here";
    choice.title = choice.disabled
      ? NEEDS_PYTHON
      : `at most ${count(now)} edges travel to the page, those with the smallest p`;
  });
  view.listen(choice, "change", () => {
    state.setBudget(Number(choice.value));
    expectPython(view);
  });
  return labelled("edges ≤", choice);
}

function lasso(view: View): HTMLElement {
  const { state } = view;
  const button = iconButton(view, "lasso", "lasso", "Esc puts it away", () => {
    state.lasso.value = !state.lasso.peek();
  });
  view.watch(() => {
    button.disabled = !state.scene.value;
    button.setAttribute("aria-pressed", String(state.lasso.value));
  });
  return button;
}

/** Asks Python whether it is there, so that the page can say so where it is not. */
function expectPython(view: View): void {
  view.ask({ kind: "ping" }).catch(() => {});
}

const labelled = (words: string, control: HTMLElement) =>
  h("label", { class: "svr-field" }, h("span", { "aria-hidden": true }, words), control);

/** 100000 -> "100 k". */
function short(value: number): string {
  if (value >= 1e6 && value % 1e5 === 0) return `${value / 1e6} M`;
  return value >= 1e3 && value % 1e2 === 0 ? `${value / 1e3} k` : count(value);
}

const plural = (number: number, noun: string) =>
  `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
