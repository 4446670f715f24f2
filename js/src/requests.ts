// Questions to Python, answered by messages. An id tells the answers apart; it is drawn at random,
// because every view of a model hears all its messages.

import type { Bytes } from "./codec.js";
import type { Host } from "./host.js";

export interface Answer {
  readonly message: Record<string, unknown>;
  readonly buffers: readonly Bytes[];
}

export type Ask = (question: { kind: string } & Record<string, unknown>) => Promise<Answer>;

/** Returns a function that asks; a question still open when the signal is aborted stays open. */
export function createRequests(host: Host, signal: AbortSignal): Ask {
  const open = new Map<number, { resolve: (answer: Answer) => void; reject: (e: Error) => void }>();
  let id = Math.floor(Math.random() * 2 ** 40);
  host.onMessage((raw, buffers) => {
    const message = raw as Record<string, unknown> | null;
    const waiting = open.get(message?.id as number);
    if (!message || !waiting) return;
    open.delete(message.id as number);
    if (message.kind === "error") waiting.reject(new Error(String(message.message)));
    else waiting.resolve({ message, buffers });
  }, signal);
  signal.addEventListener("abort", () => open.clear(), { once: true });
  return (question) =>
    new Promise((resolve, reject) => {
      id += 1;
      open.set(id, { resolve, reject });
      host.send({ ...question, id });
    });
}
