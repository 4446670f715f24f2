// Axes as text: grid lines and values behind the canvas, the link that is chosen beneath it.

import { fill, h } from "../kit/dom.js";
import type { View } from "../view.js";
import { brackets } from "./brackets.js";
import { columnNames } from "./columnNames.js";
import { AXIS_WIDTH, type Stage, stripOf } from "./stage.js";

export interface Axes {
  readonly grid: HTMLElement;
  readonly frame: HTMLElement;
}

export function axes(view: View, stage: Stage): Axes {
  const grid = h("div", { class: "svr-grid", "aria-hidden": true });
  const ticks = h("div", { class: "svr-ticks" });
  const title = h("div", { class: "svr-axis-title" });
  const chosen = h("i", { class: "svr-chosen" });
  const strip = h("div", { class: "svr-columns" }, chosen, ...columnNames(view, stage));
  strip.append(...brackets(view, stage, strip));

  view.watch(() => {
    const layout = stage.layout.value;
    if (!layout) {
      for (const part of [grid, ticks, title]) fill(part);
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
    // Where the plot is lower than its words are long they reach above it, not beneath the names.
    const half = stage.measure(layout.title) / 2;
    const middle = Math.max(half, Math.min(bottom - half, (margins.top + bottom) / 2));
    title.style.top = `${middle}px`;
  });
  view.watch(() => {
    const [layout, scene] = [stage.layout.value, view.state.scene.value];
    if (layout && scene) strip.style.height = `${stripOf(scene, layout)}px`;
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
  const frame = h("div", { class: "svr-axes" }, ticks, title, strip);
  return { grid, frame };
}
