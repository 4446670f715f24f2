// Several workers paint one picture. Each paints every n-th edge of each link on an accumulator of
// its own; the lead, which alone talks with the page, sums what they have and develops it. Depths
// are integers, so the sum is the same to the bit however the edges are shared out.

import { type Share, WHOLE_SHARE } from "./paint.js";
import { createPainting, isKept, type Job } from "./paintJob.js";

/** What the page sends to the lead: the job, without those of its parts that it has already. */
export interface Order {
  readonly id: number;
  readonly job: Partial<Job>;
}

/** What the lead sends: that it runs, then pictures of the order with this id. */
export type Report =
  | { readonly kind: "ready" }
  | {
      readonly kind: "picture";
      readonly id: number;
      readonly done: boolean;
      readonly pixels: Uint32Array<ArrayBuffer>;
    };

/** What the lead sends to a helper. */
export interface HelperOrder extends Order {
  readonly share: Share;
}

/** What a helper sends: that it runs, then the depths of its share of the order with this id. */
export type HelperReport =
  | { readonly kind: "ready" }
  | {
      readonly kind: "depths";
      readonly id: number;
      readonly done: boolean;
      readonly depths: Int32Array<ArrayBuffer>;
    };

export type Post<T> = (message: T, transfer: Transferable[]) => void;

/** Milliseconds of painting before the next order is looked for. */
const SLICE = 10;
/** Milliseconds between two reports on one order. */
const PAUSE = 150;

/** The parts of a job that are new to whoever has this earlier one. */
export function newsOf(job: Job, before: Job | null): Partial<Job> {
  const news = Object.entries(job).filter(([name, value]) => value !== before?.[name as keyof Job]);
  return Object.fromEntries(news);
}

/** Paints its share of each order that it is given. */
export function createHelper(post: Post<HelperReport>): (order: HelperOrder) => void {
  const painting = createPainting();
  let job = {} as Job;
  let id = 0;
  const begin = inSlices(painting.work, (done) => {
    const depths = painting.depths();
    post({ kind: "depths", id, done, depths }, [depths.buffer]);
  });
  return (order) => {
    job = { ...job, ...order.job };
    id = order.id;
    painting.begin(job, order.share);
    begin();
  };
}

export interface Lead {
  order(order: Order): void;
  /** What a helper has to say, by its place among the helpers. */
  hear(helper: number, report: HelperReport): void;
}

interface Member {
  readonly post: Post<HelperOrder>;
  ready: boolean;
  /** The last job it was given. */
  job: Job | null;
  /** The latest of its share of the present painting. */
  last: Extract<HelperReport, { kind: "depths" }> | null;
}

/** Shares each order out among itself and those helpers that run when its painting begins. */
export function createLead(post: Post<Report>, helpers: readonly Post<HelperOrder>[]): Lead {
  const members: Member[] = helpers.map((post) => ({ post, ready: false, job: null, last: null }));
  const painting = createPainting();
  let pool: Member[] = [];
  let job: Job | null = null;
  let id = 0;
  /** The order with which the present painting began: depths of earlier ones belong elsewhere. */
  let since = 0;
  let ownDone = false;
  const show = () => {
    const done = ownDone && pool.every(({ last }) => last?.id === id && last.done);
    const pixels = painting.picture(pool.flatMap(({ last }) => (last ? [last.depths] : [])));
    post({ kind: "picture", id, done, pixels }, [pixels.buffer]);
  };
  const begin = inSlices(painting.work, (done) => {
    ownDone = done;
    show();
  });
  return {
    order({ id: next, job: news }) {
      const before = job;
      job = { ...before, ...news } as Job;
      id = next;
      if (!before || !isKept(before, job)) {
        since = id;
        pool = members.filter(({ ready }) => ready);
        for (const member of pool) member.last = null;
      }
      ownDone = false;
      const of = pool.length + 1;
      for (const [at, member] of pool.entries()) {
        member.post({ id, job: newsOf(job, member.job), share: { part: at + 1, of } }, []);
        member.job = job;
      }
      painting.begin(job, { ...WHOLE_SHARE, of });
      begin();
    },
    hear(helper, report) {
      const member = members[helper];
      if (report.kind === "ready") {
        member.ready = true;
        return;
      }
      if (report.id < since || !pool.includes(member)) return;
      member.last = report;
      if (ownDone) show();
    },
  };
}

/**
 * Gives what starts the work on something new. It is done in slices, and messages are heard in
 * between; the report is called after the first slice, in between and at the end.
 */
function inSlices(
  work: (milliseconds: number) => boolean,
  report: (done: boolean) => void,
): () => void {
  const turns = new MessageChannel();
  let reported = 0;
  let working = false;
  turns.port1.onmessage = () => {
    const done = work(SLICE);
    if (done || performance.now() - reported > PAUSE) {
      report(done);
      reported = performance.now();
    }
    working = !done;
    if (!done) turns.port2.postMessage(null);
  };
  return () => {
    reported = Number.NEGATIVE_INFINITY;
    if (!working) turns.port2.postMessage(null);
    working = true;
  };
}
