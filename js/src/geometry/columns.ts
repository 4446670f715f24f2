// What is seen as one column: a map's neurons, or those of all maps of a folded module. Where columns
// stand by the depth of their maps, and which of them a module that is not folded spans.

import { endsOfAll, type Links, sortedBy } from "../wire/links.js";
import type { Scene } from "../wire/scene.js";

export interface Column {
  /** The module that is folded here; null where it is a map by itself. */
  readonly module: number | null;
  readonly maps: readonly number[];
  /** Qualified, of the module or the map. */
  readonly name: string;
  /** What stands beneath it, without what a bracket around it says. */
  readonly label: string;
}

/** A module that is not folded, over the columns that are its own. */
export interface Bracket {
  readonly module: number;
  /** Without what the bracket around it says. */
  readonly label: string;
  /** Its first and its last column. */
  readonly first: number;
  readonly last: number;
  /** 0 for one that has no other within it; its bracket is the nearest to the axis. */
  readonly row: number;
}

export interface Folding {
  /** From left to right. */
  readonly columns: readonly Column[];
  /** The column that each map stands in. */
  readonly columnOf: Int32Array;
  readonly brackets: readonly Bracket[];
  /** Of brackets beneath each other. */
  readonly rows: number;
}

export type Shape = "line" | "arc" | "loop" | "inner";

/** Parallel branches stand this far apart, where maps of successive depths stand 1 apart. */
const BRANCH_GAP = 0.5;

const plain = new WeakMap<Scene, Folding>();

/** Every map a column of its own. */
export function unfolded(scene: Scene): Folding {
  const known = plain.get(scene);
  if (known) return known;
  const columns = scene.maps.map(({ name, label }, map) => ({
    module: null,
    maps: [map],
    name,
    label,
  }));
  const made = arranged(scene, columns);
  plain.set(scene, made);
  return made;
}

/** The columns from left to right, by depth, then in the order of their maps. */
export function arranged(scene: Scene, columns: readonly Column[]): Folding {
  const depth = new Map(columns.map((column) => [column, depthOf(scene, column)]));
  const at = (column: Column) => depth.get(column) as number;
  const sorted = [...columns].sort((a, b) => at(a) - at(b) || a.maps[0] - b.maps[0]);
  const columnOf = new Int32Array(scene.maps.length);
  sorted.forEach(({ maps }, index) => {
    for (const map of maps) columnOf[map] = index;
  });
  return { columns: sorted, columnOf, brackets: [], rows: 0 };
}

const depthOf = ({ maps }: Scene, column: Column) =>
  column.maps.reduce((least, map) => Math.min(least, maps[map].depth), Number.POSITIVE_INFINITY);

/** Each map's place: 1 from depth to depth, less between the parallel branches of one depth. */
export function columnPositions(scene: Scene, folding: Folding = unfolded(scene)): number[] {
  const ranks = depthRanks(scene, folding);
  let place = 0;
  const places = folding.columns.map((_, index) => {
    if (index > 0) place += ranks[index] === ranks[index - 1] ? BRANCH_GAP : 1;
    return place;
  });
  return Array.from(folding.columnOf, (column) => places[column]);
}

/** Each column's depth as its rank among the depths that occur. */
function depthRanks(scene: Scene, { columns }: Folding): number[] {
  let [rank, last] = [-1, Number.NaN];
  return columns.map((column) => {
    const depth = depthOf(scene, column);
    if (depth !== last) rank += 1;
    last = depth;
    return rank;
  });
}

const courses = new WeakMap<
  Folding,
  { readonly links: Scene["links"]; readonly shapes: Shape[] }
>();

/** The course of every link. */
export function shapesOf(scene: Scene, folding: Folding): readonly Shape[] {
  const before = courses.get(folding);
  if (before?.links === scene.links) return before.shapes;
  const ranks = depthRanks(scene, folding);
  const { producer, consumer } = endsOfAll(scene.links);
  const { columnOf, columns } = folding;
  const shapes = new Array<Shape>(producer.length);
  for (let link = 0; link < shapes.length; link++) {
    const [from, to] = [columnOf[producer[link]], columnOf[consumer[link]]];
    if (from === to) shapes[link] = columns[from].module === null ? "loop" : "inner";
    else shapes[link] = ranks[to] - ranks[from] === 1 ? "line" : "arc";
  }
  courses.set(folding, { links: scene.links, shapes });
  return shapes;
}

export interface Bends {
  readonly above: boolean;
  readonly below: boolean;
}

const bent = new WeakMap<readonly Shape[], Bends>();

/** Whether links bend above the data, those that skip columns, and below it, those that run back. */
export function bends(scene: Scene, folding: Folding = unfolded(scene)): Bends {
  const shapes = shapesOf(scene, folding);
  const before = bent.get(shapes);
  if (before) return before;
  let [above, below] = [false, false];
  const { producer, consumer, backward } = endsOfAll(scene.links);
  const { columnOf } = folding;
  for (let link = 0; link < shapes.length && !(above && below); link++) {
    if (shapes[link] !== "arc") continue;
    if (backward[link] || columnOf[consumer[link]] < columnOf[producer[link]]) below = true;
    else above = true;
  }
  bent.set(shapes, { above, below });
  return { above, below };
}

/** The links between two columns, or within one that is folded. */
export interface Bundle {
  readonly from: number;
  readonly to: number;
  /** In the order of the scene. */
  readonly links: Links;
}

const bundled = new WeakMap<
  Folding,
  { readonly links: Scene["links"]; readonly found: Bundle[] }
>();

/** All links, bundle by bundle from left to right; those by construction are no part of one. */
export function bundlesOf(scene: Scene, folding: Folding): readonly Bundle[] {
  const before = bundled.get(folding);
  if (before?.links === scene.links) return before.found;
  const { producer, consumer, tested } = endsOfAll(scene.links);
  const { columnOf, columns } = folding;
  const many = columns.length;
  const pair = new Uint32Array(producer.length);
  for (let link = 0; link < pair.length; link++) {
    pair[link] = columnOf[producer[link]] * many + columnOf[consumer[link]];
  }
  const sorted = sortedByPair(tested, pair, many);
  const found: Bundle[] = [];
  for (let start = 0, end = 0; start < sorted.length; start = end) {
    const at = pair[sorted[start]];
    while (end < sorted.length && pair[sorted[end]] === at) end++;
    const links = sorted.subarray(start, end);
    found.push({ from: Math.floor(at / many), to: at % many, links });
  }
  bundled.set(folding, { links: scene.links, found });
  return found;
}

/** Pairs of columns are counted in a table where it is not far larger than what is counted. */
const SPARSE = 4;
const SMALL = 2 ** 16;

function sortedByPair(links: Int32Array, pair: Uint32Array, many: number): Int32Array {
  if (many * many <= Math.max(SMALL, SPARSE * links.length)) {
    return sortedBy(links, pair, many * many);
  }
  const to = pair.map((at) => at % many);
  const from = pair.map((at) => Math.floor(at / many));
  return sortedBy(sortedBy(links, to, many), from, many);
}

/** The place of the bundle that a link is in; -1 for one by construction. */
export const bundleAt = (bundles: readonly Bundle[], link: number) =>
  bundles.findIndex(({ links }) => links.includes(link));
