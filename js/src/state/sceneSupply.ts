// Scenes of a timeline's checkpoints: those that come unasked while Python trains, those that a
// saved notebook holds, and those that are asked for.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import { type Bytes, decode } from "../wire/codec.js";
import type { Host } from "../wire/host.js";
import type { Ask } from "../wire/requests.js";
import type { Scene } from "../wire/scene.js";
import { createSceneStore } from "../wire/timeline.js";

const BUDGET = 256 * 2 ** 20;

export interface SceneSupply {
  /** Changes whenever scenes have come. */
  readonly arrivals: ReadonlySignal<number>;
  /** Null where the scene is not there; throws where it cannot be read. */
  get(step: number): Scene | null;
  /** Keeps the scenes of these steps only. */
  keep(steps: readonly number[]): void;
  /** Asks for a scene unless it is there or on its way. */
  fetch(step: number, failed: (error: Error) => void): void;
}

export function createSceneSupply(host: Host, ask: Ask | null, abort: AbortSignal): SceneSupply {
  const store = createSceneStore(BUDGET);
  const arrivals = signal(0);
  const asking = new Set<number>();
  const take = (step: number, bytes: Bytes) => {
    store.add(step, bytes);
    arrivals.value += 1;
  };
  const takeAll = (bytes: Bytes | null | undefined) => {
    if (!bytes || bytes.byteLength === 0) return;
    for (const [name, { data }] of decode(bytes).arrays) {
      const { buffer, byteOffset, byteLength } = data;
      if (!store.has(Number(name))) {
        store.add(Number(name), new DataView(buffer as ArrayBuffer, byteOffset, byteLength));
      }
    }
    arrivals.value += 1;
  };
  takeAll(host.get("_frames"));
  host.on("_frames", () => takeAll(host.get("_frames")), abort);
  host.onMessage((raw, buffers) => {
    const message = raw as { kind?: string; step?: number; id?: number } | null;
    if (message?.kind !== "frame" || message.id !== undefined) return;
    take(Number(message.step), buffers[0]);
  }, abort);
  // Another method: every scene is another one.
  host.on("method", () => store.clear(), abort);
  return {
    arrivals,
    get: store.get,
    keep: store.keep,
    fetch(step, failed) {
      if (!ask || asking.has(step) || store.has(step)) return;
      asking.add(step);
      ask({ kind: "frame", step }).then(
        ({ buffers }) => {
          asking.delete(step);
          if (!abort.aborted) take(step, buffers[0]);
        },
        (error: Error) => {
          asking.delete(step);
          failed(error);
        },
      );
    },
  };
}
