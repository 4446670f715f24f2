// A host without Jupyter: traits in an object, Python's answers made up from the scene.

import { adjacencyOfSentEdges, shapeOf } from "../src/adjacency.js";
import { type Bytes, encode } from "../src/codec.js";
import type { Host, MessageListener, Traits } from "../src/host.js";
import { readScene } from "../src/scene.js";
import { normal, randomFrom } from "./random.js";

export const DEFAULTS: Traits = {
  method: "svr",
  threshold_mode: "fdr",
  threshold: 0.05,
  null: "exact",
  y_scale: "linear",
  selected: [],
  selected_link: null,
  panes: ["adjacency"],
  theme: "auto",
  height: 620,
  max_edges: 100_000,
  camera: null,
  _scene: null,
  _status: { state: "ready" },
  _notice: "",
};

export interface DevHost extends Host {
  readonly traits: Traits;
  push<K extends keyof Traits>(name: K, value: Traits[K]): void;
  /** How many listeners are registered. */
  readonly listening: number;
  readonly saves: number;
  readonly sent: object[];
}

export function devHost(initial: Partial<Traits>, answers = true): DevHost {
  const traits: Traits = { ...DEFAULTS, ...initial };
  const listeners = new Map<string, Set<() => void>>();
  const messages = new Set<MessageListener>();
  const sent: object[] = [];
  let saves = 0;
  const register = <T>(set: Set<T>, listener: T, signal: AbortSignal) => {
    set.add(listener);
    signal.addEventListener("abort", () => set.delete(listener), { once: true });
  };
  const listenersOf = (name: string) => {
    const set = listeners.get(name) ?? new Set();
    listeners.set(name, set);
    return set;
  };
  const push = <K extends keyof Traits>(name: K, value: Traits[K]) => {
    traits[name] = value;
    for (const listener of listenersOf(name)) listener();
  };
  return {
    traits,
    push,
    sent,
    get listening() {
      return [...listeners.values()].reduce((n, set) => n + set.size, messages.size);
    },
    get saves() {
      return saves;
    },
    get: (name) => traits[name],
    set: (name, value) => push(name, value as never),
    save: () => {
      saves += 1;
    },
    send: (message) => {
      sent.push(message);
      const question = message as { kind: string; id: number; link: number; max: number[] };
      if (!answers || question.kind !== "adjacency") return;
      setTimeout(() => {
        const reply = { kind: "adjacency", id: question.id };
        const buffers = [new DataView(adjacencyBytes(traits._scene, question))];
        for (const listener of messages) listener(reply, buffers);
      }, 20);
    },
    on: (name, listener, signal) => register(listenersOf(name), listener, signal),
    onMessage: (listener, signal) => register(messages, listener, signal),
  };
}

function adjacencyBytes(bytes: Bytes | null, { link, max }: { link: number; max: number[] }) {
  const scene = readScene(bytes);
  if (!scene) throw new Error("there is no scene");
  const sent = adjacencyOfSentEdges(scene, link, Math.max(...max));
  const [rows, columns] = sent.cells;
  const random = randomFrom(link + 77);
  const { mean } = scene.links[link];
  const values = sent.values.map((value) => value || Math.min(0.5, mean * normal(random) ** 2));
  const shape = shapeOf(scene, scene.links[link]);
  const structured = scene.links[link].strongest?.weight ?? 0;
  const internal = {
    d_out: Math.max(1, Math.round(shape[0] * 0.24)),
    d_in: Math.max(1, Math.round(shape[1] * 0.22)),
    deviation: 3.2,
    p_value: structured > 0.4 ? 0.0005 : 0.42,
  };
  const meta = { link, rows: [0, shape[0]], cols: [0, shape[1]], shape, internal };
  const tensor = { shape: [rows, columns], data: values };
  const largest = values.reduce((most, value) => Math.max(most, value), 0);
  return encode({ ...meta, max: largest }, new Map([["adjacency", tensor]])).buffer as ArrayBuffer;
}
