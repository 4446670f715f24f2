// Which neurons of several networks are the same; svr_widget/widget/wire/matchings.py writes it.
// Neurons are numbered as in the scenes of their networks. The first network is the base.

import { type Bytes, type Data, decode } from "./codec.js";

/** Of every neuron of one side what it has on the other. */
export interface Alikes {
  /** Its partner; -1 for none. */
  readonly partner: Int32Array;
  /** Its partner, or where it has none the nearest; -1 for none. */
  readonly nearest: Int32Array;
  /** With that one; NaN where the neuron takes no part. */
  readonly overlap: Float32Array;
  readonly log10p: Float64Array;
  /** 1 where it is new or gone: nothing is near, or no nearer than by chance. */
  readonly alone: Uint8Array;
}

export interface Matching {
  readonly base: Alikes;
  readonly other: Alikes;
}

/** Of each network but the base; null for one without a map in common, and before any was sent. */
export function readMatchings(source: Bytes | null | undefined): readonly (Matching | null)[] {
  if (!source || source.byteLength === 0) return [];
  const { meta, arrays } = decode(source);
  const { matched } = meta as { matched: readonly boolean[] };
  const array = <T extends Data>(name: string, type: new (n: number) => T): T => {
    const data = arrays.get(name)?.data;
    if (!(data instanceof type)) throw new Error(`array "${name}" is missing or ill-typed`);
    return data;
  };
  const alikes = (side: "base" | "other", place: number): Alikes => ({
    partner: array(`partner_${side}_${place}`, Int32Array),
    nearest: array(`nearest_${side}_${place}`, Int32Array),
    overlap: array(`overlap_${side}_${place}`, Float32Array),
    log10p: array(`log10_p_${side}_${place}`, Float64Array),
    alone: array(`alone_${side}_${place}`, Uint8Array),
  });
  return matched.map((there, at) =>
    there ? { base: alikes("base", at + 1), other: alikes("other", at + 1) } : null,
  );
}
