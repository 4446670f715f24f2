// A host for an exported page: no kernel behind it, only what was put into the page.

import type { Bytes, Container } from "../wire/codec.js";
import type { Host, MessageListener, Traits } from "../wire/host.js";

/** What the page holds; `svr_widget/widget/export/page.py` writes it. */
interface PageMeta {
  /** Every trait but those that are bytes. */
  readonly traits: Partial<Traits>;
  /** Traits that are bytes, each an array of the container of that name. */
  readonly binary: readonly (keyof Traits)[];
  readonly answers: readonly StoredAnswer[];
}

/** An answer that Python gave in advance; its buffers are arrays of the container. */
interface StoredAnswer {
  /** It answers every question that says at least this. */
  readonly question: Readonly<Record<string, unknown>>;
  readonly message: Readonly<Record<string, unknown>>;
  readonly buffers: readonly string[];
}

export const NEEDS_A_KERNEL =
  "This page works without Python and does not hold this; it is there in the notebook";

export function pageHost({ meta, arrays }: Container): Host {
  const { traits: plain, binary, answers } = meta as PageMeta;
  const bytesOf = (name: string): Bytes => {
    const data = arrays.get(name)?.data;
    if (!(data instanceof Uint8Array)) throw new Error(`the page holds no bytes called "${name}"`);
    return new DataView(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  };
  const traits = { ...plain } as Traits;
  for (const name of binary) Object.assign(traits, { [name]: bytesOf(name) });
  const listeners = new Map<string, Set<() => void>>();
  const messages = new Set<MessageListener>();
  const register = <T>(set: Set<T>, listener: T, signal: AbortSignal) => {
    set.add(listener);
    signal.addEventListener("abort", () => set.delete(listener), { once: true });
  };
  return {
    get: (name) => traits[name],
    set(name, value) {
      Object.assign(traits, { [name]: value });
      for (const listener of listeners.get(name) ?? []) listener();
    },
    save() {},
    send(question) {
      const { id, ...asked } = question as Record<string, unknown>;
      const stored = answers.find((answer) => isAnsweredBy(asked, answer.question));
      const message = stored?.message ?? { kind: "error", message: NEEDS_A_KERNEL };
      const buffers = stored?.buffers.map(bytesOf) ?? [];
      queueMicrotask(() => {
        for (const listener of messages) listener({ ...message, id }, buffers);
      });
    },
    on(name, listener, signal) {
      const set = listeners.get(name) ?? new Set();
      listeners.set(name, set);
      register(set, listener, signal);
    },
    onMessage: (listener, signal) => register(messages, listener, signal),
    python: () => "none",
    onPython() {},
  };
}

/** Of a comparison the container of each network, whose arrays have its place before their names. */
export function sidesOf({ meta, arrays }: Container): Container[] | null {
  const { sides } = meta as { readonly sides?: readonly PageMeta[] };
  if (!sides) return null;
  return sides.map((side, place) => {
    const prefix = `${place}/`;
    const mine = [...arrays].filter(([name]) => name.startsWith(prefix));
    return {
      meta: side,
      arrays: new Map(mine.map(([name, tensor]) => [name.slice(prefix.length), tensor])),
    };
  });
}

/** Whether all that the stored question says is what is asked. */
export function isAnsweredBy(
  asked: Readonly<Record<string, unknown>>,
  stored: Readonly<Record<string, unknown>>,
): boolean {
  return Object.entries(stored).every(
    ([name, value]) => JSON.stringify(asked[name]) === JSON.stringify(value),
  );
}
