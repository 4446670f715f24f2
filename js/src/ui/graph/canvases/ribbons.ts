// Who feeds whom, behind the edges: a faint band a link, or all links between two columns; and the
// wide ones of links by construction.

import {
  bandInk,
  bandsInSight,
  type Curve,
  reachOf,
  type Stroke,
  strokesOf,
} from "../../../geometry/bands.js";
import type { Bundles } from "../../../geometry/bundles.js";
import type { Folding } from "../../../geometry/columns.js";
import type { Layout } from "../../../geometry/layout.js";
import { pathOf, ribbonsOf } from "../../../geometry/ribbons.js";
import { TIED } from "../../../logic/format.js";
import { css } from "../../../paint/palette.js";
import type { Scene } from "../../../wire/scene.js";
import { fill, h, s } from "../../kit/dom.js";
import { inNextFrame, oncePerFrame } from "../../kit/frames.js";
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

/** What the wide ones are, before the edges. */
export function ribbonWords(view: View, stage: Stage): SVGElement {
  const attributes = { class: "svr-ribbons", "aria-hidden": true, "data-svr": "ribbon-words" };
  const element = s("svg", attributes);
  view.watch(() => {
    const [scene, layout] = [view.state.scene.value, stage.layout.value];
    const found = scene && layout ? ribbonsOf(scene, layout) : [];
    fill(element, ...found.map(({ words }) => s("text", { ...words }, TIED)));
  });
  return element;
}

/** More bands would hold columns up that move; so many are there at once where the camera does. */
const FEW = 600;
/**
 * So many strokes, or milliseconds, are drawn between two frames at most. The page puts them to pixels
 * afterwards, which takes longer; where columns have come or gone it has more else to do at first.
 */
const SLICE = { first: 100, strokes: 400, time: 8 };

/** The canvas of the bands of all other links. */
export function bands(view: View, stage: Stage): HTMLCanvasElement {
  const { state } = view;
  const canvas = h("canvas", { class: "svr-bands", "aria-hidden": true, "data-svr": "bands" });
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  let rest: Iterator<Stroke | null, void, void> = [].values();
  let drawn = 0;
  let folding: Folding | null = null;
  let begun: CSSNumberish | null = null;
  let together = 1;
  /** Of many faint strokes whole numbers keep how dark they are, but not of which colour. */
  const recolour = () => {
    context.globalCompositeOperation = "source-in";
    context.globalAlpha = 1;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "source-over";
  };
  const draw = (most: number) => {
    const end = performance.now() + SLICE.time;
    let strokes = 0;
    let next = rest.next();
    for (; !next.done; next = rest.next()) {
      if (next.value) {
        const { curve, width, opacity, many } = next.value;
        context.lineWidth = width;
        context.globalAlpha = opacity;
        context.beginPath();
        strokeCurve(context, curve);
        drawn += many;
        strokes += 1;
      }
      if (strokes >= most || performance.now() > end) break;
    }
    if (together < 1 && strokes > 0) recolour();
    canvas.dataset.bands = String(drawn);
    canvas.dataset.painted = String(next.done === true);
    if (!next.done) later();
  };
  const later = inNextFrame(view, () => {
    // What was begun in this frame has had its turn.
    if (begun === document.timeline.currentTime) later();
    else draw(SLICE.strokes);
  });
  function* inSlices(scene: Scene, layout: Layout, bundles: Bundles) {
    const reach = reachOf(scene, layout);
    yield null;
    const seen = bandsInSight(layout, bundles);
    ({ together } = bandInk(seen.length));
    canvas.style.opacity = String(together);
    yield null;
    const widths = state.bundleWidths.peek();
    yield null;
    yield* strokesOf(layout, reach, bundles, widths, seen);
  }
  const begin = oncePerFrame(view, () => {
    const [scene, layout, palette] = [state.scene.peek(), stage.layout.peek(), view.palette.peek()];
    const ratio = stage.ratio.peek();
    rest = [].values();
    drawn = 0;
    begun = document.timeline.currentTime;
    canvas.width = Math.round((layout?.size.width ?? 0) * ratio);
    canvas.height = Math.round((layout?.size.height ?? 0) * ratio);
    if (!scene || !layout || !palette) return draw(0);
    const bundles = state.bundles.peek();
    // While columns move, thousands of bands would hold them up.
    if (layout.isMoving && bundles.length > FEW) return draw(0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.strokeStyle = context.fillStyle = css(palette.neutral);
    rest = inSlices(scene, layout, bundles);
    const isNew = layout.folding !== folding && !layout.isMoving;
    folding = layout.folding;
    draw(isNew ? SLICE.first : FEW);
  });
  view.watch(() => {
    // Bundles follow from the folding and the cut: of a million links they are left to the frame.
    for (const cause of [state.folding, state.cut, stage.layout, stage.appearances]) {
      cause.value;
    }
    stage.ratio.value;
    view.palette.value;
    canvas.dataset.painted = "false";
    begin();
  });
  return canvas;
}

export function strokeCurve(context: CanvasRenderingContext2D, [a, b, c, d]: Curve): void {
  context.moveTo(a.x, a.y);
  context.bezierCurveTo(b.x, b.y, c.x, c.y, d.x, d.y);
  context.stroke();
}
