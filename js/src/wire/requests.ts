// Questions to Python, answered by messages. An id tells the answers apart; it is drawn at random,
// because every view of a model hears all its messages.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import type { Bytes } from "./codec.js";
import type { CONTRACT } from "./contract.js";
import type { Host, PublicTraits } from "./host.js";
import type { Law, Mode } from "./scene.js";

/** The matrices of a link that Python makes. */
export type Matrix = (typeof CONTRACT.matrices)[number];

/** What each kind of question says, and the buffers of its reply: containers, if not said. */
interface Kinds {
  /** The cut at a level that the sent edges do not reach. */
  readonly cut: {
    readonly says: { readonly law: Law; readonly mode: Mode; readonly level: number };
    readonly reply: readonly [cut: Bytes];
  };
  /** What is known of a matrix as a whole. */
  readonly matrix: {
    readonly says: { readonly link: number; readonly matrix: Matrix };
    readonly reply: readonly [facts: Bytes];
  };
  /** Its internal dimensions. */
  readonly internal: {
    readonly says: { readonly link: number; readonly matrix: Matrix };
    readonly reply: readonly [internal: Bytes];
  };
  /** One tile of it, by row and column among the tiles of `steps` entries a cell. */
  readonly tile: {
    readonly says: {
      readonly link: number;
      readonly matrix: Matrix;
      readonly law: Law;
      readonly steps: readonly [number, number];
      readonly tile: readonly [number, number];
    };
    readonly reply: readonly [tile: Bytes];
  };
  /** Effective filters between neurons of a link's consumer, the rows, and of its producer. */
  readonly filters: {
    readonly says: {
      readonly link: number;
      readonly rows: readonly number[];
      readonly columns: readonly number[];
    };
    readonly reply: readonly [filters: Bytes];
  };
  /** A neuron's strongest channels on both sides, at most so many. */
  readonly vectors: {
    readonly says: { readonly column: number; readonly k: number; readonly most: number };
    readonly reply: readonly [vectors: Bytes];
  };
  /** Inputs filtered by neurons of maps, with at most so many positions a side. */
  readonly images: {
    readonly says: {
      readonly inputs: readonly number[];
      readonly neurons: Readonly<Record<string, readonly number[]>>;
      readonly most: number;
      readonly cosine: boolean;
      readonly revision: number;
    };
    readonly reply: readonly [images: Bytes];
  };
  /** Takes an image, whose RGB bytes go with the question, among the inputs. */
  readonly drop: {
    readonly says: { readonly name: string; readonly width: number; readonly height: number };
    readonly reply: readonly [nothing: Bytes];
  };
  /** The scene of a checkpoint. */
  readonly frame: {
    readonly says: { readonly step: number };
    readonly reply: readonly [scene: Bytes];
  };
  /** The widget as a page without Python, showing this view; the reply is HTML. */
  readonly page: {
    readonly says: { readonly view: Partial<PublicTraits> };
    readonly reply: readonly [html: Bytes];
  };
  /** The comparison that the widget is part of as such a page, showing a view of each network. */
  readonly comparison: {
    readonly says: { readonly views: readonly Partial<PublicTraits>[] };
    readonly reply: readonly [html: Bytes];
  };
  /** Nothing but whether Python answers. */
  readonly ping: { readonly says: object; readonly reply: readonly [] };
}

export type QuestionKind = keyof Kinds;

/** Of a timeline a question also says which checkpoint it is about. */
export type Question<K extends QuestionKind = QuestionKind> = {
  [Name in K]: { readonly kind: Name; readonly step?: number | null } & Kinds[Name]["says"];
}[K];

export interface Answer<K extends QuestionKind = QuestionKind> {
  readonly message: Readonly<Record<string, unknown>>;
  readonly buffers: Kinds[K]["reply"];
}

export type Ask = <K extends QuestionKind>(
  question: Question<K>,
  buffers?: ArrayBuffer[],
) => Promise<Answer<K>>;

export interface Requests {
  readonly ask: Ask;
  /** Asks Python to stop computing, which it does not answer. */
  cancel(): void;
  /** Asks it to go on with what was cancelled. */
  resume(): void;
  /** True while a question has waited so long that Python is busy, or gone. */
  readonly silent: ReadonlySignal<boolean>;
}

/** A question that is not answered yet, of any kind. */
interface Open {
  resolve(answer: Answer<never>): void;
  reject(error: Error): void;
}

const PATIENCE = 4000;
const GONE = "This needs Python, which is gone.";

/** A question still open when the signal is aborted stays open. */
export function createRequests(host: Host, abort: AbortSignal): Requests {
  const open = new Map<number, Open>();
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
    else waiting.resolve({ message, buffers: buffers as never });
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
  return {
    ask,
    cancel: () => host.send({ kind: "cancel" }),
    resume: () => host.send({ kind: "resume" }),
    silent,
  };
}
