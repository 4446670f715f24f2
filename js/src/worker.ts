// What runs in the worker: paints edges without a pause, and shows how far it is.

import { createInking, type Job } from "./inking.js";

/** What the page sends: the job, without those of its parts that the worker has already. */
export interface Order {
  readonly id: number;
  readonly job: Partial<Job>;
}

/** What the worker sends: that it runs, then pictures of the order with this id. */
export type Report =
  | { readonly kind: "ready" }
  | {
      readonly kind: "picture";
      readonly id: number;
      readonly done: boolean;
      readonly pixels: Uint32Array<ArrayBuffer>;
    };

/** Milliseconds of painting before the next order is looked for. */
const SLICE = 10;
/** Milliseconds between two pictures of one order. */
const PAUSE = 150;

const scope = self as unknown as {
  postMessage(report: Report, transfer?: Transferable[]): void;
  onmessage: ((event: MessageEvent<Order>) => void) | null;
};
const inking = createInking();
const turns = new MessageChannel();
let job: Job | null = null;
let id = 0;
let shown = 0;
let working = false;

scope.onmessage = ({ data }) => {
  job = { ...job, ...data.job } as Job;
  id = data.id;
  inking.begin(job);
  // The strongest edges are shown at once.
  shown = Number.NEGATIVE_INFINITY;
  if (!working) turns.port2.postMessage(null);
  working = true;
};
turns.port1.onmessage = () => {
  const done = inking.work(SLICE);
  if (done || performance.now() - shown > PAUSE) {
    const pixels = inking.picture();
    scope.postMessage({ kind: "picture", id, done, pixels }, [pixels.buffer]);
    shown = performance.now();
  }
  working = !done;
  if (!done) turns.port2.postMessage(null);
};
scope.postMessage({ kind: "ready" });
