// The line of tools above the picture.

import { count } from "../format.js";
import { Y_SCALES, type YScale } from "../scene.js";
import { dropDown, fill, h, nameOf } from "./dom.js";
import type { View } from "./view.js";

export function toolbar(view: View, ...tools: readonly HTMLElement[]): HTMLElement {
  const { state } = view;
  const title = h("div", { class: "svr-title" });
  const yScale = dropDown(
    "y scale",
    Y_SCALES.map((scale) => [scale, scale] as const),
  );
  const reset = h("button", { type: "button", class: "svr-tool" }, "Whole graph");

  view.watch(() => {
    const scene = state.scene.value;
    if (!scene) return fill(title);
    const shown = scene.singularValue.length;
    const all = scene.maps.reduce((total, map) => total + map.rank, 0);
    const neurons = all > shown ? `${count(shown)} of ${count(all)}` : count(shown);
    const words = `${plural(scene.maps.length, "map")} · ${neurons} neurons`;
    fill(
      title,
      nameOf(scene.model, { class: "svr-name svr-model", title: scene.model }),
      h("span", { class: "svr-soft" }, words),
    );
  });
  view.watch(() => {
    yScale.value = state.y_scale.value;
  });
  view.watch(() => {
    reset.hidden = state.camera.value === null;
  });
  view.listen(yScale, "change", () => state.setYScale(yScale.value as YScale));
  view.listen(reset, "click", () => state.resetCamera());

  return h(
    "div",
    { class: "svr-bar svr-toolbar" },
    title,
    h("span", { class: "svr-grow" }),
    reset,
    h("label", { class: "svr-field" }, h("span", { "aria-hidden": true }, "y"), yScale),
    ...tools,
  );
}

const plural = (number: number, noun: string) =>
  `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
