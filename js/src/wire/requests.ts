// Questions to Python, answered by messages. An id tells the answers apart; it is drawn at random,
// because every view of a model hears all its messages.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { Bytes } from "./codec.js";
import type { Host } from "./host.js";

export interface Answer {
  readonly message: Record<string, unknown>;
  readonly buffers: readonly Bytes[];
}

export type Ask = (
  question: { kind: string } & Record<string, unknown>,
  buffers?: ArrayBuffer[],
) => Promise<Answer>;

export interface Requests {
  readonly ask: Ask;
  /** True while a question has waited so long that Python is busy, or gone. */
  readonly silent: ReadonlySignal<boolean>;
}

const PATIENCE = 4000;
const GONE = "This needs Python, which is gone.";

/** A question still open when the signal is aborted stays open. */
export function createRequests(host: Host, abort: AbortSignal): Requests {
  const open = new Map<number, { resolve: (answer: Answer) => void; reject: (e: Error) => void }>();
  const silent = signal(false);
  let patience: ReturnType<typeof setTimeout> | undefined;
  let id = Math.floor(Math.random() * 2 ** 40);
  const wait = () => {
    clearTimeout(patience);
    if (open.size > 0 && !abort.aborted) {
      patience = setTimeout(() => (silent.value = true), PATIENCE);
    }
  };
  host.onMessage((raw, buffers) => {
    const message = raw as Record<string, unknown> | null;
    const waiting = open.get(message?.id as number);
    if (!message || !waiting) return;
    open.delete(message.id as number);
    silent.value = false;
    wait();
    if (message.kind === "error") waiting.reject(new Error(String(message.message)));
    else waiting.resolve({ message, buffers });
  }, abort);
  abort.addEventListener(
    "abort",
    () => {
      open.clear();
      clearTimeout(patience);
    },
    { once: true },
  );
  host.onPython(() => {
    if (host.python() !== "gone") return;
    for (const { reject } of open.values()) reject(new Error(GONE));
    open.clear();
    silent.value = false;
    wait();
  }, abort);
  const ask: Ask = (question, buffers) =>
    new Promise((resolve, reject) => {
      if (host.python() === "gone") return reject(new Error(GONE));
      id += 1;
      const first = open.size === 0;
      open.set(id, { resolve, reject });
      host.send({ ...question, id }, buffers);
      if (first) wait();
    });
  return { ask, silent };
}
