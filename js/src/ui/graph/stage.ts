// The plot's size and the layout that follows from it, shared by all that is drawn there. From one
// checkpoint of a timeline to the next, neurons move to their new places instead of jumping there;
// what is born grows, what dies shrinks away.

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import {
  bends,
  cameraOf,
  columnPositions,
  type Layout,
  LEAST_COLUMN,
  type Leaving,
  layOut,
  type Margins,
  plotWidthOf,
  WHOLE,
} from "../../geometry/layout.js";
import type { Scene } from "../../wire/scene.js";
import { ancestors, sameColumns } from "../../wire/timeline.js";
import { h } from "../kit/dom.js";
import type { View } from "../view.js";

export interface Stage {
  readonly element: HTMLElement;
  readonly layout: ReadonlySignal<Layout | null>;
  readonly ratio: ReadonlySignal<number>;
  /** Changes whenever what is drawn may have been lost, as when an output scrolls back into view. */
  readonly appearances: ReadonlySignal<number>;
}

export function createStage(view: View): Stage {
  const element = h("div", { class: "svr-plot" });
  const size = signal({ width: 0, height: 0 });
  const ratio = signal(1);
  const appearances = signal(0);

  const measure = view.guard(() => {
    const { clientWidth: width, clientHeight: height } = element;
    const { width: oldWidth, height: oldHeight } = size.peek();
    if (width !== oldWidth || height !== oldHeight) size.value = { width, height };
    ratio.value = window.devicePixelRatio || 1;
  });
  const resizes = new ResizeObserver(measure);
  const appears = new IntersectionObserver(
    view.guard((entries: IntersectionObserverEntry[]) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      measure();
      appearances.value += 1;
    }),
  );
  resizes.observe(element);
  appears.observe(element);
  window.addEventListener("resize", measure, { signal: view.signal });
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
    const margins = marginsFor(width, scene);
    const { value: camera } = view.state.camera;
    const plotWidth = plotWidthOf(columnPositions(scene), size.value, margins);
    const at = camera ? cameraOf({ size: size.value, margins, plotWidth }, camera) : WHOLE;
    const { y_scale, y_range } = view.state;
    const range = y_range.value;
    return layOut(scene, y_scale.value, size.value, margins, at, LEAST_COLUMN, range);
  });
  return { element, layout: inMotion(view, settled), ratio, appearances };
}

/** Room for the axes' words, beside the first and the last column, and for arcs to bend. */
function marginsFor(width: number, scene: Scene): Margins {
  const beside = width < 700 ? 20 : 36;
  const { above, below } = bends(scene);
  return {
    top: above ? 36 : 16,
    right: beside,
    bottom: below ? 64 : 48,
    left: AXIS_WIDTH + beside,
  };
}

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
