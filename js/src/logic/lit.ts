// What lights up with some neurons: their significant edges, and the strongest path through them.

import type { Edge, Neuron, Scene } from "../wire/scene.js";
import { type StrongPath, strongestPath } from "./strongestPath.js";
import type { Cut } from "./threshold.js";

export interface Lit {
  readonly neurons: readonly Neuron[];
  /** How many of the drawn edges begin or end in one of them. */
  readonly edges: number;
  readonly path: StrongPath | null;
}

export function litBy(scene: Scene, cut: Cut, neurons: readonly Neuron[], mask: Uint8Array): Lit {
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
