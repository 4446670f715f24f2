// A host without Jupyter: traits in an object, Python's answers made up from the scene.

import type { Bytes } from "../src/wire/codec.js";
import type { Host, MessageListener, Python, Traits } from "../src/wire/host.js";
import type { Question } from "../src/wire/requests.js";
import { answerOf } from "./answers.js";

const DEFAULTS: Traits = {
  method: "svr",
  norm: "ignore",
  threshold_mode: "fdr",
  threshold: 0.05,
  null: "exact",
  y_scale: "linear",
  colour: "chance",
  selected: [],
  selected_link: null,
  folded: null,
  panes: ["adjacency"],
  theme: "auto",
  height: 620,
  max_edges: 100_000,
  tour: false,
  panes_width: null,
  camera: null,
  y_range: null,
  _scene: null,
  _status: { state: "ready" },
  _notice: "",
  _inputs: null,
};

export interface DevHost extends Host {
  readonly traits: Traits;
  push<K extends keyof Traits>(name: K, value: Traits[K]): void;
  /** A message from Python. */
  receive(message: object, buffers?: Bytes[]): void;
  /** How many listeners are registered. */
  readonly listening: number;
  readonly saves: number;
  /** As when the kernel is restarted. */
  losePython(): void;
  readonly sent: object[];
}

/** `refusal` is what every question is answered with instead, if it is any. */
export function devHost(initial: Partial<Traits>, answers = true, refusal = ""): DevHost {
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
  const receive = (message: object, buffers: Bytes[] = []) => {
    for (const listener of messages) listener(message, buffers);
  };
  const python = new Set<() => void>();
  let there: Python = "here";
  return {
    traits,
    push,
    losePython() {
      there = "gone";
      for (const listener of python) listener();
    },
    sent,
    receive,
    get listening() {
      return [...listeners.values()].reduce((n, set) => n + set.size, messages.size + python.size);
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
      const question = message as Question & { readonly id: number };
      if (!answers || there === "gone") return;
      setTimeout(() => {
        if (refusal !== "") return receive({ id: question.id, kind: "error", message: refusal });
        const { reply, buffers } = answerOf(traits._scene, question);
        receive(reply, buffers);
      }, 20);
    },
    on: (name, listener, signal) => register(listenersOf(name), listener, signal),
    onMessage: (listener, signal) => register(messages, listener, signal),
    python: () => there,
    onPython: (listener, signal) => register(python, listener, signal),
  };
}
