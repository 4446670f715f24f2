// The words beneath a matrix: what is pointed at, else what is seen.

import { count, pValue, significant } from "../../logic/format.js";
import type { Hover, Target } from "../../logic/linkedHover.js";
import type { Facts } from "../../logic/matrices.js";
import { type Frame, isSingle, type Pair } from "../../logic/tiles.js";
import { entered } from "../../wire/links/names.js";
import type { Scene } from "../../wire/scene.js";
import { type Child, nameOf } from "../kit/dom.js";

export function describeTarget(
  scene: Scene,
  facts: Facts,
  target: Target | null,
  hover: Hover | null,
  frame: Frame,
  largest: Child,
): Child[] {
  const link = scene.links[facts.link];
  const to = entered(scene.maps[link.consumer].label, link);
  const column = (range: Pair) => [nameOf(scene.maps[link.producer].label), ` · ${span(range)}`];
  const row = (range: Pair) =>
    facts.which === "output" ? [`channel ${span(range)}`] : [nameOf(to), ` · ${span(range)}`];
  if (target?.cell) {
    const { cell } = target;
    const value = `${isSingle(cell) ? "" : "at most "}${significant(cell.value, 3)}`;
    const p = cell.log10p === null ? "" : `, p ${pValue(cell.log10p)}`;
    return [...column(cell.columns), " → ", ...row(cell.rows), `: ${value}${p}`];
  }
  const sigma = (values: Float64Array | null, at: number) =>
    values ? `: σ ${significant(values[at])}` : "";
  if (target && target.column !== null) {
    return [...column([target.column, target.column + 1]), sigma(facts.columns, target.column)];
  }
  if (target && target.row !== null) {
    return [...row([target.row, target.row + 1]), sigma(facts.rows, target.row)];
  }
  if (hover?.kind === "edge" && hover.link === facts.link && facts.which === "adjacency") {
    const { m, n } = hover;
    const value = significant(hover.weight, 3);
    return [...column([m, m + 1]), " → ", ...row([n, n + 1]), `: ${value}`];
  }
  const { through } = link;
  const between =
    facts.which !== "output" && through.length > 0 ? ` · through ${through.join("; ")}` : "";
  return [seen(facts, frame), largest, ` ${significant(facts.max, 2)}${between}`];
}

/** "7", or "8 to 15": the neurons [from, to). */
const span = ([from, to]: Pair) =>
  to - from === 1 ? count(from) : `${count(from)} to ${count(to - 1)}`;

/** "rows 0 to 39 of 4,096, columns 8 to 47 of 4,096; " where that is not all. */
function seen({ shape }: Facts, { zoom, x, y }: Frame): string {
  if (zoom === 1) return "";
  const part = (noun: string, from: number, entries: number) => {
    const first = Math.floor(from * entries + 1e-9);
    const end = Math.min(entries, Math.ceil((from + 1 / zoom) * entries - 1e-9));
    return `${noun} ${span([first, Math.max(first + 1, end)])} of ${count(entries)}`;
  };
  return `${part("rows", y, shape[0])}, ${part("columns", x, shape[1])}; `;
}
