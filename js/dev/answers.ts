// Python's answers, made up from the scene: chance where no edge was sent, structure where one was.

import { factsOfSentEdges } from "../src/logic/matrices.js";
import { extentOf, type Pair, type Place } from "../src/logic/tiles.js";
import { type Bytes, encode, type Tensor } from "../src/wire/codec.js";
import type { Question, QuestionKind } from "../src/wire/requests.js";
import { readScene, type Scene } from "../src/wire/scene.js";
import { log10pOf } from "./synthetic.js";

type Made = [meta: object, arrays: Record<string, Tensor>];

type Answers = {
  readonly [K in Exclude<QuestionKind, "comparison" | "drop" | "frame" | "page" | "ping">]: (
    scene: Scene,
    question: Question<K>,
  ) => Made;
};

const ANSWERS: Answers = {
  cut: (scene, { law, mode, level }) => {
    const asked = { law, mode, level };
    const stops = scene.stops[asked.law][asked.mode];
    const next = Math.max(
      1,
      stops.level.findIndex((at) => at > asked.level),
    );
    const share =
      (asked.level - stops.level[next - 1]) / (stops.level[next] - stops.level[next - 1]);
    const between = (values: Float64Array | Uint32Array, at: number, step: number) =>
      values[at - step] + share * (values[at] - values[at - step]);
    const many = scene.links.length;
    const data = Uint32Array.from(scene.links, (_, link) =>
      Math.round(between(stops.counts ?? new Uint32Array(), next * many + link, many)),
    );
    const meta = {
      ...asked,
      significant: data.reduce((sum, more) => sum + more, 0),
      log10_p: between(stops.log10p, next, 1),
      expected: between(stops.expected, next, 1),
    };
    return [meta, { counts: { shape: [many], data } }];
  },
  matrix: (scene, { link, matrix }) => {
    const { shape, rows, columns, max } = factsOfSentEdges(scene, link);
    const vector = (data: Float64Array): Tensor => ({ shape: [data.length], data: data.slice() });
    const meta = {
      max: matrix === "adjacency" ? Math.max(max, 0.2) : 0.9,
      columns_shown: true,
      steps: null,
    };
    if (matrix === "output") {
      const channels = scene.maps[scene.links[link].producer].out;
      const of = { shape: [channels, shape[1]], rows_shown: false };
      return [{ ...meta, ...of }, { columns: vector(columns) }];
    }
    const of = { shape, rows_shown: matrix === "adjacency" };
    return [
      { ...meta, ...of },
      { columns: vector(columns), rows: vector(rows as Float64Array) },
    ];
  },
  tile: (scene, { link, matrix, steps, tile }) => {
    const { producer, consumer } = scene.links[link];
    const columns = scene.maps[producer].neurons;
    const shape: Pair = [
      matrix === "output" ? scene.maps[producer].out : scene.maps[consumer].neurons,
      columns,
    ];
    return madeTile(scene, link, matrix, shape, { steps, at: tile });
  },
  filters: (scene, { link, rows, columns }) => {
    const kernel = scene.maps[scene.links[link].consumer].kernel;
    const size = kernel.reduce((product, length) => product * length, 1);
    const [n, m] = [rows, columns];
    const data = Float32Array.from({ length: n.length * m.length * size }, (_, at) => {
      const edge = Math.floor(at / size);
      const near = n[Math.floor(edge / m.length)] === m[edge % m.length] ? 4 : 1;
      return 0.08 * near * chanceAt(at, edge);
    });
    const shape = [n.length, m.length, ...kernel];
    return [{ rows, columns, kernel }, { filters: { shape, data } }];
  },
  vectors: (scene, { column, k, most }) => {
    const map = scene.maps[column];
    const side = (channels: number, kernel: readonly number[], salt: number) => {
      const size = kernel.reduce((product, length) => product * length, 1);
      const shown = Math.min(channels, most);
      const fall = (at: number) => 1.2 / (2 + Math.floor(at / size) / 8);
      const data = Float32Array.from(
        { length: shown * size },
        (_, at) => fall(at) * chanceAt(at + salt, k),
      );
      const numbers = Uint32Array.from({ length: shown }, (_, at) => (at * 37) % channels);
      return { of: { kernel, total: channels }, shape: [shown, ...kernel], data, numbers };
    };
    const [V, U] = [side(map.in, map.kernel, 0), side(map.out, [], 999)];
    const vector = (data: Uint32Array<ArrayBuffer>): Tensor => ({ shape: [data.length], data });
    return [
      { V: V.of, U: U.of },
      { V, V_channels: vector(V.numbers), U, U_channels: vector(U.numbers) },
    ];
  },
  images: (scene, { inputs, neurons, cosine }) => {
    const arrays: Record<string, Tensor> = {};
    const wave = (i: number, j: number, salt: number, side: number) =>
      Math.sin((6 * (i + salt)) / side) * Math.cos((5 * j) / side + salt);
    inputs.forEach((number, place) => {
      const data = Uint8Array.from({ length: 32 * 32 * 3 }, (_, at) => {
        const [i, j] = [Math.floor(at / 96), Math.floor(at / 3) % 32];
        return 128 + 120 * wave(i, j, number, 32);
      });
      arrays[`0_thumbnail_${place}`] = { shape: [32, 32, 3], data };
    });
    const maps = Object.entries(neurons).map(([name, ks], at) => {
      const kernel = scene.maps.find((map) => map.name === name)?.kernel ?? [];
      const side = kernel.length > 0 ? Math.max(4, 28 - 4 * at) : 1;
      const positions = side > 1 ? [side, side] : [];
      const size = side * side;
      const data = Float32Array.from({ length: inputs.length * ks.length * size }, (_, value) => {
        const [i, j] = [Math.floor((value % size) / side), value % side];
        return wave(i, j, Math.floor(value / size) + at, side) + 0.1 * chanceAt(i, j + value);
      });
      const pairs = [inputs.length, ks.length];
      arrays[`0_values_${at}`] = { shape: [...pairs, ...positions], data };
      const scale = new Float32Array(pairs[0] * pairs[1]).fill(1.2);
      arrays[`0_scale_${at}`] = { shape: pairs, data: scale };
      const likeness = cosine && side > 1;
      if (likeness) arrays[`0_cosine_${at}`] = { shape: pairs, data: scale.map(() => 0.31) };
      return { name, kind: side > 1 ? "image" : "bar", neurons: ks, positions, cosine: likeness };
    });
    const shown = inputs.map((number) => ({ number, label: `input ${number}`, thumbnail: true }));
    return [{ groups: [{ inputs: shown, maps, left_out: {} }] }, arrays];
  },
  internal: (scene, { link }) => {
    const { shape } = factsOfSentEdges(scene, link);
    const structured = scene.links[link].strongest?.weight ?? 0;
    const internal = {
      d_out: Math.max(1, Math.round(shape[0] * 0.24)),
      d_in: Math.max(1, Math.round(shape[1] * 0.22)),
      deviation: 3.2,
      p_value: structured > 0.4 ? 0.0005 : 0.42,
    };
    return [internal, {}];
  },
};

export function answerOf(
  bytes: Bytes | null,
  question: Question & { readonly id: number },
): { reply: object; buffers: Bytes[] } {
  const reply = { kind: question.kind, id: question.id };
  try {
    const scene = readScene(bytes);
    if (!scene) throw new Error("there is no scene");
    const answer = (ANSWERS as Readonly<Record<string, (scene: Scene, question: never) => Made>>)[
      question.kind
    ];
    if (!answer) throw new Error(`there is no answer to ${question.kind}`);
    const [meta, arrays] = answer(scene, question as never);
    const container = encode(meta, new Map(Object.entries(arrays)));
    return { reply, buffers: [new DataView(container.buffer)] };
  } catch (error) {
    return { reply: { ...reply, kind: "error", message: String(error) }, buffers: [] };
  }
}

function madeTile(scene: Scene, link: number, matrix: string, shape: Pair, place: Place): Made {
  const { rows, columns } = extentOf(place, shape);
  const [down, across] = place.steps;
  const cells = [
    Math.ceil((rows[1] - rows[0]) / down),
    Math.ceil((columns[1] - columns[0]) / across),
  ];
  const values = new Float32Array(cells[0] * cells[1]);
  const { mean, start, sent } = scene.links[link];
  const put = (n: number, m: number, value: number) => {
    const at = Math.floor((n - rows[0]) / down) * cells[1] + Math.floor((m - columns[0]) / across);
    values[at] = Math.max(values[at], value);
  };
  for (let n = rows[0]; n < rows[1]; n++) {
    for (let m = columns[0]; m < columns[1]; m++) {
      const chance = Math.min(0.5, mean * chanceAt(n, m) ** 2);
      put(n, m, matrix === "adjacency" ? chance : Math.sqrt(chance));
    }
  }
  for (let edge = start; edge < start + sent && matrix !== "output"; edge++) {
    const [n, m] = [scene.edgeN[edge], scene.edgeM[edge]];
    if (n < rows[0] || n >= rows[1] || m < columns[0] || m >= columns[1]) continue;
    const weight = scene.edgeWeight[edge];
    put(n, m, matrix === "adjacency" ? weight : Math.sqrt(weight));
  }
  const log10p = values.map((value) =>
    log10pOf(matrix === "adjacency" ? value : value * value, 1 / mean),
  );
  const tensor = (data: Float32Array): Tensor => ({ shape: cells, data: data.slice() });
  return [
    {},
    matrix === "output"
      ? { values: tensor(values) }
      : { values: tensor(values), log10_p: tensor(log10p) },
  ];
}

/** About normal, always the same at the same place. */
function chanceAt(n: number, m: number): number {
  let mixed = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(m + 1, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  mixed ^= mixed >>> 15;
  const sum = (mixed & 255) + ((mixed >>> 8) & 255) + ((mixed >>> 16) & 255) + (mixed >>> 24);
  return (sum - 510) / 148;
}
