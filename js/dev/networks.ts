// Networks to look at: the paper's figures 2 and 5a in likeness, branches, recurrence, nothing.

import { normal, randomFrom } from "./random.js";
import { blockEdges, type LinkPlan, type MapPlan, sceneBytes } from "./synthetic.js";

const sizes = (maps: MapPlan[], producer: number, consumer: number): [number, number] => [
  maps[consumer].neurons,
  maps[producer].neurons,
];

/** Figure 2: [784, 40, 40, 40, 10], before or after training. */
export function mlp(trained: boolean): Uint8Array {
  const random = randomFrom(trained ? 2 : 1);
  const maps: MapPlan[] = [40, 40, 40, 10].map((neurons, depth) => {
    const jitter = Array.from({ length: neurons }, () => random());
    const top = trained ? [3.4, 2.7, 2.6, 2.2][depth] : [0.7, 1.12, 1.12, 0.8][depth];
    const edge = trained ? 0.95 : top;
    return {
      name: `fc${depth + 1}`,
      kind: "linear",
      neurons,
      depth,
      value: (k) =>
        trained && k < 10
          ? top - (top - 1.1) * (k / 10) ** 0.7 + 0.04 * jitter[k]
          : edge * (depth === 0 ? 1 - 0.45 * (k / neurons) : 1 - 0.97 * (k / neurons)) +
            0.005 * jitter[k],
      intensity: (k) =>
        depth === 3
          ? 1
          : trained
            ? k < 10
              ? 1 - 0.03 * k
              : 0.05 * jitter[k]
            : 0.2 + 0.8 * jitter[k],
    };
  });
  const links: LinkPlan[] = [0, 1, 2].map((producer) => ({
    producer,
    consumer: producer + 1,
    channels: 40,
    edges: blockEdges(
      random,
      sizes(maps, producer, producer + 1),
      40,
      trained ? [10, 10] : [0, 0],
      0.16,
    ),
  }));
  return sceneBytes(trained ? "mnist-mlp" : "mnist-mlp, untrained", maps, links);
}

/** A tied embedding and head, first among the links, with a map between; both have null neurons. */
export function tied(through: string[] = ["add"]): Uint8Array {
  const random = randomFrom(5);
  const maps: MapPlan[] = ["embed", "mlp", "head"].map((name, depth) => ({
    name,
    kind: depth === 0 ? "embedding" : "linear",
    depth,
    neurons: 24,
    nulls: depth === 1 ? 0 : 2,
    value: (k) => (depth === 1 ? 1 - k / 30 : 3 - k / 12),
    intensity: () => 0.5,
  }));
  const pairs = [
    [0, 2],
    [0, 1],
    [1, 2],
  ];
  const links: LinkPlan[] = pairs.map(([producer, consumer], index) => ({
    producer,
    consumer,
    channels: 24,
    byConstruction: index === 0,
    through: index === 0 ? through : ["ReLU"],
    edges: index === 0 ? [] : blockEdges(random, sizes(maps, producer, consumer), 24, [3, 3], 0.2),
  }));
  return sceneBytes("bigram", maps, links);
}

const VGG = [64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512, 4096, 4096, 1000];
const VGG_TOP = [5.2, 3.4, 3.1, 2.8, 3, 3.5, 4.2, 3.7, 4.8, 6.2, 4.2, 5.4, 7, 5.5, 7.1, 7.4];

/** Figure 5a: sixteen maps, 13,379 neurons and the super-feature. */
export function vgg(manyEdges = 50_000): Uint8Array {
  const random = randomFrom(5);
  const maps: MapPlan[] = VGG.map((channels, depth) => {
    const linear = depth >= 13;
    const neurons = depth === 0 ? 27 : channels;
    const [body, floor] = linear
      ? [depth === 15 ? 4.6 : 3.9, depth === 15 ? 0.75 : 0.9]
      : [2.9, 0.3];
    return {
      name: linear ? `classifier.${(depth - 13) * 3}` : `features.${FEATURES[depth]}`,
      kind: linear ? "linear" : "convolution",
      neurons,
      depth,
      kernel: linear ? [] : [3, 3],
      value: (k) =>
        k === 0
          ? VGG_TOP[depth]
          : floor +
            (Math.min(body, VGG_TOP[depth]) - floor) * (1 - k / neurons) ** (linear ? 1.9 : 1.5),
      intensity: (k) => (depth === 15 ? 1 : Math.max(0, 1 - (k / neurons) * (linear ? 1.1 : 2.1))),
    };
  });
  const links: LinkPlan[] = [];
  for (let producer = 0; producer < maps.length - 1; producer++) {
    const consumer = producer + 1;
    const [rows, columns] = sizes(maps, producer, consumer);
    const channels = VGG[producer];
    const many = Math.min(rows * columns * 0.2, manyEdges / 15);
    const taken = new Set<number>();
    const edges: LinkPlan["edges"] = [];
    const add = (m: number, n: number, weight: number) => {
      if (taken.has(n * columns + m)) return;
      taken.add(n * columns + m);
      edges.push({ m, n, weight: Math.min(0.97, weight) });
    };
    if (producer >= 4) add(0, 0, 0.45 + 0.4 * random());
    while (edges.length < many) {
      const share = Math.min(0.999, Math.abs(normal(random)) * 0.22);
      const other = Math.min(0.999, Math.max(0, share + normal(random) * 0.08));
      const excess = -Math.log(1 - random());
      const weight = (12 + 9 * excess ** 1.5) / channels / (1 + 3 * share) ** 2;
      add(Math.floor(share * columns), Math.floor(other * rows), weight);
    }
    links.push({ producer, consumer, channels, edges, through: ["relu"] });
  }
  return sceneBytes("vgg16", maps, links);
}

const FEATURES = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28];

/** Skips over columns, parallel branches, a loop, a link backwards, hostile names, truncation. */
export function residual(): Uint8Array {
  const random = randomFrom(9);
  const names = [
    "stem",
    "layer1.0.conv1",
    "layer1.0.conv2",
    "layer2.0.conv1",
    "layer2.0.conv2",
    "layer2.0.downsample.0",
    "layer3.0.<img src=x onerror=alert(1)>",
    "layer3.0.طبقة.conv2",
    `memory.${"very_long_name_".repeat(20)}`,
    "🧠.head",
  ];
  const depth = [0, 1, 2, 3, 4, 3, 5, 6, 7, 8];
  const kinds = ["convolution", "convolution", "convolution", "convolution", "convolution"];
  kinds.push("convolution", "convolution", "transposed convolution", "linear", "embedding");
  const widths = [27, 48, 48, 64, 64, 48, 64, 64, 64, 10];
  const maps: MapPlan[] = names.map((name, index) => ({
    name,
    kind: kinds[index],
    neurons: widths[index],
    rank: index === 7 ? 4096 : widths[index],
    nulls: index === 4 ? 9 : 0,
    depth: depth[index],
    kernel: index < 8 ? [3, 3] : [],
    value: (k) => 0.2 + (1.5 + 0.5 * Math.sin(index * 1.7)) * Math.exp(-k / (widths[index] / 4)),
    intensity: (k) => Math.exp(-k / 9),
  }));
  const pairs = [
    [0, 1],
    [1, 2],
    [0, 3],
    [2, 3],
    [3, 4],
    [0, 5],
    [2, 5],
    [4, 6],
    [5, 6],
    [6, 7],
    [7, 8],
    [4, 8],
    [8, 9],
    [8, 8],
    [8, 6],
  ];
  const links: LinkPlan[] = pairs.map(([producer, consumer]) => ({
    producer,
    consumer,
    backward: consumer <= producer,
    through: ["batch_norm, ignored", "relu"],
    channels: 64,
    edges: blockEdges(random, sizes(maps, producer, consumer), 64, [8, 8], 0.09),
    sent: 700,
  }));
  return sceneBytes("resnet-like ⁦with names⁩", maps, links);
}

/** Random weights and a strict threshold: nothing is significant. */
export function nothing(): Uint8Array {
  const random = randomFrom(12);
  const maps: MapPlan[] = [30, 30, 30].map((neurons, depth) => ({
    name: `layers.${depth}`,
    kind: "linear",
    neurons,
    depth,
    value: (k) => 1.9 * (1 - k / neurons) + 0.02,
    intensity: () => random() * 0.3,
  }));
  const edges = (consumer: number) =>
    blockEdges(random, sizes(maps, consumer - 1, consumer), 30, [0, 0], 0).map((edge) => ({
      ...edge,
      weight: Math.min(edge.weight, 0.3),
    }));
  return sceneBytes("random", maps, [
    { producer: 0, consumer: 1, channels: 30, edges: edges(1) },
    { producer: 1, consumer: 2, channels: 30, edges: edges(2) },
  ]);
}

/** Many maps, with side branches every fourth depth: what does not fit into one view. */
export function deep(depths: number): Uint8Array {
  const random = randomFrom(31);
  const depth = Array.from({ length: depths }, (_, at) => (at % 4 === 3 ? [at, at] : [at])).flat();
  const maps: MapPlan[] = depth.map((at, index) => ({
    name: `blocks.${Math.floor(at / 4)}.${["conv1", "conv2", "conv3", "attn"][at % 4]}`,
    kind: depth[index - 1] === at ? "attention" : at === depths - 1 ? "linear" : "convolution",
    neurons: 48,
    depth: at,
    value: (k) => 0.1 + (1.2 + 0.6 * Math.sin(at / 5)) * Math.exp(-k / 13),
    intensity: (k) => Math.exp(-k / 11),
  }));
  const links: LinkPlan[] = [];
  maps.forEach((from, producer) => {
    maps.forEach((to, consumer) => {
      const gap = to.depth - from.depth;
      if (gap !== 1 && !(gap === 4 && from.depth % 4 === 0)) return;
      const edges = blockEdges(random, sizes(maps, producer, consumer), 48, [6, 6], 0.12);
      links.push({ producer, consumer, channels: 48, edges, sent: 120 });
    });
  });
  return sceneBytes(`deep, ${depths} layers`, maps, links);
}

/** Two maps of 4,096 neurons each, whose adjacency has 16.8 million entries. */
export function wide(): Uint8Array {
  const random = randomFrom(4);
  const neurons = 4096;
  const maps: MapPlan[] = [0, 1].map((depth) => ({
    name: `classifier.${3 * depth}`,
    kind: "linear",
    neurons,
    depth,
    value: (k) => 0.01 + 6 * (1 - k / neurons) ** 6,
    intensity: (k) => Math.exp(-k / 400),
  }));
  const edges = Array.from({ length: 30_000 }, () => {
    const m = Math.floor(Math.abs(normal(random)) * 500) % neurons;
    const n = Math.max(0, Math.min(neurons - 1, Math.round(m + normal(random) * 60)));
    return { m, n, weight: Math.min(0.9, 0.01 - 0.02 * Math.log(1 - random())) };
  });
  return sceneBytes("wide", maps, [{ producer: 0, consumer: 1, channels: neurons, edges }]);
}
