// What is known before there is a scene, and the state of a graph that shows nothing else: no cut, so
// nothing that rests on tests, and nothing to be chosen.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Hover } from "../logic/linkedHover.js";
import type { Cut } from "../logic/threshold.js";
import type { Host } from "../wire/host.js";
import { type Preview, readPreview } from "../wire/preview.js";
import type { Scene } from "../wire/scene.js";
import { deriveFrom, type Filter } from "./derived.js";
import { foldsOf } from "./folds.js";
import { mirror, type PublicSignals } from "./traits.js";

/** Null once there is a scene. */
export function previewOf(
  host: Host,
  scene: ReadonlySignal<Scene | null>,
  fault: Signal<Error | null>,
  abort: AbortSignal,
): ReadonlySignal<Preview | null> {
  const bytes = mirror(host, "_preview", abort);
  const read = computed(() => {
    try {
      return readPreview(bytes.value);
    } catch (error) {
      queueMicrotask(() => (fault.value = error as Error));
      return null;
    }
  });
  return computed(() => (scene.value ? null : read.value));
}

/** In a state's place, for views that are to show the preview. */
export function stateOfPreview(
  traits: PublicSignals,
  preview: ReadonlySignal<Preview | null>,
  filter: ReadonlySignal<Filter | null>,
) {
  const scene = computed(() => preview.value?.scene ?? null);
  const cut: ReadonlySignal<Cut | null> = signal(null);
  const none: ReadonlySignal<number | null> = signal(null);
  return {
    ...deriveFrom(traits, scene, filter),
    ...foldsOf(traits, scene, cut),
    scene,
    hover: signal<Hover | null>(null),
    cut,
    nearCut: cut,
    opening: cut,
    found: none,
    link: none,
    chooseLink: () => {},
    select: () => {},
  };
}
