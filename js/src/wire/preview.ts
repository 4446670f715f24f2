// What Python sends of a graph before there is a scene: columns with the singular values that are
// known so far, and who feeds whom. It is drawn as a scene without edges.

import { type Bytes, decode } from "./codec.js";
import { CONTRACT } from "./contract.js";
import { columnsOf, readEnds } from "./links/columns.js";
import {
  checkMaps,
  headOf,
  type LinearMap,
  type Link,
  reader,
  type Scene,
  SceneError,
} from "./scene.js";

export const [WAITING, PREVIEW, EXACT] = [0, 1, 2];

export interface Preview {
  /** Nothing of it is tested: it has no edges and no stops. */
  readonly scene: Scene;
  /** Of each map whether nothing is known, its leading singular values nearly, or all of them. */
  readonly states: Uint8Array;
  /** How many maps are known whole. */
  readonly exact: number;
}

/** Null where there is none. */
export function readPreview(source: Bytes | null | undefined): Preview | null {
  if (!source || source.byteLength === 0) return null;
  const container = decode(source);
  const meta = container.meta as Partial<Scene> | null;
  if (!meta || !Array.isArray(meta.maps)) throw new SceneError("the preview lists no maps");
  const maps: readonly LinearMap[] = meta.maps;
  const array = reader(container);
  const singularValue = array("singular_value", Float64Array);
  const neurons = singularValue.length;
  const states = array("state", Uint8Array, maps.length);
  const scene = {
    ...headOf(meta, maps),
    damaged: [],
    unlinked: "",
    links: linksOf(array, maps.length),
    tests: 0,
    modes: [],
    laws: CONTRACT.laws,
    singularValue,
    intensity: new Float32Array(neurons),
    log10pAdjusted: null,
    hue: new Float32Array(neurons),
    feeds: maps.map(() => true),
    isNull: array("null", Uint8Array, neurons),
    identity: null,
    edgeM: new Uint32Array(),
    edgeN: new Uint32Array(),
    edgeWeight: new Float32Array(),
    log10p: {} as Scene["log10p"],
    stops: {} as Scene["stops"],
    survival: {} as Scene["survival"],
    largestWeight: 1,
  } satisfies Scene;
  checkMaps(scene);
  return { scene, states, exact: states.filter((state) => state === EXACT).length };
}

function linksOf(column: ReturnType<typeof reader>, maps: number): readonly Link[] {
  const links = readEnds(column);
  const { producer, consumer } = columnsOf(links);
  const isThere = (map: number) => map < maps;
  if (!producer.every(isThere) || !consumer.every(isThere)) {
    throw new SceneError("a link names a map that is not there");
  }
  return links;
}
