// The picture itself: edges and neurons on one canvas, what is pointed at on another above it.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { Picture } from "../../export/svg.js";
import { FAINTEST } from "../../paint/density.js";
import { paintNeurons, paintRings } from "../../paint/paint.js";
import type { Neuron } from "../../wire/scene.js";
import { sameColumns } from "../../wire/timeline.js";
import { h } from "../kit/dom.js";
import { type Action, followKeys } from "../kit/keys.js";
import { progress } from "../status/progress.js";
import type { View } from "../view.js";
import { axes } from "./axes.js";
import { dimOthers } from "./canvases/dimming.js";
import { edgeCanvas, pixelCanvas } from "./canvases/edgeCanvas.js";
import { type Hovered, hoverCanvas } from "./canvases/hoverCanvas.js";
import { lassoOutline } from "./canvases/lassoOutline.js";
import { previewPane } from "./canvases/preview.js";
import { bands, ribbons, ribbonWords } from "./canvases/ribbons.js";
import { selectionCanvas } from "./canvases/selectionCanvas.js";
import { forgetOnBlur, goTo, graphActions, reveal } from "./keyboard.js";
import { legend } from "./legend.js";
import { minimap, overview } from "./overview.js";
import { followPointer, showLink } from "./pointer.js";
import { AXIS_WIDTH, createStage, type Stage } from "./stage.js";
import { tooltip } from "./tooltip.js";

/** The graph as it is drawn now; null while there is none. */
export interface Drawn {
  picture(): Omit<Picture, "caption" | "soft" | "rule" | "font"> | null;
  /** What is drawn as a PNG's data URL, edges and neurons without any word. */
  raster(): string;
}

export interface Graph {
  readonly element: HTMLElement;
  /** What the pointer or the keyboard is at, with the edges that light up for it. */
  readonly hovered: ReadonlySignal<Hovered>;
  /** What each key does while the graph has the focus. */
  readonly actions: readonly Action[];
  /** Chooses a link and brings it into sight. */
  showLink(link: number): void;
  /** Gives the graph the focus, with the keyboard at a neuron. */
  goTo(neuron: Neuron): void;
  /** The same for a module, whose columns are all in sight then if there is room. */
  goToModule(module: number): void;
  /** Brings a neuron into sight, and leaves the focus where it is. */
  reveal(neuron: Neuron): void;
}

/**
 * The picture, what the tools need of it, and what an export does. It opens on the part of the graph
 * that `lead` does, which is another view where networks are beside each other.
 */
export function graph(
  view: View,
  { legend: explained = true, lead = view }: { legend?: boolean; lead?: View } = {},
): Drawn & Graph {
  const stage = createStage(view, lead);
  const canvas = h("canvas", {
    class: "svr-picture",
    "data-svr": "graph",
    tabindex: 0,
    role: "application",
    "aria-label": "graph of spectral neurons",
  });
  const { grid, frame } = axes(view, stage);
  const hover = hoverCanvas(view, stage);
  const drawn = lassoOutline();
  const chosen = selectionCanvas(view, stage);
  const faint = bands(view, stage);
  stage.element.append(
    grid,
    faint,
    ribbons(view, stage),
    canvas,
    chosen,
    ribbonWords(view, stage),
    hover.canvas,
    frame,
    previewPane(view, canvas),
    drawn.element,
    minimap(view, stage, canvas),
    tooltip(view, stage, hover),
    progress(view),
  );
  paint(view, stage, canvas);
  followPointer(view, stage, canvas, drawn);
  const actions = graphActions(view, stage);
  followKeys(view, canvas, actions);
  forgetOnBlur(view, canvas);
  dimOthers(view, stage, canvas, chosen, faint);
  forgetWithScene(view);
  view.watch(() => {
    canvas.classList.toggle("svr-dimmed", view.state.selectedMask.value !== null);
    canvas.classList.toggle("svr-lassoing", view.state.lasso.value);
  });
  return {
    element: h(
      "div",
      { class: "svr-graph" },
      explained && legend(view),
      stage.element,
      overview(view, stage),
    ),
    hovered: hover.hovered,
    actions,
    showLink: (link) => showLink(view, stage, link),
    goTo(neuron) {
      canvas.focus({ preventScroll: true });
      view.state.unfoldTo([neuron.map]);
      goTo(view, stage, neuron);
    },
    goToModule(module) {
      canvas.focus({ preventScroll: true });
      view.state.unfoldAround(module);
      const { maps, modules } = view.state.scene.peek() ?? { maps: [], modules: [] };
      const inside = modules[module]?.maps.filter((map) => maps[map].neurons > 0) ?? [];
      if (inside.length === 0) return;
      reveal(view, stage, { map: inside[inside.length - 1], k: 0 });
      goTo(view, stage, { map: inside[0], k: 0 });
    },
    reveal: (neuron) => reveal(view, stage, neuron),
    picture() {
      const [scene, layout] = [view.state.scene.peek(), stage.layout.peek()];
      const [cut, palette] = [view.state.cut.peek(), view.palette.peek()];
      if (!scene || !layout || !cut || !palette) return null;
      const { drawnPerLink } = cut;
      const { measure } = stage;
      const bands = { bundles: view.state.bundles.peek(), widths: view.state.bundleWidths.peek() };
      const rings = view.state.marked.peek()?.neurons ?? [];
      const axisWidth = AXIS_WIDTH;
      return { scene, layout, drawnPerLink, palette, measure, bands, rings, axisWidth };
    },
    raster: () => canvas.toDataURL("image/png"),
  };
}

function paint(view: View, stage: Stage, canvas: HTMLCanvasElement): void {
  const { state } = view;
  const neurons = pixelCanvas((pixels, { scene, layout, palette, ratio, width, height }) => {
    const rings = state.marked.peek()?.neurons ?? [];
    paintRings(scene, layout, palette, ratio, pixels, width, height, rings);
    paintNeurons(scene, layout, palette, ratio, pixels, width, height);
  });
  edgeCanvas(view, stage, canvas, {
    of: signal("all" as const),
    ink: ({ ink }) => ink,
    faintest: FAINTEST,
    causes: [state.marked],
    over: (surface) => neurons(surface, state.marked.peek()),
  });
}

/** Another scene makes what pointed into the old one meaningless. */
function forgetWithScene(view: View): void {
  let scene = view.state.scene.peek();
  view.watch(() => {
    const next = view.state.scene.value;
    if (next === scene) return;
    // The first scene is shown as Python asked for it.
    if (scene && !(next && sameColumns(scene, next))) view.state.resetCamera();
    scene = next;
    view.state.hover.value = null;
  });
}
