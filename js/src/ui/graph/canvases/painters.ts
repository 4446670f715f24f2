// Who paints the edges: workers, so that the page stays free, or the page itself, a slice a frame,
// where the edges are few or workers are forbidden.

import { createPainting, type Job } from "../../../paint/paintJob.js";
import type { Role } from "../../../paint/worker.js";
import { newsOf, type Order, type Report } from "../../../paint/workerPool.js";
import { linksWithEdges, plainOf } from "../../../wire/links/columns.js";
import type { Drawable } from "../../../wire/scene.js";
import { inNextFrame } from "../../kit/frames.js";
import type { View } from "../../view.js";

/** The worker's code, as `build.mjs` bundles it. */
declare const SVR_WORKER: string;

/** Painting fewer edges than this takes no longer than a frame or two. */
export const FEW_EDGES = 20_000;
/** More would hold more copies of the edges than they save time. */
const MOST_WORKERS = 4;
/** Milliseconds of painting between two frames of the page. */
const SLICE = 16;

export interface Painted {
  readonly job: Job;
  /** RGBA, of the size that the job asks for; or a canvas of it, to be copied at once. */
  readonly image: Uint32Array<ArrayBuffer> | HTMLCanvasElement;
  readonly done: boolean;
}

export interface Painter {
  /** Asks for a picture; another that is in the making is left as it is. */
  paint(job: Job): void;
}

export type Show = (picture: Painted) => void;

export function pagePainter(view: View, show: Show): Painter {
  const painting = createPainting();
  let job: Job | null = null;
  const turn = () => {
    if (!job) return;
    const done = painting.work(SLICE);
    show({ job, image: painting.picture(), done });
    if (!done) later();
  };
  const later = inNextFrame(view, turn);
  return {
    paint(next) {
      job = next;
      painting.begin(next);
      turn();
    },
  };
}

/** Leaves the painting to workers, one a core; to the page where none may be started. */
export function workerPainter(view: View, show: Show): Painter {
  const jobs = new Map<number, Job>();
  let last = 0;
  let sent: Job | null = null;
  let fallback: Painter | null = null;
  let ready = false;
  const worker = startWorkers(view);
  const withoutWorker = () => {
    worker?.terminate();
    fallback = pagePainter(view, show);
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
      show({ job, image: data.pixels, done: data.done });
    }),
  );
  return {
    paint(job) {
      if (fallback) return fallback.paint(job);
      const news = newsOf(job, sent);
      sent = job;
      jobs.set(++last, job);
      worker?.postMessage({ id: last, job: withEdges(news, job.scene) } satisfies Order);
    },
  };
}

/** Starts a lead and its helpers; null where a content security policy forbids workers. */
function startWorkers(view: View): Worker | null {
  const url = URL.createObjectURL(new Blob([SVR_WORKER], { type: "text/javascript" }));
  const start = () => {
    const worker = new Worker(url);
    view.signal.addEventListener("abort", () => worker.terminate(), { once: true });
    return worker;
  };
  try {
    const lead = start();
    const many = Math.min(MOST_WORKERS, navigator.hardwareConcurrency) - 1;
    const helpers = Array.from({ length: many }, () => startHelper(view, start()));
    lead.postMessage({ role: "lead", helpers } satisfies Role, helpers);
    return lead;
  } catch {
    return null;
  } finally {
    // The workers have the URL by now; where they were refused, nobody needs it.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

/** Gives the port at which the helper takes orders from the lead. */
function startHelper(view: View, worker: Worker): MessagePort {
  const { port1, port2 } = new MessageChannel();
  worker.postMessage({ role: "helper", lead: port1 } satisfies Role, [port1]);
  let runs = false;
  worker.addEventListener("message", () => (runs = true), { once: true });
  worker.addEventListener(
    "error",
    view.guard((event: ErrorEvent) => {
      // The lead does without one that never ran.
      if (runs) throw new Error(`a worker that paints the edges failed: ${event.message}`);
    }),
  );
  return port2;
}

/** The same without the links of which no edge was sent. */
function withEdges(news: Partial<Job>, whole: Drawable): Partial<Job> {
  const links = linksWithEdges(whole.links);
  const { scene, drawn } = news;
  return {
    ...news,
    ...(scene && { scene: drawableOf(scene, links) }),
    ...(drawn && { drawn: Uint32Array.from(links, (link) => drawn[link]) }),
  };
}

/** Copies of the arrays: a view would be sent with the whole buffer that it lies in. */
function drawableOf(scene: Drawable, links: Int32Array): Drawable {
  const { maps, edgeM, edgeN, edgeWeight, largestWeight } = scene;
  const arrays = { edgeM: edgeM.slice(), edgeN: edgeN.slice(), edgeWeight: edgeWeight.slice() };
  return {
    maps,
    links: Array.from(links, (link) => plainOf(scene.links[link])),
    ...arrays,
    largestWeight,
  };
}
