// The plot's size and the layout that follows from it, shared by all that is drawn there.

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import {
  bends,
  cameraOf,
  columnPositions,
  type Layout,
  LEAST_COLUMN,
  layOut,
  type Margins,
  plotWidthOf,
  WHOLE,
} from "../../geometry/layout.js";
import type { Scene } from "../../wire/scene.js";
import { h } from "../kit/dom.js";
import type { View } from "../view.js";
import { inMotion } from "./motion.js";

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
