// What is seen as one column: a map's neurons, or those of all maps of a folded module. Where columns
// stand by the depth of their maps, and which of them a module that is not folded spans.

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
  /** Each column's depth as its rank among the depths that occur. */
  readonly ranks: Int32Array;
  readonly brackets: readonly Bracket[];
  /** Of brackets beneath each other. */
  readonly rows: number;
}

/** Whether there is a folded module, or a bracket over an open one. */
export const hasModulesInSight = ({ rows, columns }: Folding): boolean =>
  rows > 0 || columns.some(({ module }) => module !== null);

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
  const ranks = new Int32Array(sorted.length);
  for (let index = 1; index < sorted.length; index++) {
    const isDeeper = at(sorted[index]) !== at(sorted[index - 1]);
    ranks[index] = ranks[index - 1] + (isDeeper ? 1 : 0);
  }
  return { columns: sorted, columnOf, ranks, brackets: [], rows: 0 };
}

const depthOf = ({ maps }: Scene, column: Column) =>
  column.maps.reduce((least, map) => Math.min(least, maps[map].depth), Number.POSITIVE_INFINITY);

/** Each map's place: 1 from depth to depth, less between the parallel branches of one depth. */
export function columnPositions(scene: Scene, folding: Folding = unfolded(scene)): number[] {
  const { ranks } = folding;
  let place = 0;
  const places = folding.columns.map((_, index) => {
    if (index > 0) place += ranks[index] === ranks[index - 1] ? BRANCH_GAP : 1;
    return place;
  });
  return Array.from(folding.columnOf, (column) => places[column]);
}

/** The course of what leads from one column to another. */
export function shapeBetween({ columns, ranks }: Folding, from: number, to: number): Shape {
  if (from === to) return columns[from].module === null ? "loop" : "inner";
  return ranks[to] - ranks[from] === 1 ? "line" : "arc";
}

/** The course of a link. */
export const shapeOf = (
  folding: Folding,
  { producer, consumer }: { readonly producer: number; readonly consumer: number },
): Shape => shapeBetween(folding, folding.columnOf[producer], folding.columnOf[consumer]);
