// Finds maps, modules and spectral neurons by what a person types: "conv1", "l1c2", "h.3", "conv1 3".

import type { Scene } from "../wire/scene.js";

export type Match =
  | {
      readonly map: number;
      /** The neuron; null for the map itself. */
      readonly k: number | null;
    }
  | { readonly module: number };

export interface Found {
  /** All maps whose names match, best first, or those of modules whose names do. */
  readonly maps: readonly number[];
  /** What can be chosen, best first; neurons where an index was typed. */
  readonly matches: readonly Match[];
}

const INDEXED = /^(.*?)[\s:·,#]*(?:^|[\s:·,#])(\d+)$/u;

/** Searches the names of maps; a number at the end, parted from the name, is a neuron's index. */
export function search(scene: Scene, typed: string): Found {
  const text = typed.trim();
  if (text === "") return { maps: [], matches: [] };
  const { maps: whole, modules } = matchingNames(scene, text);
  const indexed = INDEXED.exec(text);
  const neurons: Match[] = [];
  let named: number[] = [];
  if (indexed) {
    const k = Number(indexed[2]);
    named = indexed[1] === "" ? [] : matchingMaps(scene, indexed[1]);
    for (const map of indexed[1] === "" ? scene.maps.keys() : named) {
      if (k < scene.maps[map].neurons) neurons.push({ map, k });
    }
  }
  const inside = new Set(modules.flatMap((module) => scene.modules[module].maps));
  const maps = whole.length > 0 ? whole : named.length > 0 ? named : [...inside];
  const isCalled = ({ name, label }: Named) =>
    [name, label].some((known) => known.toLowerCase() === text.toLowerCase());
  const isMap = (map: number) => isCalled(scene.maps[map]);
  const isModule = (module: number) => isCalled(scene.modules[module]);
  const not = (meant: (index: number) => boolean) => (index: number) => !meant(index);
  const column = (map: number): Match => ({ map, k: null });
  const several = (module: number): Match => ({ module });
  // What has exactly that name is meant, also where the name ends in a number.
  const matches = [
    ...whole.filter(isMap).map(column),
    ...modules.filter(isModule).map(several),
    ...neurons,
    ...modules.filter(not(isModule)).map(several),
    ...whole.filter(not(isMap)).map(column),
  ];
  return { maps, matches };
}

interface Named {
  readonly name: string;
  readonly label: string;
}

/** Indices of the maps whose names match, best first. */
export const matchingMaps = (scene: Scene, text: string) => matchingNames(scene, text).maps;

/** The maps and the modules whose names match, best first. */
function matchingNames({ maps, modules }: Scene, text: string) {
  const all: readonly Named[] = [...maps, ...modules];
  const found = matching(
    all.map(({ name, label }) => [name, label]),
    text,
  );
  return {
    maps: found.filter((index) => index < maps.length),
    modules: found.flatMap((index) => (index < maps.length ? [] : index - maps.length)),
  };
}

/**
 * Indices of the names that match, best first: those that contain the text, or, where none does,
 * those that have its letters in order. What has several names is found by any of them.
 */
export function matching(names: readonly (string | readonly string[])[], text: string): number[] {
  const wanted = text.toLowerCase();
  const by = (rank: (name: string) => number | null) =>
    names
      .map((known, index) => {
        const ranks = [known]
          .flat()
          .map((name) => rank(name.toLowerCase()) ?? Number.POSITIVE_INFINITY);
        return { index, rank: Math.min(...ranks) };
      })
      .filter((found) => found.rank < Number.POSITIVE_INFINITY)
      .sort((a, b) => a.rank - b.rank || a.index - b.index)
      .map(({ index }) => index);
  const containing = by((name) => placeIn(name, wanted));
  return containing.length > 0 ? containing : by((name) => holesIn(name, wanted));
}

/** 0 for the same name, then where in it the text stands: at its beginning, a word's, elsewhere. */
function placeIn(name: string, wanted: string): number | null {
  const at = name.indexOf(wanted);
  if (at < 0) return null;
  if (at === 0) return name === wanted ? 0 : 1;
  return /[\p{L}\p{N}]/u.test(name[at - 1]) ? 3 : 2;
}

/** How many letters are skipped between those that were typed, in order; null where one is missing. */
function holesIn(name: string, wanted: string): number | null {
  const letters = wanted.replaceAll(/[\s:·,#]/gu, "");
  if (letters === "") return null;
  let first = -1;
  let end = 0;
  for (const letter of letters) {
    const at = name.indexOf(letter, end);
    if (at < 0) return null;
    if (first < 0) first = at;
    end = at + letter.length;
  }
  return end - first - letters.length;
}
