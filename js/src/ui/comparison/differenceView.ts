// The difference of two networks drawn: neurons by the change of their singular values, and the
// edges that came, went and stayed.

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { placeTip } from "../../geometry/placement.js";
import type { Change } from "../../logic/differences.js";
import { count, pValue, signed, significant } from "../../logic/format.js";
import type { Scene } from "../../wire/scene.js";
import { selectionWords } from "../graph/legend.js";
import { fill, h, nameOf, textMeasure } from "../kit/dom.js";
import { oncePerFrame } from "../kit/frames.js";
import type { Style } from "../toolbar/exportMenu.js";
import type { View } from "../view.js";
import { selectBoth } from "./changesTable.js";
import { axesOf, axisOf, MARGINS, place } from "./differenceAxes.js";
import {
  type EdgeFate,
  MOST_DRAWN,
  type Painted,
  type Placed,
  paintDifference,
} from "./differencePaint.js";
import { differenceSvg, FATE_WORDS, fateInWords } from "./differenceSvg.js";
import type { Compared } from "./own.js";

const REACH = 12;

export interface DifferenceView {
  readonly element: HTMLElement;
  /** Edges that are drawn. */
  edges(): number;
  /** The picture as it is drawn. */
  svg(style: Style, caption: string): string;
}

export function differenceView(views: readonly View[], own: Compared): DifferenceView {
  const [view] = views;
  const canvas = h("canvas", {
    class: "svr-picture",
    tabindex: 0,
    role: "application",
    "data-svr": "difference",
    "aria-label": "neurons by the change of their singular values",
  });
  const grid = h("div", { class: "svr-grid", "aria-hidden": true });
  const frame = h("div", { class: "svr-axes", "aria-hidden": true });
  const tip = h("div", { class: "svr-tip", "aria-hidden": true, hidden: true });
  const said = h("div", { class: "svr-said", role: "status" });
  const plot = h("div", { class: "svr-plot" }, grid, canvas, frame, tip);
  const size = signal({ width: 0, height: 0 });
  const textWidth = textMeasure(plot);
  const measure = view.guard(() => {
    const { clientWidth: width, clientHeight: height } = plot;
    if (width !== size.peek().width || height !== size.peek().height)
      size.value = { width, height };
  });
  const resizes = new ResizeObserver(measure);
  resizes.observe(plot);
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });

  const placed = computed(() => {
    const scene = view.state.scene.value;
    const changes = own.changes.value;
    const folding = view.state.folding.value;
    const { width, height } = size.value;
    if (!scene || !changes || !folding || width <= 80 || height <= 80) return null;
    return place(scene, folding, changes, size.value, textWidth);
  });
  const hidden = signal<ReadonlySet<EdgeFate>>(new Set());
  axesOf(view, own, placed, { grid, frame, measure: textWidth });
  const painted = (): Painted | null => {
    const [at, palette, differences] = [placed.peek(), view.palette.peek(), own.differences.peek()];
    const scene = view.state.scene.peek();
    if (!at || !palette || !differences || !scene) return null;
    return { at, palette, differences, scene, hidden: hidden.peek(), pointed: own.at.peek() };
  };
  const draw = oncePerFrame(view, () => {
    const now = painted();
    if (now) paintDifference(canvas, now);
  });
  view.watch(() => {
    for (const cause of [placed, view.palette, own.differences, own.at, hidden]) cause.value;
    draw();
  });
  view.watch(() => {
    const [at, index] = [placed.value, own.at.value];
    const change = index === null ? undefined : own.changes.value?.[index];
    tip.hidden = !at || !change || index === null;
    said.textContent = "";
    if (!at || !change || index === null) return;
    fill(tip, ...about(views, own, change));
    said.textContent = tip.textContent;
    const box = { width: tip.offsetWidth, height: tip.offsetHeight };
    const anchor = { x: at.x[index], y: at.y[index] };
    const { x, y } = placeTip(box, at, [anchor], [], MARGINS.left);
    tip.style.transform = `translate(${x}px, ${y}px)`;
  });
  follow(views, own, canvas, placed);
  const selected = views.map((each, at) => selectionWords(each, () => own.names.value[at]));
  const words = h(
    "div",
    { class: "svr-above" },
    h("div", { class: "svr-selections" }, ...selected),
  );
  return {
    element: h("div", { class: "svr-graph" }, legendOf(view, own, hidden), words, plot, said),
    edges() {
      const differences = own.differences.peek();
      if (!differences) return 0;
      const shown = FATES.filter((fate) => !hidden.peek().has(fate));
      return shown.reduce((sum, at) => sum + Math.min(MOST_DRAWN, differences[at].length), 0);
    },
    svg(style, caption) {
      const now = painted();
      if (!now) throw new Error("there is no difference to draw");
      const left = MARGINS.left;
      return differenceSvg(now, { ...style, measure: textWidth, axis: axisOf(own), left, caption });
    },
  };
}

const FATES = Object.keys(FATE_WORDS) as EdgeFate[];

/** The pointer and the keyboard over the neurons. */
function follow(
  views: readonly View[],
  own: Compared,
  canvas: HTMLCanvasElement,
  placed: ReadonlySignal<Placed | null>,
): void {
  const [view] = views;
  const nearest = (x: number, y: number): number | null => {
    const at = placed.peek();
    let best: number | null = null;
    let least = REACH;
    at?.x.forEach((left, index) => {
      const away = Math.hypot(left - x, at.y[index] - y);
      if (away < least) [best, least] = [index, away];
    });
    return best;
  };
  view.listen(canvas, "pointermove", ({ offsetX, offsetY }) => {
    own.at.value = nearest(offsetX, offsetY);
  });
  view.listen(canvas, "pointerleave", () => (own.at.value = null));
  const choose = () => {
    const change = own.changes.peek()?.[own.at.peek() ?? -1];
    if (change) selectBoth(views, own, change);
  };
  view.listen(canvas, "click", choose);
  view.listen(canvas, "keydown", (event) => {
    const at = placed.peek();
    if (!at || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") return choose();
    if (event.key === "Escape") {
      own.at.value = null;
      return;
    }
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    own.at.value = stepFrom(at, own.at.peek(), step);
  });
  view.listen(canvas, "blur", () => (own.at.value = null));
}

const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
};

/** The next neuron up or down the column, or the one beside it in the next column. */
function stepFrom(
  { x, y, columns }: Placed,
  from: number | null,
  [across, down]: readonly [number, number],
): number {
  if (from === null) return 0;
  const place = columns.findIndex((column) => column.x === x[from]);
  const column = columns[Math.max(0, Math.min(columns.length - 1, place + across))].x;
  const mine = [...x.keys()]
    .filter((index) => x[index] === column)
    .sort((a, b) => y[a] - y[b] || a - b);
  if (across === 0) {
    const at = mine.indexOf(from) + down;
    return mine[Math.max(0, Math.min(mine.length - 1, at))];
  }
  const away = (index: number) => Math.abs(y[index] - y[from]);
  return mine.reduce((best, index) => (away(index) < away(best) ? index : best), mine[0]);
}

function about(views: readonly View[], own: Compared, change: Change) {
  const [base, other] = [views[0].state.scene.peek(), views[own.place.peek()].state.scene.peek()];
  const { fate, value, otherValue, difference, overlap, log10p } = change;
  const name = (scene: Scene | null, at: Change["base"]) =>
    scene && at ? [nameOf(scene.maps[at.map].label), ` · ${count(at.k)}`] : ["–"];
  const [here, there] = [own.names.peek()[0], own.names.peek()[own.place.peek()]];
  const title = fate === "new" ? name(other, change.other) : name(base, change.base);
  const words = { same: "", new: `only in ${there}`, gone: `only in ${here}` }[fate];
  const facts =
    fate === "same"
      ? `σ ${significant(value)} → ${significant(otherValue)}, ${signed(difference)}`
      : `σ ${significant(fate === "new" ? otherValue : value)}`;
  const near = fate === "same" ? "partner " : "nearest ";
  const partner = fate === "new" ? name(base, change.base) : name(other, change.other);
  return [
    h(
      "div",
      { class: "svr-tip-title" },
      ...title,
      words && h("span", { class: "svr-soft" }, ` ${words}`),
    ),
    h("div", {}, facts),
    h(
      "div",
      {},
      h("span", { class: "svr-soft" }, near),
      ...partner,
      h("span", { class: "svr-soft" }, `, cosine ${overlap.toFixed(2)}, p ${pValue(log10p)}`),
    ),
  ];
}

/** What is drawn, how much of it, and what to leave out. */
function legendOf(
  view: View,
  own: Compared,
  hidden: { value: ReadonlySet<EdgeFate>; peek(): ReadonlySet<EdgeFate> },
): HTMLElement {
  const element = h("div", {
    class: "svr-legend svr-difference-legend",
    role: "group",
    "aria-label": "edges",
  });
  const toggles = FATES.map((fate) => {
    const button = h("button", { type: "button", class: "svr-toggle" });
    view.listen(button, "click", () => {
      const now = new Set(hidden.peek());
      if (!now.delete(fate)) now.add(fate);
      hidden.value = now;
    });
    view.watch(() => {
      const found = own.differences.value?.[fate].length ?? 0;
      const drawn = found > MOST_DRAWN ? `${count(MOST_DRAWN)} strongest of ` : "";
      fill(
        button,
        h("i", { class: `svr-fate-line svr-${fate}` }),
        ` ${drawn}${fateInWords(fate, found)}`,
      );
      button.setAttribute("aria-pressed", String(!hidden.value.has(fate)));
    });
    return button;
  });
  fill(
    element,
    h("span", {}, h("i", { class: "svr-dot svr-filled" }), "new"),
    h("span", {}, h("i", { class: "svr-dot svr-hollow" }), "gone"),
    h("span", {}, h("i", { class: "svr-dot svr-null svr-large" }), "in both"),
    ...toggles,
  );
  return element;
}
