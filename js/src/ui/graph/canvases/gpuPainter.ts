// Leaves the painting of edges to a graphics card where the page has one, else to workers.

import {
  createGpuPainter,
  type GpuPainter,
  graphicsCard,
  release,
} from "../../../paint/gpu/painter.js";
import type { Job } from "../../../paint/paintJob.js";
import { inNextFrame } from "../../kit/frames.js";
import type { View } from "../../view.js";
import { type Painter, type Show, workerPainter } from "./painters.js";

/** A card that needs longer for two pictures one after the other, in milliseconds, is left alone. */
const SLOW = 300;

/** One picture at a time: of those that are asked for meanwhile, the last. */
export function gpuPainter(view: View, show: Show): Painter {
  const canvas = document.createElement("canvas");
  let painter: GpuPainter | null = null;
  let workers: Painter | null = null;
  let wanted: Job | null = null;
  let shown: Job | null = null;
  let begun: { readonly job: Job; readonly since: number; readonly sync: WebGLSync } | null = null;
  let slow = 0;
  const gl = graphicsCard(canvas);

  const toWorkers = () => {
    if (workers || view.signal.aborted) return;
    painter = begun = null;
    if (gl) release(gl);
    workers = workerPainter(view, show);
    if (wanted && wanted !== shown) workers.paint(wanted);
  };
  const begin = () => {
    if (!gl || !painter || !wanted) return;
    if (!painter.canPaint(wanted)) return toWorkers();
    painter.paint(wanted);
    const sync = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
    // A lost context gives none, and soon says that it is lost.
    if (!sync) return;
    gl.flush();
    begun = { job: wanted, since: performance.now(), sync };
    later();
  };
  const look = () => {
    if (!gl || !painter || !begun || gl.isContextLost()) return;
    if (gl.clientWaitSync(begun.sync, 0, 0) === gl.TIMEOUT_EXPIRED) return later();
    const { job, since, sync } = begun;
    gl.deleteSync(sync);
    begun = null;
    painter.develop(job.ink);
    slow = performance.now() - since > SLOW ? slow + 1 : 0;
    shown = job;
    show({ job, image: canvas, done: true });
    if (slow > 1) toWorkers();
    else if (wanted !== job) begin();
  };
  const later = inNextFrame(view, look);

  const { signal } = view;
  try {
    if (gl) painter = createGpuPainter(gl);
  } catch (error) {
    console.warn(error); // a driver's fault: workers paint the same
  }
  if (!painter) toWorkers();
  canvas.addEventListener("webglcontextlost", view.guard(toWorkers), { signal });
  signal.addEventListener("abort", () => gl && release(gl), { once: true });
  return {
    paint(job) {
      wanted = job;
      if (workers) workers.paint(job);
      else if (!begun) begin();
    },
  };
}
