// Networks of every shape that a link graph can take: skips, branches, all pairs, loops, one map.

import { normal, randomFrom } from "./random.js";
import { type LinkPlan, type MapPlan, sceneBytes } from "./synthetic.js";

interface Plan {
  readonly maps: MapPlan[];
  /** Returns the new map's index. */
  map(name: string, depth: number, neurons: number, kind?: string): number;
}

function plan(): Plan {
  const maps: MapPlan[] = [];
  return {
    maps,
    map(name, depth, neurons, kind = "convolution") {
      const index = maps.length;
      const top = 1.7 + 0.9 * Math.sin(index * 1.3);
      maps.push({
        name,
        kind,
        neurons,
        depth,
        kernel: kind === "convolution" ? [3, 3] : [],
        value: (k) => 0.15 + top * Math.exp(-k / (neurons / 4)),
        intensity: (k) => Math.exp(-k / (neurons / 5)),
      });
      return index;
    },
  };
}

/** Edges between leading neurons, stronger the nearer to the top, and a few anywhere. */
function someEdges(seed: number, maps: MapPlan[], pair: readonly [number, number], many: number) {
  const random = randomFrom(seed);
  const [columns, rows] = pair.map((map) => maps[map].neurons);
  const edges = new Map<number, LinkPlan["edges"][number]>();
  const wanted = Math.min(many, (rows * columns) >> 1);
  while (edges.size < wanted) {
    const share = Math.min(0.999, Math.abs(normal(random)) * 0.3);
    const m = Math.floor(share * columns);
    const n = Math.floor(Math.min(0.999, Math.abs(share + 0.15 * normal(random))) * rows);
    const weight = Math.min(0.97, (0.12 + 0.5 * random() ** 4) * (1.3 - share));
    edges.set(n * columns + m, { m, n, weight });
  }
  return [...edges.values()];
}

function scene(
  model: string,
  maps: MapPlan[],
  pairs: readonly (readonly [number, number])[],
  many = 60,
): Uint8Array {
  const same = (pair: readonly [number, number]) => (other: readonly [number, number]) =>
    other[0] === pair[0] && other[1] === pair[1];
  const links: LinkPlan[] = pairs.map((pair, index) => ({
    producer: pair[0],
    consumer: pair[1],
    number: pairs.slice(0, index).filter(same(pair)).length,
    backward: maps[pair[1]].depth <= maps[pair[0]].depth,
    channels: Math.min(maps[pair[0]].neurons, maps[pair[1]].neurons),
    edges: someEdges(index + 1, maps, pair, many),
  }));
  return sceneBytes(model, maps, links);
}

/** A residual network of two maps a block: what is added reaches every later block of its stage. */
export function resnet(): Uint8Array {
  const { maps, map } = plan();
  const pairs: [number, number][] = [];
  let depth = 0;
  let writers = [map("conv1", depth++, 48)];
  for (let stage = 1; stage <= 4; stage++) {
    for (let block = 0; block < 2; block++) {
      const name = `layer${stage}.${block}`;
      const first = map(`${name}.conv1`, depth, 64);
      for (const writer of writers) pairs.push([writer, first]);
      if (stage > 1 && block === 0) {
        const shortcut = map(`${name}.downsample.0`, depth, 48);
        for (const writer of writers) pairs.push([writer, shortcut]);
        writers = [shortcut];
      }
      const second = map(`${name}.conv2`, depth + 1, 64);
      pairs.push([first, second]);
      writers = [...writers, second];
      depth += 2;
    }
  }
  const head = map("fc", depth, 40, "linear");
  for (const writer of writers) pairs.push([writer, head]);
  return scene("resnet18", maps, pairs);
}

/** Four branches side by side, joined and parted again, four times. */
export function branches(): Uint8Array {
  const { maps, map } = plan();
  const pairs: [number, number][] = [];
  let ends = [map("stem", 0, 32)];
  for (let block = 0; block < 4; block++) {
    const at = 1 + 2 * block;
    const next: number[] = [];
    for (const [branch, size] of [24, 32, 24, 16].entries()) {
      const name = `mixed${block}.branch${branch}`;
      const first = map(`${name}.0`, at, size);
      for (const end of ends) pairs.push([end, first]);
      if (branch % 2 === 0) next.push(first);
      else {
        const second = map(`${name}.1`, at + 1, size);
        pairs.push([first, second]);
        next.push(second);
      }
    }
    ends = next;
  }
  const head = map("fc", 9, 20, "linear");
  for (const end of ends) pairs.push([end, head]);
  return scene("inception", maps, pairs, 25);
}

/** Down and up again, each level joined to its mirror image. */
export function unet(): Uint8Array {
  const { maps, map } = plan();
  const pairs: [number, number][] = [];
  const downs: number[] = [];
  let last: number | null = null;
  let depth = 0;
  const add = (name: string, size: number, kind?: string) => {
    const index = map(name, depth++, size, kind);
    if (last !== null) pairs.push([last, index]);
    last = index;
    return index;
  };
  for (let level = 0; level < 4; level++) {
    add(`down.${level}.conv1`, 32 + 8 * level);
    downs.push(add(`down.${level}.conv2`, 32 + 8 * level));
  }
  add("middle.conv", 72);
  for (let level = 3; level >= 0; level--) {
    add(`up.${level}.transpose`, 32 + 8 * level, "transposed convolution");
    pairs.push([downs[level], add(`up.${level}.conv1`, 32 + 8 * level)]);
    add(`up.${level}.conv2`, 32 + 8 * level);
  }
  add("head", 6);
  return scene("unet", maps, pairs);
}

/** Every map that writes into the residual stream is linked to every later one that reads it. */
export function transformer(layers = 12, many = 24): Uint8Array {
  const { maps, map } = plan();
  const pairs: [number, number][] = [];
  const writers = [map("wte", 0, 64, "embedding")];
  let depth = 1;
  const read = (reader: number) => {
    for (const writer of writers) pairs.push([writer, reader]);
  };
  for (let layer = 0; layer < layers; layer++) {
    const name = `h.${layer}`;
    for (const part of ["q", "k", "v"])
      read(map(`${name}.attn.c_attn[${part}]`, depth, 64, "attention"));
    const out = map(`${name}.attn.c_proj`, depth + 1, 64, "attention");
    pairs.push([out - 1, out]);
    writers.push(out);
    const up = map(`${name}.mlp.c_fc`, depth + 2, 64, "linear");
    read(up);
    const down = map(`${name}.mlp.c_proj`, depth + 3, 64, "linear");
    pairs.push([up, down]);
    writers.push(down);
    depth += 4;
  }
  read(map("lm_head", depth, 64, "embedding"));
  return scene(`gpt2-like, ${layers} layers`, maps, pairs, many);
}

/**
 * The same with each head's products as columns. Every writer feeds every later reader, or with
 * `near` those of its own layer and the next: of thousands of columns all pairs are millions.
 */
export function heads(layers = 12, each = 12, neurons = 64, near = false): Uint8Array {
  const { maps, map } = plan();
  const pairs: [number, number][] = [];
  const writers = [map("transformer.wte", 0, 64, "embedding")];
  let from = 0;
  let depth = 1;
  const read = (reader: number) => {
    for (const writer of near ? writers.slice(from) : writers) pairs.push([writer, reader]);
  };
  for (let layer = 0; layer < layers; layer++) {
    const name = `transformer.h.${layer}`;
    const before = writers.length;
    const found: number[] = [];
    for (let head = 0; head < each; head++) {
      if (!near) read(map(`${name}.attn[QK.${head}]`, depth, neurons, "attention"));
      const out = map(`${name}.attn[OV.${head}]`, depth, neurons, "attention");
      read(out);
      found.push(out);
    }
    writers.push(...found);
    const up = map(`${name}.mlp.c_fc`, depth + 1, 64, "linear");
    read(up);
    const down = map(`${name}.mlp.c_proj`, depth + 2, 64, "linear");
    pairs.push([up, down]);
    writers.push(down);
    from = before;
    depth += 3;
  }
  read(map("lm_head", depth, 64, "embedding"));
  const random = randomFrom(7);
  const links: LinkPlan[] = pairs.map(([producer, consumer], index) => ({
    producer,
    consumer,
    channels: 64,
    edges:
      random() < 600 / pairs.length + 0.01
        ? someEdges(index + 1, maps, [producer, consumer], 12)
        : [],
  }));
  return sceneBytes(`gpt2-like, ${maps.length} columns`, maps, links);
}

/** A recurrent layer whose gates feed themselves and one another. */
export function recurrent(): Uint8Array {
  const { maps, map } = plan();
  const input = map("embedding", 0, 32, "embedding");
  const pairs: [number, number][] = [];
  const gates = ["i", "f", "g", "o"].map((gate) => map(`rnn.ih[${gate}]`, 1, 32, "linear"));
  for (const gate of gates) pairs.push([input, gate]);
  const hidden = map("rnn.hh", 2, 48, "linear");
  for (const gate of gates) pairs.push([gate, hidden]);
  pairs.push([hidden, hidden], [hidden, gates[0]]);
  const head = map("head", 3, 12, "linear");
  pairs.push([hidden, head]);
  return scene("recurrent", maps, pairs);
}

/** Two maps joined by three links, as where the branches between them have no map of their own. */
export function parallel(): Uint8Array {
  const { maps, map } = plan();
  const [stem, mixed, head] = [map("stem", 0, 32), map("mixed", 1, 48), map("fc", 2, 10, "linear")];
  const pairs: [number, number][] = [
    [stem, mixed],
    [stem, mixed],
    [stem, mixed],
    [mixed, head],
    [stem, head],
  ];
  return scene("parallel branches", maps, pairs);
}

/** A plain chain of so many maps. */
export function chain(many: number, neurons = 40): Uint8Array {
  const { maps, map } = plan();
  const pairs: [number, number][] = [];
  for (let depth = 0; depth < many; depth++) {
    map(`features.${depth}`, depth, neurons);
    if (depth > 0) pairs.push([depth - 1, depth]);
  }
  return scene(`chain of ${many}`, maps, pairs);
}
