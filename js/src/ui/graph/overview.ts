// The whole network in a strip beneath the graph, where its columns do not all fit: what of it is
// seen is a window to drag, or to move by keyboard.

import { type Layout, layOut } from "../../geometry/layout.js";
import type { Cut } from "../../logic/threshold.js";
import { fullWeight } from "../../paint/density.js";
import { css, kindColour, type Palette } from "../../paint/palette.js";
import type { Scene } from "../../wire/scene.js";
import { h } from "../kit/dom.js";
import { oncePerFrame } from "../kit/frames.js";
import type { View } from "../view.js";
import { moveCamera } from "./pointer.js";
import { AXIS_WIDTH, type Stage } from "./stage.js";

const HEIGHT = 44;
const MARGINS = { top: 6, right: 8, bottom: 6, left: AXIS_WIDTH };
/** By arrow keys the window moves by this share of itself. */
const STEP = 0.1;

export function overview(view: View, stage: Stage): HTMLElement {
  const { state } = view;
  const canvas = h("canvas", { "aria-hidden": true });
  const pane = h("div", {
    class: "svr-window",
    role: "scrollbar",
    tabindex: 0,
    "aria-orientation": "horizontal",
    "aria-label": "part of the network that is seen",
    "aria-valuemin": 0,
    "aria-valuemax": 100,
  });
  const element = h("div", { class: "svr-overview", "data-svr": "overview" }, canvas, pane);
  element.style.height = `${HEIGHT}px`;

  const draw = oncePerFrame(view, () => {
    const scene = state.scene.peek();
    const layout = stage.layout.peek();
    const palette = view.palette.peek();
    const cut = state.cut.peek();
    const ratio = stage.ratio.peek();
    if (element.hidden || !scene || !layout || !palette || !cut) return;
    const small = smallLayout(scene, layout, state.scale.peek());
    canvas.width = Math.round(small.size.width * ratio);
    canvas.height = Math.round(small.size.height * ratio);
    const context = canvas.getContext("2d");
    if (!context) throw new Error("this browser gives no 2D canvas");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    paintSmall(context, scene, small, cut, palette);
  });
  view.watch(() => {
    const layout = stage.layout.value;
    for (const cause of [state.scene, state.cut, state.scale, stage.ratio, stage.appearances]) {
      cause.value;
    }
    view.palette.value;
    element.hidden = !layout || fits(layout);
    draw();
  });
  view.watch(() => {
    const layout = stage.layout.value;
    if (!layout || element.hidden) return;
    const [from, to] = seen(layout);
    const room = layout.size.width - MARGINS.left - MARGINS.right;
    const left = MARGINS.left + Math.max(0, from) * room;
    const right = MARGINS.left + Math.min(1, to) * room;
    pane.style.left = `${left}px`;
    pane.style.width = `${Math.max(8, right - left)}px`;
    const share = Math.round((100 * Math.max(0, from)) / Math.max(1e-9, 1 - (to - from)));
    pane.setAttribute("aria-valuenow", String(Math.min(100, Math.max(0, share))));
    pane.setAttribute("aria-valuetext", columnsSeen(state.scene.peek(), layout));
  });
  view.watch(followWindow(view, stage, element, pane));
  return element;
}

const fits = ({ size, margins, plotWidth }: Layout) =>
  plotWidth <= size.width - margins.left - margins.right + 1;

/** The shares of the picture between which lies what is seen of it. */
function seen({ size, margins, camera, plotWidth }: Layout): [number, number] {
  const share = (x: number) => ((x - camera.x) / camera.zoom - margins.left) / plotWidth;
  return [share(margins.left), share(size.width - margins.right)];
}

function columnsSeen(
  scene: Scene | null,
  { columnX: x, size, margins, folding: { columns } }: Layout,
): string {
  const inside = columns.filter(
    (_, at) => x[at] >= margins.left - 1 && x[at] <= size.width - margins.right + 1,
  );
  if (!scene || inside.length === 0) return "no column";
  const [first, last] = [inside[0], inside[inside.length - 1]].map(({ module, maps }) =>
    module === null ? scene.maps[maps[0]].label : scene.modules[module].label,
  );
  return `${inside.length} of ${columns.length} columns, ${first} to ${last}`;
}

function smallLayout(scene: Scene, layout: Layout, yScale: Parameters<typeof layOut>[1]): Layout {
  const size = { width: layout.size.width, height: HEIGHT };
  const { folding } = layout;
  return layOut(scene, yScale, size, MARGINS, undefined, 0, null, 0, folding);
}

/** Every neuron as a speck, and of each link the strongest edge that is drawn. */
function paintSmall(
  context: CanvasRenderingContext2D,
  scene: Scene,
  layout: Layout,
  cut: Cut,
  palette: Palette,
): void {
  context.clearRect(0, 0, layout.size.width, layout.size.height);
  const { x, y } = layout;
  for (const [index, { kind, start, neurons }] of scene.maps.entries()) {
    context.fillStyle = css(kindColour(palette, kind));
    context.globalAlpha = 0.55;
    const rows = new Set<number>();
    for (let neuron = start; neuron < start + neurons; neuron++) rows.add(Math.round(y[neuron]));
    for (const row of rows) context.fillRect(x[index] - 0.75, row - 0.5, 1.5, 1);
  }
  context.strokeStyle = css(palette.ink);
  context.lineWidth = 0.75;
  for (const [index, { producer, consumer, start, backward }] of scene.links.entries()) {
    if (cut.drawnPerLink[index] === 0 || backward || layout.shapes[index] !== "line") continue;
    context.globalAlpha =
      0.2 + 0.8 * Math.min(1, scene.edgeWeight[start] / fullWeight(scene, index));
    context.beginPath();
    context.moveTo(x[producer], y[scene.maps[producer].start + scene.edgeM[start]]);
    context.lineTo(x[consumer], y[scene.maps[consumer].start + scene.edgeN[start]]);
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** Lets the window be dragged, thrown by a click beside it, and moved by keys. */
function followWindow(view: View, stage: Stage, strip: HTMLElement, pane: HTMLElement): () => void {
  /** Puts the left edge of what is seen at this share of the picture. */
  const show = (from: number) => {
    const layout = stage.layout.peek();
    if (!layout) return;
    const { camera, margins, plotWidth } = layout;
    const [left, right] = seen(layout);
    const held = Math.max(0, Math.min(from, 1 - (right - left)));
    const x = margins.left - (margins.left + held * plotWidth) * camera.zoom;
    moveCamera(view, stage, { ...camera, x });
  };
  const shareAt = (event: PointerEvent) => {
    const box = strip.getBoundingClientRect();
    const room = box.width - MARGINS.left - MARGINS.right;
    return (event.clientX - box.left - MARGINS.left) / room;
  };
  let grip: number | null = null;
  view.listen(strip, "pointerdown", (event) => {
    const layout = stage.layout.peek();
    if (event.button !== 0 || !layout) return;
    const at = shareAt(event);
    const [from, to] = seen(layout);
    const inside = at >= from && at <= to;
    grip = inside ? at - from : (to - from) / 2;
    strip.setPointerCapture(event.pointerId);
    if (!inside) show(at - grip);
    pane.focus({ preventScroll: true });
    event.preventDefault();
  });
  view.listen(strip, "pointermove", (event) => {
    if (grip !== null) show(shareAt(event) - grip);
  });
  for (const end of ["pointerup", "pointercancel"] as const) {
    view.listen(strip, end, () => (grip = null));
  }
  view.listen(pane, "keydown", (event) => {
    const layout = stage.layout.peek();
    if (!layout || event.ctrlKey || event.metaKey || event.altKey) return;
    const [from, to] = seen(layout);
    const by = { ArrowLeft: -STEP, ArrowRight: STEP, PageUp: -0.9, PageDown: 0.9 }[event.key];
    if (by !== undefined) show(from + by * (to - from));
    else if (event.key === "Home") show(0);
    else if (event.key === "End") show(1);
    else return;
    event.preventDefault();
  });
  // A neuron that is reached by keyboard has to be seen.
  return () => {
    const hover = view.state.hover.value;
    const layout = stage.layout.peek();
    if (hover?.kind !== "neuron" || hover.from !== "keyboard" || !layout || fits(layout)) return;
    const { x, margins, size, plotWidth, camera } = layout;
    const at = x[hover.neuron.map];
    if (at >= margins.left && at <= size.width - margins.right) return;
    const [from, to] = seen(layout);
    show((at - camera.x) / camera.zoom / plotWidth - margins.left / plotWidth - (to - from) / 2);
  };
}
