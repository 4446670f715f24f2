// Axes as text: grid lines and values behind the canvas, names of the maps beneath it.

import { type Measure, thinLabels } from "../../geometry/labels.js";
import { count } from "../../logic/format.js";
import type { LinearMap } from "../../wire/scene.js";
import { fill, h, nameOf } from "../kit/dom.js";
import type { View } from "../view.js";
import { AXIS_WIDTH, type Stage } from "./stage.js";

export interface Axes {
  readonly grid: HTMLElement;
  readonly frame: HTMLElement;
  /** How wide a column's name is, in pixels. */
  readonly measure: Measure;
}

export function axes(view: View, stage: Stage): Axes {
  const grid = h("div", { class: "svr-grid", "aria-hidden": true });
  const ticks = h("div", { class: "svr-ticks" });
  const title = h("div", { class: "svr-axis-title" });
  const chosen = h("i", { class: "svr-chosen" });
  const labels = h("div", { class: "svr-columns" });
  const measure = textMeasure(labels);

  view.watch(() => {
    const layout = stage.layout.value;
    if (!layout) {
      for (const part of [grid, ticks, labels, title]) fill(part);
      return;
    }
    const { margins, size } = layout;
    const bottom = size.height - margins.bottom;
    const seen = layout.ticks.filter(({ y }) => y >= margins.top - 8 && y <= bottom + 1);
    fill(grid, ...seen.map(({ y }) => h("i", { style: `top:${Math.round(y)}px` })));
    fill(
      ticks,
      ...seen.map(({ y, label }) => h("span", { style: `top:${Math.round(y)}px` }, label)),
    );
    title.textContent = layout.title;
    title.style.top = `${(margins.top + bottom) / 2}px`;
  });
  view.watch(() => {
    const layout = stage.layout.value;
    const scene = view.state.scene.value;
    if (!layout || !scene) return;
    const matched = view.state.matched.value;
    const names = scene.maps.map(({ name }) => name);
    const frame = [AXIS_WIDTH - 4, layout.size.width - 2] as const;
    const shown = thinLabels(names, layout.x, frame, measure);
    fill(
      labels,
      chosen,
      ...shown.map(({ index, text, center }) => {
        const map = scene.maps[index];
        return h(
          "div",
          {
            class: matched && !matched.has(index) && "svr-dim",
            style: `left:${center}px`,
            title: describe(map),
            "data-map": index,
          },
          nameOf(text),
          h("small", {}, neuronsOf(map, shown.length === names.length)),
        );
      }),
    );
  });
  view.watch(() => {
    // Which link the adjacency pane shows, marked between its columns.
    const layout = stage.layout.value;
    const link = view.state.scene.value?.links[view.state.link.value ?? -1];
    chosen.hidden = !layout || !link || !view.state.panes.value.includes("adjacency");
    if (!layout || !link) return;
    const ends = [layout.x[link.producer], layout.x[link.consumer]];
    const left = Math.max(AXIS_WIDTH, Math.min(...ends));
    chosen.style.left = `${left}px`;
    chosen.style.width = `${Math.max(0, Math.max(...ends) - left)}px`;
  });
  const frame = h("div", { class: "svr-axes" }, ticks, title, labels);
  return { grid, frame, measure };
}

/** "64", or how many are shown of those there are. */
function neuronsOf({ neurons, rank }: LinearMap, roomy: boolean): string {
  if (neurons === rank) return count(neurons);
  return roomy ? `${count(neurons)} of ${count(rank)}` : `${count(neurons)}/${count(rank)}`;
}

function describe(map: LinearMap): string {
  const kernel = map.kernel.length > 0 ? ` × ${map.kernel.join(" × ")}` : "";
  const rank =
    map.neurons === map.rank
      ? `${count(map.rank)} spectral neurons`
      : `rank ${count(map.neurons)} of ${count(map.rank)}`;
  return `${map.name}\n${map.kind}, ${map.out} × ${map.in}${kernel}, ${rank}`;
}

function textMeasure(element: HTMLElement): (text: string) => number {
  const context = document.createElement("canvas").getContext("2d");
  const widths = new Map<string, number>();
  let font = "";
  return (text) => {
    if (!context) return text.length * 7;
    if (font === "" && element.isConnected) {
      const style = getComputedStyle(element);
      font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      context.font = font;
      widths.clear();
    }
    let width = widths.get(text);
    if (width === undefined) {
      width = Math.ceil(context.measureText(text).width);
      widths.set(text, width);
    }
    return width;
  };
}
