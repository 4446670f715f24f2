// Where the difference of two networks stands, and the words around it: columns are folded as the
// networks beside each other are, and fold and unfold here, too.

import type { ReadonlySignal } from "@preact/signals-core";
import { scaleLinear } from "d3-scale";
import { columnPositions, type Folding } from "../../geometry/columns.js";
import {
  angleFor,
  columnLabels,
  heightOfNames,
  type Measure,
  shorten,
} from "../../geometry/labels.js";
import type { Size } from "../../geometry/layout.js";
import type { Change } from "../../logic/differences.js";
import { count } from "../../logic/format.js";
import type { Scene } from "../../wire/scene.js";
import { BRACKET, TICK } from "../graph/stage.js";
import { fill, h, nameOf } from "../kit/dom.js";
import type { View } from "../view.js";
import type { Placed } from "./differencePaint.js";
import type { Compared } from "./own.js";

/** Above stands what is selected. */
export const MARGINS = { top: 36, right: 36, left: 72 };

/** Columns without a partner in the other network are left out. */
export function place(
  scene: Scene,
  folding: Folding,
  changes: readonly Change[],
  { width, height }: Size,
  measure: Measure,
): Placed {
  const compared = new Set(changes.map(({ column }) => column));
  const seen = folding.columns.filter(({ maps }) => maps.some((map) => compared.has(map)));
  const positions = columnPositions(scene, folding);
  const known = seen.map(({ maps }) => positions[maps[0]]);
  const across = scaleLinear()
    .domain([Math.min(...known), Math.max(...known)])
    .range([MARGINS.left + 24, width - MARGINS.right]);
  const xOf = (map: number) =>
    seen.length > 1 ? across(positions[map]) : (MARGINS.left + width - MARGINS.right) / 2;
  const columns = seen.map(({ maps, name, label, module }) => ({
    name,
    label,
    module,
    columns: maps.length,
    x: xOf(maps[0]),
  }));
  const names = columns.map(({ label }) => label);
  const places = columns.map(({ x }) => x);
  const frame = [MARGINS.left, width] as const;
  const angle = angleFor(names, places, frame, measure);
  const namesHeight = heightOfNames(names, angle, height);
  const strip = namesHeight + folding.rows * BRACKET;
  const bottom = strip + TICK;
  const most = changes.reduce((largest, at) => Math.max(largest, Math.abs(at.difference)), 0) || 1;
  const up = scaleLinear()
    .domain([-most, most])
    .nice()
    .range([height - bottom, MARGINS.top]);
  const step = Math.max(2, Math.round(height / 60));
  const format = up.tickFormat(step);
  const tickOf = (value: number) => `${value > 0 ? "+" : ""}${format(value)}`;
  return {
    width,
    height,
    bottom,
    strip,
    namesHeight,
    angle,
    x: Float64Array.from(changes, ({ column }) => xOf(column)),
    y: Float64Array.from(changes, ({ difference }) => up(difference)),
    columns,
    labels: columnLabels(names, places, frame, angle, namesHeight, measure),
    brackets: folding.brackets.flatMap(({ module, label, first, last, row }) => {
      const within = folding.columns.slice(first, last + 1).map((column) => seen.indexOf(column));
      const there = within.filter((at) => at >= 0);
      if (there.length === 0) return [];
      const { name, maps } = scene.modules[module];
      const [left, right] = [places[there[0]] - 8, places[there[there.length - 1]] + 8];
      return [{ module, name, label, columns: maps.length, left, right, row }];
    }),
    ticks: up.ticks(step).map((value) => ({ y: up(value), label: tickOf(value) })),
  };
}

export function axesOf(
  view: View,
  own: Compared,
  placed: ReadonlySignal<Placed | null>,
  { grid, frame, measure }: { grid: HTMLElement; frame: HTMLElement; measure: Measure },
): void {
  const ticks = h("div", { class: "svr-ticks" });
  const title = h("div", { class: "svr-axis-title" });
  const columns = h("div", { class: "svr-columns" });
  frame.append(ticks, title, columns);
  view.watch(() => {
    const at = placed.value;
    if (!at) return;
    const lines = at.ticks.map(({ y, label }) =>
      h("i", { class: label === "0" && "svr-zero", style: `top:${Math.round(y)}px` }),
    );
    fill(grid, ...lines);
    fill(ticks, ...at.ticks.map(({ y, label }) => tick(y, label)));
    title.textContent = axisOf(own);
    title.style.top = `${(MARGINS.top + at.height - at.bottom) / 2}px`;
    const focused = (columns.getRootNode() as Document | ShadowRoot).activeElement;
    const fold = columns.contains(focused) && (focused as HTMLElement).dataset.fold;
    columns.style.height = `${at.strip}px`;
    fill(columns, namesOf(at), bracketsOf(at, measure));
    // The button that was used is made anew, as a bracket or as a name.
    if (fold) columns.querySelector<HTMLElement>(`[data-fold="${fold}"]`)?.focus();
  });
  view.listen(columns, "click", (event) => {
    const button = (event.target as Element).closest<HTMLElement>("[data-fold]");
    if (button) view.state.toggleFold(Number(button.dataset.fold));
  });
}

/** What the upright axis shows. */
export const axisOf = ({ names, place }: Compared) =>
  `change of σ, ${names.value[0]} to ${names.value[place.value]}`;

const tick = (y: number, label: string) => h("span", { style: `top:${Math.round(y)}px` }, label);

function namesOf({ columns, labels, angle }: Placed): HTMLElement {
  return h(
    "div",
    { class: "svr-column-names", "data-angle": angle },
    ...labels.map(({ index, text, at: left }) => {
      const { name, module, columns: held } = columns[index];
      const style = `left:${left}px`;
      if (module === null) return h("div", { style, title: name }, nameOf(text));
      return h("button", { ...foldButton(module, name, held, false), style }, nameOf(text));
    }),
  );
}

function bracketsOf({ brackets, namesHeight }: Placed, measure: Measure): HTMLElement {
  return h(
    "div",
    { class: "svr-brackets" },
    ...brackets.flatMap(({ module, name, label, columns, left, right, row }) => {
      const top = namesHeight + row * BRACKET;
      const place = `left:${left}px; width:${right - left}px;`;
      return [
        h("i", { style: `${place} top:${top}px` }),
        h(
          "button",
          { ...foldButton(module, name, columns, true), style: `${place} top:${top}px` },
          nameOf(shorten(label, right - left, measure)),
        ),
      ];
    }),
  );
}

const foldButton = (module: number, name: string, columns: number, isOpen: boolean) => ({
  type: "button" as const,
  title: `${name}\n${count(columns)} columns; a click ${isOpen ? "folds" : "unfolds"} them`,
  "data-fold": module,
  "aria-expanded": String(isOpen),
  "aria-label": `${name}, ${count(columns)} columns`,
});
