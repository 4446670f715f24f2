// What follows from the scene and the traits: the cut, what is selected and highlighted.

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import { search } from "../logic/searchMaps.js";
import { type Highlighted, highlightedBy, maskOf } from "../logic/strongestPath.js";
import { type Cut, cutAtLevel } from "../logic/threshold.js";
import type { Law, Neuron, Scene } from "../wire/scene.js";
import { foldsOf } from "./folds.js";
import { openingOf } from "./opening.js";
import type { PublicSignals } from "./traits.js";

/** Columns are to stand out: those that match the words, or the one, or the module's, of that name. */
export interface Filter {
  readonly words: string;
  readonly exactly: boolean;
  /** False while it is still being typed. */
  readonly kept: boolean;
}

export function deriveFrom(
  traits: PublicSignals,
  scene: ReadonlySignal<Scene | null>,
  filter: ReadonlySignal<Filter | null>,
) {
  const law = computed<Law>(() => {
    const known: readonly Law[] = scene.value?.laws ?? ["exact"];
    return known.includes(traits.null.value) ? traits.null.value : known[0];
  });

  /** The cut as far as the page can work it out. */
  const nearCut = computed<Cut | null>(() => {
    const { value } = scene;
    if (!value) return null;
    const mode = traits.threshold_mode.value;
    return cutAtLevel(value, law.value, mode, traits.threshold.value);
  });
  /** A cut that Python told; another level may have been chosen since. */
  const toldCut = signal<Cut | null>(null);
  const cut = computed<Cut | null>(() => {
    const [near, told] = [nearCut.value, toldCut.value];
    if (!near || near.exact || !told) return near;
    const isMeant =
      told.law === near.law && told.mode === near.mode && told.level === traits.threshold.value;
    return isMeant ? told : near;
  });

  const opening = openingOf(traits, scene, law);

  const mapByName = computed(
    () => new Map(scene.value?.maps.map((map, index) => [map.name, index] as const)),
  );

  const selectedNeurons = computed<readonly Neuron[]>(() => {
    const neurons: Neuron[] = [];
    for (const [name, k] of traits.selected.value ?? []) {
      const map = mapByName.value.get(name);
      if (map !== undefined && k >= 0 && k < (scene.value?.maps[map].neurons ?? 0)) {
        neurons.push({ map, k });
      }
    }
    return neurons;
  });

  /** The maps that the filter matches: the others are dimmed; null without a filter. */
  const matched = computed<ReadonlySet<number> | null>(() => {
    const { value } = scene;
    if (!value || !filter.value) return null;
    const { words, exactly } = filter.value;
    if (!exactly) return new Set(search(value, words).maps);
    const map = mapByName.value.get(words);
    if (map !== undefined) return new Set([map]);
    return new Set(value.modules.find(({ name }) => name === words)?.maps ?? []);
  });

  /** 1 at each selected neuron; null where nothing is selected. */
  const selectedMask = computed<Uint8Array | null>(() => {
    const { value } = scene;
    return value && selectedNeurons.value.length > 0 ? maskOf(value, selectedNeurons.value) : null;
  });
  /** What is highlighted for the selected neurons. */
  const highlighted = computed<Highlighted | null>(() => {
    const { value } = scene;
    if (!value || !cut.value || !selectedMask.value) return null;
    return highlightedBy(value, cut.value, selectedNeurons.value, selectedMask.value);
  });

  return {
    law,
    nearCut,
    toldCut,
    cut,
    ...opening,
    ...foldsOf(traits, scene, cut),
    selectedNeurons,
    matched,
    selectedMask,
    highlighted,
  };
}
