// What a comparison has of its own, beside the widgets of its networks, as signals.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import {
  type Change,
  changesOf,
  type Differences,
  differencesOf,
} from "../../logic/differences.js";
import type { Bytes } from "../../wire/codec.js";
import type { CONTRACT } from "../../wire/contract.js";
import { readMatchings } from "../../wire/matchings.js";
import type { View } from "../view.js";

export type ComparisonView = (typeof CONTRACT.comparison_views)[number];

export interface OwnTraits {
  names: readonly string[];
  /** Cosine to the nearest below which a neuron is new or gone. */
  least: number;
  view: ComparisonView;
  _matchings: Bytes | null;
}

export interface OwnHost {
  get<K extends keyof OwnTraits>(name: K): OwnTraits[K];
  set<K extends "least" | "view">(name: K, value: OwnTraits[K]): void;
  save(): void;
  on(name: keyof OwnTraits, listener: () => void, signal: AbortSignal): void;
}

export interface Compared {
  readonly names: ReadonlySignal<readonly string[]>;
  readonly least: ReadonlySignal<number>;
  readonly shown: ReadonlySignal<ComparisonView>;
  /** The network that is compared with the base, by its place. */
  readonly place: Signal<number>;
  /** Null where the two have no map in common, and until they are computed. */
  readonly changes: ReadonlySignal<readonly Change[] | null>;
  readonly differences: ReadonlySignal<Differences | null>;
  /** The place in the list of what is pointed at. */
  readonly at: Signal<number | null>;
  set<K extends "least" | "view">(name: K, value: OwnTraits[K]): void;
  /** The neuron of another network that answers one, as numbers of their scenes; -1 for none. */
  answering(from: number, to: number, neuron: number): number;
}

export function compared(host: OwnHost, views: readonly View[], abort: AbortSignal): Compared {
  const trait = <K extends keyof OwnTraits>(name: K): Signal<OwnTraits[K]> => {
    const mirrored = signal(host.get(name));
    host.on(name, () => (mirrored.value = host.get(name)), abort);
    return mirrored;
  };
  const [least, shown, sent] = [trait("least"), trait("view"), trait("_matchings")];
  const matchings = computed(() => readMatchings(sent.value));
  const place = signal(1);
  const scenes = computed(() => {
    const [base, other] = [views[0].state.scene.value, views[place.value].state.scene.value];
    return base && other ? { base, other } : null;
  });
  const changes = computed(() => {
    const matching = matchings.value[place.value - 1];
    return scenes.value && matching
      ? changesOf(scenes.value.base, scenes.value.other, matching)
      : null;
  });
  const differences = computed(() => {
    const [cut, otherCut] = [views[0].state.cut.value, views[place.value].state.cut.value];
    if (!scenes.value || !changes.value || !cut || !otherCut) return null;
    return differencesOf(changes.value, scenes.value.base, cut, scenes.value.other, otherCut);
  });
  return {
    names: trait("names"),
    least,
    shown,
    place,
    changes,
    differences,
    at: signal<number | null>(null),
    set(name, value) {
      (name === "least" ? (least as Signal<unknown>) : (shown as Signal<unknown>)).value = value;
      host.set(name, value);
      host.save();
    },
    answering(from, to, neuron) {
      const { value } = matchings;
      const inBase = from === 0 ? neuron : (value[from - 1]?.other.partner[neuron] ?? -1);
      return to === 0 ? inBase : (value[to - 1]?.base.partner[inBase] ?? -1);
    },
  };
}
