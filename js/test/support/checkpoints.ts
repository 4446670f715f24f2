// Scenes of one column, as the checkpoints of a timeline send them.

import { type MapPlan, sceneBytes } from "../../dev/synthetic.js";
import { decode, encode, type Tensor } from "../../src/wire/codec.js";
import { readScene, type Scene } from "../../src/wire/scene.js";

/** One column of neurons with these singular values and numbers, at a checkpoint. */
export function checkpointBytes(values: number[], identity: number[], name = "fc"): Uint8Array {
  const map: MapPlan = {
    name,
    kind: "linear",
    depth: 0,
    neurons: values.length,
    value: (k) => values[k],
    intensity: () => 1,
  };
  const { meta, arrays } = decode(sceneBytes("model", [map], []));
  const tensors = new Map<string, Tensor>(arrays);
  tensors.set("identity", { data: Int32Array.from(identity), shape: [identity.length] });
  return encode(meta, tensors);
}

export const checkpointScene = (values: number[], identity: number[], name?: string) =>
  readScene(checkpointBytes(values, identity, name)) as Scene;
