// The picture itself: edges and neurons on one canvas, what is lit on another above it.

import { signal } from "@preact/signals-core";
import { FAINTEST, paintNeurons } from "../paint.js";
import { axes } from "./axes.js";
import { h } from "./dom.js";
import type { Drawn } from "./exports.js";
import { highlights } from "./highlights.js";
import { followKeyboard } from "./keyboard.js";
import { edgeLayer, pixelLayer } from "./layer.js";
import { legend } from "./legend.js";
import { overview } from "./overview.js";
import { followPointer } from "./pointer.js";
import { progress } from "./progress.js";
import { selected } from "./selected.js";
import { AXIS_WIDTH, createStage, type Stage } from "./stage.js";
import { tooltip } from "./tooltip.js";
import type { View } from "./view.js";

/** The picture, and what an export needs of it. */
export function graph(view: View): Drawn & { readonly element: HTMLElement } {
  const stage = createStage(view);
  const canvas = h("canvas", {
    class: "svr-picture",
    "data-svr": "graph",
    tabindex: 0,
    role: "application",
    "aria-label": "graph of spectral neurons",
  });
  const { grid, frame, measure } = axes(view, stage);
  const lit = highlights(view, stage);
  stage.element.append(
    grid,
    canvas,
    selected(view, stage),
    lit.canvas,
    frame,
    tooltip(view, stage, lit),
    progress(view),
  );
  paint(view, stage, canvas);
  followPointer(view, stage, canvas);
  followKeyboard(view, stage, canvas);
  forgetWithScene(view);
  view.watch(() => {
    canvas.classList.toggle("svr-dimmed", view.state.lit.value !== null);
  });
  return {
    element: h("div", { class: "svr-graph" }, legend(view), stage.element, overview(view, stage)),
    picture() {
      const [scene, layout] = [view.state.scene.peek(), stage.layout.peek()];
      const [cut, palette] = [view.state.cut.peek(), view.palette.peek()];
      if (!scene || !layout || !cut || !palette) return null;
      const { drawnPerLink } = cut;
      return { scene, layout, drawnPerLink, palette, measure, axisWidth: AXIS_WIDTH };
    },
    raster: () => canvas.toDataURL("image/png"),
  };
}

function paint(view: View, stage: Stage, canvas: HTMLCanvasElement): void {
  const neurons = pixelLayer((pixels, { scene, layout, palette, ratio, width, height }) =>
    paintNeurons(scene, layout, palette, ratio, pixels, width, height),
  );
  edgeLayer(view, stage, canvas, {
    of: signal("all" as const),
    ink: ({ ink }) => ink,
    faintest: FAINTEST,
    over: (painting) => neurons(painting),
  });
}

/** Another scene makes what pointed into the old one meaningless. */
function forgetWithScene(view: View): void {
  let scene = view.state.scene.peek();
  view.watch(() => {
    const next = view.state.scene.value;
    if (next === scene) return;
    // The first scene is shown as Python asked for it.
    if (scene) view.state.resetCamera();
    scene = next;
    view.state.hover.value = null;
  });
}
