// The strongest path of significant edges (paper, section 5.1), by dynamic programming: what
// Python's engine/analysis/paths.py computes, here for the edges that travelled and through given
// neurons. And what else is highlighted for some neurons: their significant edges.

import { linksWithEdges } from "../wire/links/columns.js";
import type { Edge, Link, Neuron, Scene } from "../wire/scene.js";
import type { Cut } from "./threshold.js";

export interface StrongPath {
  /** From the first to the last. */
  readonly neurons: readonly Neuron[];
  readonly edges: readonly Edge[];
  /** The sum over its edges of the orders of magnitude by which their p-values lie below the cut. */
  readonly evidence: number;
}

/** For each neuron, the most evidence of a path on one side of it, and that path's nearest edge. */
interface Side {
  readonly evidence: Float64Array;
  readonly edge: Int32Array;
  readonly link: Int32Array;
}

/**
 * The path with the most evidence among those through one of the neurons, or among all where none
 * is given; null where no significant edge is on any. Backward links are left out, as in Python.
 */
export function strongestPath(
  scene: Scene,
  cut: Cut,
  through: readonly Neuron[] = [],
): StrongPath | null {
  const order = [...scene.maps].sort((a, b) => a.depth - b.depth);
  const place = new Map(order.map((map, at) => [map, at]));
  const placeOf = (map: number) => place.get(scene.maps[map]) as number;
  const ordered = Array.from(linksWithEdges(scene.links), (index) => ({
    link: scene.links[index],
    index,
  })).filter(({ link }) => !link.backward && placeOf(link.producer) < placeOf(link.consumer));
  // Every edge into a neuron has to be known before any that leaves it.
  ordered.sort((a, b) => placeOf(a.link.consumer) - placeOf(b.link.consumer));
  const before = gather(scene, cut, ordered, "m", "n");
  ordered.sort((a, b) => placeOf(b.link.producer) - placeOf(a.link.producer));
  const after = gather(scene, cut, ordered, "n", "m");

  let middle = -1;
  let most = 0;
  const consider = (neuron: number) => {
    const evidence = before.evidence[neuron] + after.evidence[neuron];
    if (evidence > most) {
      most = evidence;
      middle = neuron;
    }
  };
  for (const { map, k } of through) consider(scene.maps[map].start + k);
  if (through.length === 0) before.evidence.forEach((_, neuron) => void consider(neuron));
  return middle < 0 ? null : { ...follow(scene, before, after, middle), evidence: most };
}

/** Extends the best paths over the links in order, from the neurons `from` to those at `to`. */
function gather(
  scene: Scene,
  cut: Cut,
  links: readonly { link: Link; index: number }[],
  from: "m" | "n",
  to: "m" | "n",
): Side {
  const { maps, edgeM, edgeN } = scene;
  const neurons = scene.singularValue.length;
  const side: Side = {
    evidence: new Float64Array(neurons),
    edge: new Int32Array(neurons).fill(-1),
    link: new Int32Array(neurons).fill(-1),
  };
  const log10p = scene.log10p[cut.law];
  for (const { link, index } of links) {
    const [producer, consumer] = [maps[link.producer].start, maps[link.consumer].start];
    const [fromStart, fromEnd] = from === "m" ? [producer, edgeM] : [consumer, edgeN];
    const [toStart, toEnd] = to === "m" ? [producer, edgeM] : [consumer, edgeN];
    for (let edge = link.start; edge < link.start + cut.drawnPerLink[index]; edge++) {
      const end = toStart + toEnd[edge];
      // The p-value of the last significant edge may lie above its cut by a rounding.
      const evidence = Math.max(0, cut.log10p - log10p[edge]);
      const reached = side.evidence[fromStart + fromEnd[edge]] + evidence;
      if (reached <= side.evidence[end]) continue;
      side.evidence[end] = reached;
      side.edge[end] = edge;
      side.link[end] = index;
    }
  }
  return side;
}

function follow(scene: Scene, before: Side, after: Side, middle: number) {
  const edges: Edge[] = [];
  const walk = (side: Side, add: (edge: Edge) => void, other: "producer" | "consumer") => {
    let neuron = middle;
    while (side.edge[neuron] >= 0) {
      const [edge, link] = [side.edge[neuron], side.link[neuron]];
      const ends = { link, edge, m: scene.edgeM[edge], n: scene.edgeN[edge] };
      add(ends);
      const map = scene.maps[scene.links[link][other]];
      neuron = map.start + (other === "producer" ? ends.m : ends.n);
    }
  };
  walk(before, (edge) => edges.unshift(edge), "producer");
  walk(after, (edge) => edges.push(edge), "consumer");
  const [first] = edges;
  const neurons = edges.map(({ link, n }) => ({ map: scene.links[link].consumer, k: n }));
  return { edges, neurons: [{ map: scene.links[first.link].producer, k: first.m }, ...neurons] };
}

export interface Highlighted {
  readonly neurons: readonly Neuron[];
  /** How many of the drawn edges begin or end in one of them. */
  readonly edges: number;
  readonly path: StrongPath | null;
}

export function highlightedBy(
  scene: Scene,
  cut: Cut,
  neurons: readonly Neuron[],
  mask: Uint8Array,
): Highlighted {
  let edges = 0;
  forIncident(scene, cut, mask, () => edges++);
  return { neurons, edges, path: strongestPath(scene, cut, neurons) };
}

/** The drawn edges that begin or end in one of the neurons, strong ones first within each link. */
export function incidentEdges(scene: Scene, cut: Cut, neurons: readonly Neuron[]): Edge[] {
  const found: Edge[] = [];
  forIncident(scene, cut, maskOf(scene, neurons), (link, edge) => {
    found.push({ link, m: scene.edgeM[edge], n: scene.edgeN[edge], edge });
  });
  return found;
}

/** 1 at each of the neurons, among all of the scene's. */
export function maskOf({ maps, singularValue }: Scene, neurons: readonly Neuron[]): Uint8Array {
  const mask = new Uint8Array(singularValue.length);
  for (const { map, k } of neurons) mask[maps[map].start + k] = 1;
  return mask;
}

function forIncident(
  { maps, links, edgeM, edgeN }: Scene,
  cut: Cut,
  mask: Uint8Array,
  use: (link: number, edge: number) => void,
): void {
  links.forEach(({ producer, consumer, start }, link) => {
    const [from, to] = [maps[producer].start, maps[consumer].start];
    const end = start + cut.drawnPerLink[link];
    for (let edge = start; edge < end; edge++) {
      if (mask[from + edgeM[edge]] || mask[to + edgeN[edge]]) use(link, edge);
    }
  });
}
