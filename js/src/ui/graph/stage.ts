// The plot's size and the layout that follows from it, shared by all that is drawn there. From one
// checkpoint of a timeline to the next, neurons move to their new places instead of jumping there;
// what is born grows, what dies shrinks away.

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { bends } from "../../geometry/bundles.js";
import { columnPositions, type Folding } from "../../geometry/columns.js";
import {
  type Angle,
  angleFor,
  heightOfNames,
  type Measure,
  usualParts,
} from "../../geometry/labels.js";
import {
  type Camera,
  cameraOf,
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
  /** Where everything will stand once nothing moves any more. */
  readonly settled: ReadonlySignal<Layout | null>;
  readonly ratio: ReadonlySignal<number>;
  /** How wide a name is, in pixels. */
  readonly measure: Measure;
  /** Changes whenever what is drawn may have been lost, as when an output scrolls back into view. */
  readonly appearances: ReadonlySignal<number>;
}

/** It opens on the part of the graph that `lead` does. */
export function createStage(view: View, lead: View): Stage {
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
    const [scene, folding] = [view.state.scene.value, view.state.folding.value];
    const { width, height } = size.value;
    if (!scene || !folding || width < 40 || height < 40) return null;
    const { margins, angle } = roomFor(scene, folding, size.value, measure);
    const { value: camera } = view.state.camera;
    const places = columnPositions(scene, folding);
    const plotWidth = plotWidthOf(places, size.value, margins);
    const frame = { size: size.value, margins, plotWidth };
    const at = camera
      ? heldCamera(cameraOf(frame, camera), frame)
      : openingCamera(places, frame, opensOn(view, lead));
    const { scale, y_range } = view.state;
    const range = y_range.value;
    return layOut(scene, scale.value, size.value, margins, at, LEAST_COLUMN, range, angle, folding);
  });
  return { element, layout: inMotion(view, settled), settled, ratio, measure, appearances };
}

/** The maps at the ends of the link that most was found of in the leading view. */
function opensOn({ state }: View, lead: View): readonly number[] | null {
  const [scene, link] = [lead.state.scene.value, lead.state.found.value];
  if (!scene || link === null) return null;
  const { producer, consumer } = scene.links[link];
  if (lead.state === state) return [producer, consumer];
  const names = [producer, consumer].map((map) => scene.maps[map].name);
  const here = names.map((name) =>
    (state.scene.value?.maps ?? []).findIndex((m) => m.name === name),
  );
  return here.includes(-1) ? null : here;
}

/** The whole graph; of a deep one the part around the link that most was found of, else its beginning. */
function openingCamera(
  places: readonly number[],
  frame: Pick<Layout, "size" | "margins" | "plotWidth">,
  ends: readonly number[] | null,
): Camera {
  const { size, margins, plotWidth } = frame;
  const room = size.width - margins.left - margins.right;
  if (ends === null || plotWidth <= room) return WHOLE;
  const scale = plotWidth / Math.max(...places, 1);
  const x = ends.map((map) => margins.left + places[map] * scale);
  if (Math.max(...x) <= margins.left + room) return WHOLE;
  return heldCamera({ ...WHOLE, x: margins.left + room / 2 - (x[0] + x[1]) / 2 }, frame);
}

/** Room for the axes' words, beside the first and the last column, and for arcs to bend. */
function roomFor(
  scene: Scene,
  folding: Folding,
  { width, height }: Size,
  measure: Measure,
): { margins: Margins; angle: Angle } {
  const beside = width < 700 ? 20 : 36;
  const { above, below } = bends(scene, folding);
  const isFolded = folding.columns.some(({ module }) => module !== null);
  const top = above ? (isFolded ? 72 : 36) : isFolded ? 40 : 16;
  const sides = { right: beside, left: AXIS_WIDTH + beside, top };
  const places = columnPositions(scene, folding);
  const plotWidth = plotWidthOf(places, { width, height }, { ...sides, bottom: 0 });
  const widest = Math.max(...places, 0);
  const names = folding.columns.map(({ label }) => label);
  const x = folding.columns.map(
    ({ maps: [map] }) => sides.left + (widest > 0 ? places[map] / widest : 0.5) * plotWidth,
  );
  const end = Math.max(width, sides.left + plotWidth + beside);
  const angle = angleFor(names, x, [AXIS_WIDTH - 4, end - 2], measure);
  const beneath = heightOfNames(usualParts(names), angle, height) + folding.rows * BRACKET;
  const bottom = TICK + beneath + (below ? LOOPS : 0);
  return { margins: { ...sides, bottom }, angle };
}

/** What links that run back need beneath the columns. */
const LOOPS = 16;
/** What the lower half of the lowest tick's words needs. */
export const TICK = 8;

/** A row of brackets beneath the names. */
export const BRACKET = 20;

/** The height of the strip beneath the axis in which the names of the columns and brackets stand. */
export const stripOf = (scene: Scene, { margins, folding }: Layout) =>
  margins.bottom - TICK - (bends(scene, folding).below ? LOOPS : 0);

/** The part of it that the names of the columns have. */
export const namesStripOf = (scene: Scene, layout: Layout) =>
  stripOf(scene, layout) - layout.folding.rows * BRACKET;

export const AXIS_WIDTH = 68;

/** Milliseconds from one checkpoint to the next. */
const DURATION = 420;
/** Milliseconds in which a module folds. */
const FOLD = 240;

/** A layout between two: of the scene of the second, at a share of the way. */
export function between(
  before: { readonly scene: Scene; readonly layout: Layout },
  after: { readonly scene: Scene; readonly layout: Layout },
  share: number,
): Layout {
  const eased = ease(share);
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

/** The layout as columns come together or part, at a share of the way. */
export function betweenFolds(before: Layout, layout: Layout, share: number): Layout {
  const eased = ease(share);
  const along = (to: Float64Array, from: Float64Array) =>
    to.map((at, index) => from[index] + (at - from[index]) * eased);
  const x = along(layout.x, before.x);
  const columnX = Float64Array.from(layout.folding.columns, ({ maps }) => x[maps[0]]);
  return { ...layout, x, y: along(layout.y, before.y), columnX, isMoving: true };
}

const ease = (share: number) => (share < 0.5 ? 2 * share * share : 1 - (2 - 2 * share) ** 2 / 2);

interface Shown {
  readonly scene: Scene | null;
  readonly layout: Layout | null;
}

/** What leads from one layout to another, and how long it takes; null where nothing is to move. */
function motion(before: Shown, after: Shown): [at: (share: number) => Layout, time: number] | null {
  const { scene: last, layout: from } = before;
  const { scene: next, layout: to } = after;
  if (!last || !from || !next || !to || !sameFrame(from, to)) return null;
  if (next === last) {
    return from.folding === to.folding ? null : [(share) => betweenFolds(from, to, share), FOLD];
  }
  if (!sameColumns(last, next)) return null;
  const [start, end] = [
    { scene: last, layout: from },
    { scene: next, layout: to },
  ];
  return [(share) => between(start, end, share), DURATION];
}

/** The layout as it is on screen at the moment. */
function inMotion(
  view: View,
  settled: ReadonlySignal<Layout | null>,
): ReadonlySignal<Layout | null> {
  const { state } = view;
  const moving = signal<{ readonly to: Layout | null; readonly layout: Layout } | null>(null);
  let last: Shown = { scene: state.scene.peek(), layout: settled.peek() };
  let frame = 0;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const stop = () => {
    cancelAnimationFrame(frame);
    frame = 0;
  };
  view.signal.addEventListener("abort", stop, { once: true });
  view.watch(() => {
    const after = { scene: state.scene.value, layout: settled.value };
    const found = motion(last, after);
    last = after;
    stop();
    if (!found || calm.matches || !inSight(view)) return;
    const [at, time] = found;
    const begin = performance.now();
    const step = view.guard((now: number) => {
      const share = Math.min(1, Math.max(0, (now - begin) / time));
      frame = share < 1 ? requestAnimationFrame(step) : 0;
      const layout = share < 1 ? at(share) : null;
      moving.value = layout && { to: after.layout, layout };
      last = { ...after, layout: layout ?? after.layout };
    });
    step(begin);
  });
  return computed(() => {
    const [to, now] = [settled.value, moving.value];
    return now && now.to === to ? now.layout : to;
  });
}

/** A page in the background gets no frames. */
const inSight = (view: View) => !view.signal.aborted && document.visibilityState === "visible";

const sameFrame = (a: Layout, b: Layout) =>
  a.size.width === b.size.width && a.size.height === b.size.height && a.x.length === b.x.length;
