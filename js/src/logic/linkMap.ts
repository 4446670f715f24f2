// Who speaks to whom, as a picture: rows are consumers, columns producers, folded as the graph is; or
// the heads of attention, a row a layer. A cell is as dark as what was found there beyond chance.

import type { Bundles } from "../geometry/bundles.js";
import type { Folding } from "../geometry/columns.js";
import { columnsOf, type Links } from "../wire/links/columns.js";
import type { Scene } from "../wire/scene.js";
import { type BundleFacts, factsOf } from "./folding.js";
import { type Cut, exceedsChance } from "./threshold.js";

/** Links that share a cell, and what was found on them. */
export interface LinkCell extends BundleFacts {
  readonly row: number;
  readonly column: number;
  readonly links: Links;
  /** Significant edges beyond those that chance gives; never below 0. */
  readonly beyond: number;
  /** Whether that is more than chance gives. */
  readonly isClear: boolean;
}

export interface LinkMap {
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** One at most in each place; where no link is there is none. */
  readonly cells: readonly LinkCell[];
  /** The most that is beyond chance in any of them. */
  readonly most: number;
}

/** All links, as they are folded. */
export function linkMapOf(scene: Scene, cut: Cut, folding: Folding, bundles: Bundles): LinkMap {
  const names = folding.columns.map(({ module, maps }) =>
    module === null ? scene.maps[maps[0]].label : scene.modules[module].label,
  );
  const cells = Array.from(bundles, ({ from, to, links }) => cellOf(scene, cut, to, from, links));
  return { rows: names, columns: names, cells, most: mostOf(cells) };
}

const HEAD = /^(.*)\[(OV|QK)\.(\d+)\]$/;

/** The kinds of products of heads that a graph shows: what they write and what they compare. */
export function headKinds({ maps }: Scene): ("OV" | "QK")[] {
  const kinds = new Set(maps.map(({ name }) => HEAD.exec(name)?.[2]));
  return (["OV", "QK"] as const).filter((kind) => kinds.has(kind));
}

/** The heads, a row a layer: what was found on all links of each, from it and to it. */
export function headMapOf(scene: Scene, cut: Cut, kind: "OV" | "QK"): LinkMap {
  const layers: string[] = [];
  const placeOf = new Map<number, readonly [row: number, column: number]>();
  let heads = 0;
  scene.maps.forEach(({ name, label }, map) => {
    const found = HEAD.exec(name);
    if (found?.[2] !== kind) return;
    const layer = HEAD.exec(label)?.[1] ?? found[1];
    if (!layers.includes(layer)) layers.push(layer);
    placeOf.set(map, [layers.indexOf(layer), Number(found[3])]);
    heads = Math.max(heads, Number(found[3]) + 1);
  });
  const links = new Map<number, number[]>([...placeOf.keys()].map((map) => [map, []]));
  const { producer, consumer, tested } = columnsOf(scene.links);
  for (const link of tested) {
    links.get(producer[link])?.push(link);
    if (consumer[link] !== producer[link]) links.get(consumer[link])?.push(link);
  }
  const cells = [...placeOf].map(([map, [row, column]]) =>
    cellOf(scene, cut, row, column, links.get(map) ?? []),
  );
  const columns = Array.from({ length: heads }, (_, head) => String(head));
  return { rows: layers, columns, cells, most: mostOf(cells) };
}

function cellOf(scene: Scene, cut: Cut, row: number, column: number, links: Links): LinkCell {
  const facts = factsOf(scene, cut, { links });
  const beyond = Math.max(0, facts.edges - facts.expected);
  const isClear = exceedsChance(cut.mode, facts.edges, facts.expected);
  return { ...facts, row, column, links, beyond, isClear };
}

const mostOf = (cells: readonly LinkCell[]) =>
  cells.reduce((most, { beyond }) => Math.max(most, beyond), 0);

/** How dark a cell is, from 0 to 1: by orders of magnitude, so that few edges are seen beside many. */
export const darknessOf = (beyond: number, most: number) =>
  most > 0 ? Math.log1p(beyond) / Math.log1p(most) : 0;

/**
 * The darkest value in each of `width` x `height` pixels, row by row, by any measure of cells; -1
 * where there is no link. Cells smaller than a pixel share it, so none is lost.
 */
export function pixelsOf(
  { rows, columns, cells }: LinkMap,
  width: number,
  height: number,
  measure: (cell: LinkCell) => number,
): Float32Array {
  const pixels = new Float32Array(width * height).fill(-1);
  const range = (at: number, many: number, room: number) => {
    const from = Math.floor((at * room) / many);
    return [from, Math.max(from + 1, Math.floor(((at + 1) * room) / many))];
  };
  for (const cell of cells) {
    const value = measure(cell);
    const [left, right] = range(cell.column, columns.length, width);
    const [top, bottom] = range(cell.row, rows.length, height);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        pixels[y * width + x] = Math.max(pixels[y * width + x], value);
      }
    }
  }
  return pixels;
}
