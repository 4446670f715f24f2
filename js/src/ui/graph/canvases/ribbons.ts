// The bands of links by construction, behind the edges.

import { pathOf, ribbonsOf } from "../../../geometry/ribbons.js";
import { TIED } from "../../../logic/byConstruction.js";
import { fill, s } from "../../kit/dom.js";
import type { View } from "../../view.js";
import type { Stage } from "../stage.js";

export function ribbons(view: View, stage: Stage): SVGElement {
  const { state } = view;
  const element = s("svg", { class: "svr-ribbons", "aria-hidden": true, "data-svr": "ribbons" });
  view.watch(() => {
    const [scene, layout] = [state.scene.value, stage.layout.value];
    if (!scene || !layout) return fill(element);
    const found = ribbonsOf(scene, layout);
    fill(
      element,
      ...found.map(({ link, outline }) => s("path", { d: pathOf(outline), "data-link": link })),
      ...found.map(({ words }) => s("text", { ...words }, TIED)),
    );
  });
  view.watch(() => {
    const { value: hover } = state.hover;
    state.scene.value;
    stage.layout.value;
    for (const band of element.querySelectorAll("path")) {
      const isHovered = hover?.kind === "ribbon" && band.dataset.link === String(hover.link);
      band.classList.toggle("svr-hovered", isHovered);
    }
  });
  return element;
}
