// Which columns are seen of a deep network: those of a folded module are one. Pure.

import type { Bundle, Bundles } from "../geometry/bundles.js";
import {
  arranged,
  type Bracket,
  type Column,
  type Folding,
  unfolded,
} from "../geometry/columns.js";
import { columnsOf, linksWithEdges } from "../wire/links/columns.js";
import type { Module } from "../wire/modules.js";
import type { Scene } from "../wire/scene.js";
import { count, expectation } from "./format.js";
import { type Cut, type Found, significantOn } from "./threshold.js";

/** A graph of no more columns has no brackets, unless something of it is folded. */
const FEW = 8;

/** The names of the modules that are folded; null stands for those that are at first. */
export const foldedNames = ({ modules }: Scene, folded: readonly string[] | null) =>
  folded ?? modules.filter((module) => module.folded).map(({ name }) => name);

/** What is seen while these modules are folded; names of modules that are not there mean nothing. */
export function foldingOf(scene: Scene, folded: readonly string[] | null): Folding {
  const { maps, modules } = scene;
  if (modules.length === 0) return unfolded(scene);
  const names = new Set(foldedNames(scene, folded));
  const outermost = modules.map((): number | null => null);
  modules.forEach(({ name, parent }, at) => {
    const above = parent === null ? null : outermost[parent];
    outermost[at] = above ?? (names.has(name) ? at : null);
  });
  const columns: Column[] = [];
  const seen = new Set<number>();
  maps.forEach(({ name, label, module }, map) => {
    const at = module === null || module === undefined ? null : outermost[module];
    if (at === null) columns.push({ module: null, maps: [map], name, label });
    else if (!seen.has(at)) {
      seen.add(at);
      const { name, label, maps } = modules[at];
      columns.push({ module: at, maps, name, label });
    }
  });
  const found = arranged(scene, columns);
  if (seen.size === 0 && maps.length <= FEW) return found;
  return named(scene, withBrackets(scene, found, outermost));
}

/** Brackets of the modules that are open, each over the longest run of columns that are its own. */
function withBrackets(
  { modules, maps }: Scene,
  folding: Folding,
  outermost: readonly (number | null)[],
): Folding {
  const { columns } = folding;
  const spans = modules.map((): { first: number; last: number } | null => null);
  const running = modules.map(() => -1);
  const seenOf = modules.map(() => 0);
  columns.forEach(({ module, maps: [map] }, index) => {
    let at = module === null ? (maps[map].module ?? null) : modules[module].parent;
    for (; at !== null; at = modules[at].parent) {
      seenOf[at] += 1;
      const goesOn = running[at] >= 0 && isRun(at, index - 1);
      if (!goesOn) running[at] = index;
      const span = spans[at];
      if (!span || index - running[at] > span.last - span.first) {
        spans[at] = { first: running[at], last: index };
      }
    }
  });
  const rows = modules.map(() => 0);
  const brackets: Bracket[] = [];
  for (let module = modules.length - 1; module >= 0; module--) {
    const span = spans[module];
    if (outermost[module] !== null || !span) continue;
    const { parent, label } = modules[module];
    let row = rows[module];
    // One that is scattered among others would say something wrong over a part of it; the rows of
    // those within it are taken all the same for the one around it.
    const [inRun, all] = [span.last - span.first + 1, seenOf[module]];
    if (inRun >= 2 && 2 * inRun >= all) brackets.push({ module, label, ...span, row: row++ });
    if (parent !== null) rows[parent] = Math.max(rows[parent], row);
  }
  brackets.reverse();
  const seen = new Set(brackets.map(({ module }) => module));
  const around = (module: number): Module | null => {
    let at = modules[module].parent;
    while (at !== null && !seen.has(at)) at = modules[at].parent;
    return at === null ? null : modules[at];
  };
  const called = brackets.map((bracket) => ({
    ...bracket,
    label: within(bracket.label, around(bracket.module)),
  }));
  return { ...folding, brackets: called, rows: Math.max(0, ...brackets.map(({ row }) => row + 1)) };

  /** Whether the column there is one of the module's. */
  function isRun(module: number, index: number): boolean {
    const {
      module: own,
      maps: [map],
    } = columns[index];
    let at = own === null ? (maps[map].module ?? null) : modules[own].parent;
    while (at !== null && at !== module) at = modules[at].parent;
    return at === module;
  }
}

/** What a bracket says the columns above it need not say again. */
function named({ modules }: Scene, folding: Folding): Folding {
  const columns = folding.columns.map((column, index) => {
    // An inner bracket comes after the one that it stands in. What it has said is gone; one that is
    // a range is no part of a name.
    const label = folding.brackets.reduceRight(
      (said, { module, first, last }) =>
        said === column.label && first <= index && index <= last
          ? within(said, modules[module])
          : said,
      column.label,
    );
    return label === column.label ? column : { ...column, label };
  });
  return { ...folding, columns };
}

/** A label without the module's; a number keeps its dot: ".0" goes on from what the bracket says. */
function within(label: string, around: Module | null): string {
  if (!around || !label.startsWith(around.label)) return label;
  const rest = label.slice(around.label.length);
  if (!/^[.[]./.test(rest)) return label;
  const part = /^\[([^[\]]+)\]$/.exec(rest)?.[1] ?? rest.slice(1);
  return /^\p{L}/u.test(part) ? part : rest;
}

/** The folded modules after one was folded, or unfolded; its own modules stay as they were. */
export function toggled(
  scene: Scene,
  folded: readonly string[] | null,
  module: number,
): readonly string[] {
  const { name } = scene.modules[module];
  const before = foldedNames(scene, folded);
  return before.includes(name) ? before.filter((other) => other !== name) : [...before, name];
}

/** The folded modules after all that hide this map were unfolded; null where none does. */
export const opened = (scene: Scene, folded: readonly string[] | null, map: number) =>
  openedFrom(scene, folded, scene.maps[map].module ?? null);

/** The same for all that hide a module, which itself stays as it is. */
export const openedAround = (scene: Scene, folded: readonly string[] | null, module: number) =>
  openedFrom(scene, folded, scene.modules[module].parent);

function openedFrom(
  scene: Scene,
  folded: readonly string[] | null,
  innermost: number | null,
): readonly string[] | null {
  const hiding = new Set<string>();
  const before = foldedNames(scene, folded);
  for (let at = innermost; at !== null; at = scene.modules[at].parent) {
    if (before.includes(scene.modules[at].name)) hiding.add(scene.modules[at].name);
  }
  return hiding.size === 0 ? null : before.filter((name) => !hiding.has(name));
}

/**
 * The folded modules of a network beside one whose folds changed: modules of both as there, its own
 * as they were. Null stands for those that are folded at first.
 */
export function foldedLike(
  there: Scene,
  folded: readonly string[] | null,
  here: Scene,
  before: readonly string[] | null,
): readonly string[] | null {
  if (folded === null) return null;
  const known = new Set(there.modules.map(({ name }) => name));
  const [theirs, ours] = [new Set(folded), new Set(foldedNames(here, before))];
  const names = here.modules.map(({ name }) => name);
  const found = names.filter((name) => (known.has(name) ? theirs : ours).has(name));
  const isSame = before !== null && found.length === ours.size && found.every((n) => ours.has(n));
  return isSame ? before : found;
}

/** How many columns are seen where all modules of a level are folded; level 0 has the outermost. */
export function levelsOf({ modules }: Scene): number[] {
  const levels: number[] = [];
  for (const { parent } of modules) levels.push(parent === null ? 0 : levels[parent] + 1);
  return levels;
}

/**
 * The folded modules one level further out or in than now; null where there is no such level. What
 * is seen may be a mixture of levels: in opens the outermost that are folded, out folds the
 * innermost that are open.
 */
export function stepped(scene: Scene, folding: Folding, by: -1 | 1): readonly string[] | null {
  const levels = levelsOf(scene);
  const deepest = Math.max(-1, ...levels);
  const closed = folding.columns.flatMap(({ module }) => (module === null ? [] : levels[module]));
  const open = folding.brackets.map(({ module }) => levels[module]);
  if (by > 0 ? closed.length === 0 : open.length === 0) return null;
  const level = by > 0 ? Math.min(...closed) + 1 : Math.max(...open);
  if (level > deepest) return [];
  return scene.modules.filter((_, at) => levels[at] >= level).map(({ name }) => name);
}

/** What is known of all links between two columns. */
export interface BundleFacts extends Found {
  readonly tests: number;
  /** How many of the tests chance alone brings below the cut's p-value. */
  readonly expected: number;
}

export function factsOf(scene: Scene, cut: Cut, { links }: Pick<Bundle, "links">): BundleFacts {
  let tests = 0;
  for (const link of links) tests += scene.links[link].tests;
  return { ...significantOn(scene, cut, links), tests, expected: tests * 10 ** cut.log10p };
}

/** How many edges were found on each bundle. */
export function foundOn(
  { links }: Scene,
  { columnOf }: Folding,
  bundles: Bundles,
  cut: Cut,
): Float64Array {
  const { significantPerLink: known, drawnPerLink: drawn } = cut;
  const { producer, consumer } = columnsOf(links);
  const found = new Float64Array(bundles.length);
  const add = (link: number, edges: number) => {
    const at = edges > 0 ? bundles.between(columnOf[producer[link]], columnOf[consumer[link]]) : -1;
    if (at >= 0) found[at] += edges;
  };
  // Of many links only those are known of which edges were sent.
  if (known) for (let link = 0; link < known.length; link++) add(link, known[link]);
  else for (const link of linksWithEdges(links)) add(link, drawn[link]);
  return found;
}

/** "12 significant, 0.3 by chance" */
export const factsInWords = ({ edges, atLeast, expected }: BundleFacts) =>
  `${atLeast ? "at least " : ""}${count(edges)} significant, ${expectation(expected)} by chance`;
