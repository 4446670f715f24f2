// The plot's size and the layout that follows from it, shared by all that is drawn there. From one
// checkpoint of a timeline to the next, neurons move to their new places instead of jumping there;
// what is born grows, what dies shrinks away.

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { type Angle, angleFor, heightOfNames, type Measure } from "../../geometry/labels.js";
import {
  bends,
  type Camera,
  cameraOf,
  columnPositions,
  heldCamera,
  type Layout,
  LEAST_COLUMN,
  type Leaving,
  layOut,
  type Margins,
  plotWidthOf,
  type Size,
  WHOLE,
} from "../../geometry/layout.js";
import type { Scene } from "../../wire/scene.js";
import { ancestors, sameColumns } from "../../wire/timeline.js";
import { h, textMeasure } from "../kit/dom.js";
import type { View } from "../view.js";

export interface Stage {
  readonly element: HTMLElement;
  readonly layout: ReadonlySignal<Layout | null>;
  readonly ratio: ReadonlySignal<number>;
  /** How wide a name is, in pixels. */
  readonly measure: Measure;
  /** Changes whenever what is drawn may have been lost, as when an output scrolls back into view. */
  readonly appearances: ReadonlySignal<number>;
}

export function createStage(view: View): Stage {
  const element = h("div", { class: "svr-plot" });
  const size = signal({ width: 0, height: 0 });
  const ratio = signal(1);
  const appearances = signal(0);

  const measure = textMeasure(element);

  const look = view.guard(() => {
    const { clientWidth: width, clientHeight: height } = element;
    const { width: oldWidth, height: oldHeight } = size.peek();
    if (width !== oldWidth || height !== oldHeight) size.value = { width, height };
    ratio.value = window.devicePixelRatio || 1;
  });
  const resizes = new ResizeObserver(look);
  const appears = new IntersectionObserver(
    view.guard((entries: IntersectionObserverEntry[]) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      look();
      appearances.value += 1;
    }),
  );
  resizes.observe(element);
  appears.observe(element);
  window.addEventListener("resize", look, { signal: view.signal });
  view.signal.addEventListener(
    "abort",
    () => {
      resizes.disconnect();
      appears.disconnect();
    },
    { once: true },
  );

  const settled = computed(() => {
    const scene = view.state.scene.value;
    const { width, height } = size.value;
    if (!scene || width < 40 || height < 40) return null;
    const { margins, angle } = roomFor(scene, size.value, measure);
    const { value: camera } = view.state.camera;
    const plotWidth = plotWidthOf(columnPositions(scene), size.value, margins);
    const frame = { size: size.value, margins, plotWidth };
    const at = camera
      ? heldCamera(cameraOf(frame, camera), frame)
      : openingCamera(scene, frame, view.state.found.value);
    const { scale, y_range } = view.state;
    const range = y_range.value;
    return layOut(scene, scale.value, size.value, margins, at, LEAST_COLUMN, range, angle);
  });
  return { element, layout: inMotion(view, settled), ratio, measure, appearances };
}

/** The whole graph; of a deep one the part around the link that most was found of, else its beginning. */
function openingCamera(
  scene: Scene,
  frame: Pick<Layout, "size" | "margins" | "plotWidth">,
  link: number | null,
): Camera {
  const { size, margins, plotWidth } = frame;
  const room = size.width - margins.left - margins.right;
  if (link === null || plotWidth <= room) return WHOLE;
  const places = columnPositions(scene);
  const scale = plotWidth / Math.max(...places, 1);
  const ends = [scene.links[link].producer, scene.links[link].consumer];
  const x = ends.map((map) => margins.left + places[map] * scale);
  if (Math.max(...x) <= margins.left + room) return WHOLE;
  return heldCamera({ ...WHOLE, x: margins.left + room / 2 - (x[0] + x[1]) / 2 }, frame);
}

/** Room for the axes' words, beside the first and the last column, and for arcs to bend. */
function roomFor(
  scene: Scene,
  { width, height }: Size,
  measure: Measure,
): { margins: Margins; angle: Angle } {
  const beside = width < 700 ? 20 : 36;
  const { above, below } = bends(scene);
  const sides = { right: beside, left: AXIS_WIDTH + beside, top: above ? 36 : 16 };
  const places = columnPositions(scene);
  const plotWidth = plotWidthOf(places, { width, height }, { ...sides, bottom: 0 });
  const widest = Math.max(...places, 0);
  const x = places.map((place) => sides.left + (widest > 0 ? place / widest : 0.5) * plotWidth);
  const names = scene.maps.map(({ label }) => label);
  const end = Math.max(width, sides.left + plotWidth + beside);
  const angle = angleFor(names, x, [AXIS_WIDTH - 4, end - 2], measure);
  const bottom = TICK + heightOfNames(names, angle, height) + (below ? LOOPS : 0);
  return { margins: { ...sides, bottom }, angle };
}

/** What links that run back need beneath the columns. */
const LOOPS = 16;
/** What the lower half of the lowest tick's words needs. */
const TICK = 8;

/** The height of the strip beneath the axis in which the names of the columns stand. */
export const stripOf = (scene: Scene, { margins }: Layout) =>
  margins.bottom - TICK - (bends(scene).below ? LOOPS : 0);

export const AXIS_WIDTH = 68;

/** Milliseconds from one checkpoint to the next. */
const DURATION = 420;

/** A layout between two: of the scene of the second, at a share of the way. */
export function between(
  before: { readonly scene: Scene; readonly layout: Layout },
  after: { readonly scene: Scene; readonly layout: Layout },
  share: number,
): Layout {
  const eased = share < 0.5 ? 2 * share * share : 1 - (2 - 2 * share) ** 2 / 2;
  const from = ancestors(before.scene, after.scene);
  const { layout } = after;
  const y = new Float64Array(layout.y);
  const presence = new Float32Array(y.length).fill(1);
  const lives = new Uint8Array(before.layout.y.length);
  for (let neuron = 0; neuron < y.length; neuron++) {
    const ancestor = from[neuron];
    if (ancestor >= 0) {
      lives[ancestor] = 1;
      const start = before.layout.y[ancestor];
      y[neuron] = start + (layout.y[neuron] - start) * eased;
      const was = before.layout.passage?.presence[ancestor] ?? 1;
      presence[neuron] = was + (1 - was) * eased;
    } else if (!after.scene.isNull[neuron]) presence[neuron] = eased;
  }
  const leaving: Leaving[] = [];
  before.scene.maps.forEach(({ start, neurons }, map) => {
    for (let neuron = start; neuron < start + neurons; neuron++) {
      if (lives[neuron] || before.scene.isNull[neuron]) continue;
      const was = before.layout.passage?.presence[neuron] ?? 1;
      const hue = before.scene.hue[neuron];
      leaving.push({ map, y: before.layout.y[neuron], hue, presence: was * (1 - eased) });
    }
  });
  return { ...layout, y, passage: { presence, leaving } };
}

/** The layout as it is on screen at the moment; a widget of one graph has nothing that moves. */
function inMotion(
  view: View,
  settled: ReadonlySignal<Layout | null>,
): ReadonlySignal<Layout | null> {
  const { state } = view;
  if (!state.playback) return settled;
  const shown = signal(settled.peek());
  let scene = state.scene.peek();
  let frame = 0;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const stop = () => {
    cancelAnimationFrame(frame);
    frame = 0;
  };
  view.signal.addEventListener("abort", stop, { once: true });
  view.watch(() => {
    const layout = settled.value;
    const next = state.scene.peek();
    const [last, before] = [scene, shown.peek()];
    scene = next;
    stop();
    const moves =
      next && layout && last && before && next !== last && !calm.matches && inSight(view);
    if (!moves || !sameColumns(last, next) || !sameFrame(before, layout)) {
      shown.value = layout;
      return;
    }
    const begin = performance.now();
    const step = view.guard((now: number) => {
      const share = Math.min(1, Math.max(0, (now - begin) / DURATION));
      frame = share < 1 ? requestAnimationFrame(step) : 0;
      shown.value =
        share < 1
          ? between({ scene: last, layout: before }, { scene: next, layout }, share)
          : layout;
    });
    step(begin);
  });
  return shown;
}

/** A page in the background gets no frames. */
const inSight = (view: View) => !view.signal.aborted && document.visibilityState === "visible";

const sameFrame = (a: Layout, b: Layout) =>
  a.size.width === b.size.width && a.size.height === b.size.height && a.x.length === b.x.length;
