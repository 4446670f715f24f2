// What changed from one network to another: neurons that stay, come and go, and so do edges. Pure.

import { linksWithEdges } from "../wire/links/columns.js";
import type { Alikes, Matching } from "../wire/matchings.js";
import type { Neuron, Scene } from "../wire/scene.js";
import { mapOf } from "./tableRows.js";
import type { Cut } from "./threshold.js";

export type Fate = "same" | "new" | "gone";

/** What became of one neuron. */
export interface Change {
  readonly fate: Fate;
  /** Null where there is none; of a neuron that is new or gone, the nearest there. */
  readonly base: Neuron | null;
  readonly other: Neuron | null;
  /** The column of the base that it stands in. */
  readonly column: number;
  readonly value: number;
  readonly otherValue: number;
  readonly difference: number;
  readonly overlap: number;
  readonly log10p: number;
  /** Nothing is near it. */
  readonly ringed: boolean;
}

/** An edge between two changes, by their places in the list. */
export interface ChangedEdge {
  readonly from: number;
  readonly to: number;
  readonly weight: number;
}

export interface Differences {
  /** The largest differences first. */
  readonly changes: readonly Change[];
  readonly kept: readonly ChangedEdge[];
  readonly came: readonly ChangedEdge[];
  readonly went: readonly ChangedEdge[];
}

/** Null where the matching is of other scenes, as while another method is computed. */
export function changesOf(base: Scene, other: Scene, matching: Matching): Change[] | null {
  const { base: ours, other: theirs } = matching;
  const fits =
    ours.partner.length === base.singularValue.length &&
    theirs.partner.length === other.singularValue.length;
  if (!fits) return null;
  const columns = columnsOf(base, other, theirs);
  const changes: Change[] = [];
  for (let at = 0; at < theirs.partner.length; at++) {
    if (Number.isNaN(theirs.overlap[at])) continue;
    const there = neuronAt(other, at);
    const column = columns.get(there.map);
    if (column === undefined) continue;
    const near = theirs.nearest[at];
    const same = theirs.partner[at] >= 0;
    changes.push({
      fate: same ? "same" : "new",
      base: near >= 0 ? neuronAt(base, near) : null,
      other: there,
      column,
      ...values(same ? base.singularValue[near] : 0, other.singularValue[at]),
      ...measured(theirs, at),
    });
  }
  for (let at = 0; at < ours.partner.length; at++) {
    if (Number.isNaN(ours.overlap[at]) || ours.partner[at] >= 0) continue;
    const here = neuronAt(base, at);
    const near = ours.nearest[at];
    changes.push({
      fate: "gone",
      base: here,
      other: near >= 0 ? neuronAt(other, near) : null,
      column: here.map,
      ...values(base.singularValue[at], 0),
      ...measured(ours, at),
    });
  }
  return changes.sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference));
}

/** The significant edges of both between neurons that are compared, by what became of them. */
export function differencesOf(
  changes: readonly Change[],
  base: Scene,
  cut: Cut,
  other: Scene,
  otherCut: Cut,
): Differences {
  const places = (scene: Scene, side: "base" | "other", absent: Fate) => {
    const of = new Int32Array(scene.singularValue.length).fill(-1);
    changes.forEach((change, place) => {
      const neuron = change[side];
      if (neuron && change.fate !== absent) of[scene.maps[neuron.map].start + neuron.k] = place;
    });
    return of;
  };
  const before = edgesBetween(base, cut, places(base, "base", "new"), changes.length);
  const after = edgesBetween(other, otherCut, places(other, "other", "gone"), changes.length);
  const kept: ChangedEdge[] = [];
  const came: ChangedEdge[] = [];
  for (const [key, edge] of after) (before.has(key) ? kept : came).push(edge);
  const went = [...before].filter(([key]) => !after.has(key)).map(([, edge]) => edge);
  for (const edges of [kept, came, went]) edges.sort((a, b) => b.weight - a.weight);
  return { changes, kept, came, went };
}

function edgesBetween(scene: Scene, cut: Cut, place: Int32Array, changes: number) {
  const found = new Map<number, ChangedEdge>();
  for (const link of linksWithEdges(scene.links)) {
    const { producer, consumer, start } = scene.links[link];
    const [from, to] = [scene.maps[producer].start, scene.maps[consumer].start];
    for (let edge = start; edge < start + cut.drawnPerLink[link]; edge++) {
      const [m, n] = [place[from + scene.edgeM[edge]], place[to + scene.edgeN[edge]]];
      if (m < 0 || n < 0) continue;
      const key = m * changes + n;
      const weight = scene.edgeWeight[edge];
      if (weight > (found.get(key)?.weight ?? 0)) found.set(key, { from: m, to: n, weight });
    }
  }
  return found;
}

/** Which column of the base each of the other's is compared with. */
function columnsOf(base: Scene, other: Scene, { nearest }: Alikes): Map<number, number> {
  const columns = new Map<number, number>();
  const byName = new Map(base.maps.map(({ name }, at) => [name, at]));
  other.maps.forEach(({ start, neurons, name }, map) => {
    const at = nearest.subarray(start, start + neurons).find((near) => near >= 0);
    const column = at === undefined ? byName.get(name) : mapOf(base, at);
    if (column !== undefined) columns.set(map, column);
  });
  return columns;
}

function neuronAt(scene: Scene, at: number): Neuron {
  const map = mapOf(scene, at);
  return { map, k: at - scene.maps[map].start };
}

const values = (value: number, otherValue: number) => ({
  value,
  otherValue,
  difference: otherValue - value,
});

const measured = ({ overlap, log10p, alone }: Alikes, at: number) => ({
  overlap: overlap[at],
  log10p: log10p[at],
  ringed: alone[at] === 1,
});
