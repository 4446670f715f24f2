// What follows from the modules that are folded: columns, and the links between them.

import { computed, type ReadonlySignal } from "@preact/signals-core";
import { widthsOf } from "../geometry/bands.js";
import { type Bundles, bundlesOf, NO_BUNDLES } from "../geometry/bundles.js";
import type { Folding } from "../geometry/columns.js";
import { foldedNames, foldingOf, foundOn } from "../logic/folding.js";
import type { Cut } from "../logic/threshold.js";
import type { Scene } from "../wire/scene.js";
import { sameColumns } from "../wire/timeline.js";
import type { PublicSignals } from "./traits.js";

export function foldsOf(
  traits: PublicSignals,
  scene: ReadonlySignal<Scene | null>,
  cut: ReadonlySignal<Cut | null>,
) {
  const folding = foldingSeen(traits, scene);
  return { folding, ...bundlesSeen(scene, folding, cut) };
}

/** What is seen as one column; the same from checkpoint to checkpoint. */
function foldingSeen(
  { folded }: PublicSignals,
  scene: ReadonlySignal<Scene | null>,
): ReadonlySignal<Folding | null> {
  let last: { readonly scene: Scene; readonly names: string; readonly folding: Folding } | null =
    null;
  return computed(() => {
    const { value } = scene;
    if (!value) return null;
    const names = foldedNames(value, folded.value ?? null).join("\n");
    const isKept = last?.names === names && sameColumns(last.scene, value);
    if (!last || !isKept) {
      last = { scene: value, names, folding: foldingOf(value, folded.value ?? null) };
    }
    return last.folding;
  });
}

/** The links between each two columns, and how wide they are drawn. */
function bundlesSeen(
  scene: ReadonlySignal<Scene | null>,
  folding: ReadonlySignal<Folding | null>,
  cut: ReadonlySignal<Cut | null>,
) {
  const bundles = computed<Bundles>(() => {
    const { value } = scene;
    return value && folding.value ? bundlesOf(value, folding.value) : NO_BUNDLES;
  });
  const bundleWidths = computed(() => {
    const [known, seen, between] = [scene.value, folding.value, bundles.value];
    if (!known || !seen || !cut.value) return widthsOf(new Float64Array(between.length));
    return widthsOf(foundOn(known, seen, between, cut.value));
  });
  return { bundles, bundleWidths };
}
