// Who paints the edges: a worker, so that the page stays free, or the page itself, a slice a frame,
// where the edges are few or workers are forbidden.

import { newsOf, type Order, type Report } from "../crew.js";
import { createInking, type Job } from "../inking.js";
import type { Drawable } from "../scene.js";
import { oncePerFrame, type View } from "./view.js";

/** The worker's code, as `build.mjs` bundles it. */
declare const SVR_WORKER: string;

/** Painting fewer edges than this takes no longer than a frame or two. */
export const FEW_EDGES = 20_000;
/** Milliseconds of painting between two frames of the page. */
const SLICE = 16;

export interface Picture {
  readonly job: Job;
  /** RGBA, of the size that the job asks for. */
  readonly pixels: Uint32Array<ArrayBuffer>;
  readonly done: boolean;
}

export interface Inker {
  /** Asks for a picture; another that is in the making is left as it is. */
  paint(job: Job): void;
}

export type Show = (picture: Picture) => void;

export function pageInker(view: View, show: Show): Inker {
  const inking = createInking();
  let job: Job | null = null;
  const turn = () => {
    if (!job) return;
    const done = inking.work(SLICE);
    show({ job, pixels: inking.picture(), done });
    if (!done) later();
  };
  const later = oncePerFrame(view, turn);
  return {
    paint(next) {
      job = next;
      inking.begin(next);
      turn();
    },
  };
}

/** Leaves the painting to a worker; to the page where a worker may not be started. */
export function workerInker(view: View, show: Show): Inker {
  const jobs = new Map<number, Job>();
  let last = 0;
  let sent: Job | null = null;
  let fallback: Inker | null = null;
  let ready = false;
  const worker = startWorker(view);
  const withoutWorker = () => {
    worker?.terminate();
    fallback = pageInker(view, show);
    if (sent) fallback.paint(sent);
  };
  if (!worker) withoutWorker();
  worker?.addEventListener(
    "error",
    view.guard((event: ErrorEvent) => {
      // A page that forbids workers says so only now.
      if (!ready) return withoutWorker();
      throw new Error(`the worker that paints the edges failed: ${event.message}`);
    }),
  );
  worker?.addEventListener(
    "message",
    view.guard(({ data }: MessageEvent<Report>) => {
      if (data.kind === "ready") {
        ready = true;
        return;
      }
      const job = jobs.get(data.id);
      if (!job) return;
      for (const id of jobs.keys()) if (id < data.id) jobs.delete(id);
      show({ job, pixels: data.pixels, done: data.done });
    }),
  );
  return {
    paint(job) {
      if (fallback) return fallback.paint(job);
      const news = newsOf(job, sent);
      sent = job;
      jobs.set(++last, job);
      const scene = news.scene && { scene: drawableOf(news.scene) };
      worker?.postMessage({ id: last, job: { ...news, ...scene } } satisfies Order);
    },
  };
}

function startWorker(view: View): Worker | null {
  const url = URL.createObjectURL(new Blob([SVR_WORKER], { type: "text/javascript" }));
  try {
    const worker = new Worker(url);
    view.signal.addEventListener("abort", () => worker.terminate(), { once: true });
    return worker;
  } catch {
    // A content security policy that forbids it; the page paints instead.
    return null;
  } finally {
    // The worker has the URL by now; where it was refused, nobody needs it.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

/** Copies of the arrays: a view would be sent with the whole buffer that it lies in. */
function drawableOf({ maps, links, edgeM, edgeN, edgeWeight, largestWeight }: Drawable): Drawable {
  const arrays = { edgeM: edgeM.slice(), edgeN: edgeN.slice(), edgeWeight: edgeWeight.slice() };
  return { maps, links, ...arrays, largestWeight };
}
