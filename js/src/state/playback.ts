// Which checkpoint of a timeline is on screen: sought, played, or the newest as it comes. Scenes
// come unasked while Python trains; what is missing is asked for, and the next ones ahead of time.

import {
  batch,
  computed,
  effect,
  type ReadonlySignal,
  type Signal,
  signal,
} from "@preact/signals-core";
import { type Bytes, decode } from "../wire/codec.js";
import type { Host } from "../wire/host.js";
import type { Ask } from "../wire/requests.js";
import { readScene, type Scene } from "../wire/scene.js";
import {
  type Chosen,
  chosenOf,
  createSceneStore,
  type History,
  presentIn,
  readHistory,
  type Selection,
} from "../wire/timeline.js";

/** Milliseconds from one checkpoint to the next while it plays. */
export const BEAT = 700;
/** After this long without a change it is at rest, and panes ask for what they show. */
const REST = 250;
const SAVE_PAUSE = 250;
const BUDGET = 256 * 2 ** 20;
const AHEAD = 4;

export interface Playback {
  readonly history: ReadonlySignal<History | null>;
  /** How many checkpoints there are, computed or not. */
  readonly recorded: ReadonlySignal<number>;
  /** The step on screen. */
  readonly shown: ReadonlySignal<number | null>;
  /** The step asked for: another one while its scene is on the way. */
  readonly wanted: ReadonlySignal<number | null>;
  readonly scene: ReadonlySignal<Scene | null>;
  readonly playing: ReadonlySignal<boolean>;
  readonly following: ReadonlySignal<boolean>;
  /** False while checkpoints change quickly. */
  readonly resting: ReadonlySignal<boolean>;
  /** Why the scene that is wanted cannot be had; empty where it can. */
  readonly trouble: ReadonlySignal<string>;
  /** Shows a checkpoint by its place; the last one is followed from then on. */
  seek(place: number): void;
  moveBy(places: number): void;
  toggle(): void;
}

/** Null for a widget of one graph. */
export function createPlayback(
  host: Host,
  selected: Signal<Selection>,
  ask: Ask | null,
  abort: AbortSignal,
): Playback | null {
  if (host.get("_timeline") === undefined) return null;
  const store = createSceneStore(BUDGET);
  const history = signal(readHistory(host.get("_timeline")));
  const recorded = signal(host.get("_recorded") ?? 0);
  host.on("_recorded", () => (recorded.value = host.get("_recorded") ?? 0), abort);
  const following = signal(host.get("following") ?? true);
  // Python does not tell the step of the newest, which the page finds by itself.
  const newest = following.peek() ? history.peek()?.steps.at(-1) : undefined;
  const wanted = signal<number | null>(newest ?? host.get("step") ?? null);
  const playing = signal(false);
  const resting = signal(true);
  const trouble = signal("");
  const arrivals = signal(0);
  const asking = new Set<number>();

  // The scene that Python shows is there before any frame.
  const first = readScene(host.get("_scene"));
  const current = signal<{ step: number | null; scene: Scene | null }>({
    step: wanted.peek(),
    scene: first,
  });

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
  host.on(
    "_timeline",
    () => {
      history.value = readHistory(host.get("_timeline"));
      const steps = history.value?.steps ?? [];
      store.keep(steps);
      if (steps.length > 0 && (following.peek() || !steps.includes(wanted.peek() ?? Number.NaN))) {
        host.set("step", steps[steps.length - 1]);
      }
    },
    abort,
  );
  // Another method: every scene is another one.
  host.on("method", () => store.clear(), abort);

  const fetch = (step: number) => {
    if (!ask || asking.has(step) || store.has(step)) return;
    asking.add(step);
    ask({ kind: "frame", step }).then(
      ({ buffers }) => {
        asking.delete(step);
        if (!abort.aborted) take(step, buffers[0]);
      },
      (error: Error) => {
        asking.delete(step);
        if (wanted.peek() === step) trouble.value = error.message;
      },
    );
  };

  const watch = (reaction: () => void) => {
    abort.addEventListener("abort", effect(reaction), { once: true });
  };
  watch(() => {
    arrivals.value;
    const step = wanted.value;
    if (step === null) return;
    let scene: Scene | null = null;
    try {
      scene = store.get(step);
    } catch (error) {
      trouble.value = (error as Error).message;
      return;
    }
    if (scene) {
      if (current.peek().scene !== scene) current.value = { step, scene };
      if (trouble.peek() !== "") trouble.value = "";
    } else fetch(step);
    const steps = history.peek()?.steps ?? [];
    const at = steps.indexOf(step);
    if (at < 0 || following.peek()) return;
    for (let next = at + 1; next <= at + AHEAD && next < steps.length; next++) fetch(steps[next]);
  });

  // Neurons that are selected stay so, wherever they stand; Python comes to the same by itself.
  let chosen: Chosen[] = first ? chosenOf(first, selected.peek() ?? []) : [];
  let last = first;
  let moved: Selection | null = null;
  watch(() => {
    const { scene } = current.value;
    if (!scene || scene === last) return;
    if (!last) chosen = chosenOf(scene, selected.peek() ?? []);
    last = scene;
    const now = presentIn(scene, chosen);
    if (JSON.stringify(now) === JSON.stringify(selected.peek() ?? [])) return;
    moved = now;
    host.set("selected", now);
    selected.value = now;
  });
  watch(() => {
    const now = selected.value ?? [];
    const { scene } = current.peek();
    if (scene && JSON.stringify(now) !== JSON.stringify(moved)) chosen = chosenOf(scene, now);
    moved = null;
  });

  let saving: ReturnType<typeof setTimeout> | undefined;
  let rest: ReturnType<typeof setTimeout> | undefined;
  const save = () => {
    saving = undefined;
    host.save();
  };
  const go = (step: number, follow: boolean) => {
    batch(() => {
      following.value = follow;
      wanted.value = step;
      resting.value = false;
    });
    host.set("following", follow);
    host.set("step", step);
    clearTimeout(saving);
    clearTimeout(rest);
    // What plays is not told step by step.
    if (!playing.peek()) saving = setTimeout(save, SAVE_PAUSE);
    rest = setTimeout(() => (resting.value = !playing.peek()), REST);
  };
  const seek = (place: number) => {
    const steps = history.peek()?.steps ?? [];
    const at = Math.max(0, Math.min(steps.length - 1, place));
    if (steps.length > 0) go(steps[at], at === steps.length - 1);
  };
  const placeNow = () => (history.peek()?.steps ?? []).indexOf(wanted.peek() ?? Number.NaN);

  // What Python sets is shown; the newest is followed here, until one scrubs back.
  host.on("step", () => (wanted.value = host.get("step") ?? wanted.peek()), abort);
  host.on(
    "following",
    () => {
      following.value = host.get("following") ?? true;
      if (!following.peek()) wanted.value = host.get("step") ?? wanted.peek();
    },
    abort,
  );

  let beat: ReturnType<typeof setTimeout> | undefined;
  const stop = () => {
    clearTimeout(beat);
    playing.value = false;
    resting.value = true;
    saving ??= setTimeout(save, SAVE_PAUSE);
  };
  const play = () => {
    const steps = history.peek()?.steps ?? [];
    const at = placeNow();
    const waiting = current.peek().step !== wanted.peek() && trouble.peek() === "";
    if (!waiting) {
      if (at >= steps.length - 1) return stop();
      seek(at + 1);
    }
    beat = setTimeout(play, BEAT);
  };
  abort.addEventListener(
    "abort",
    () => {
      for (const timer of [beat, rest]) clearTimeout(timer);
      if (saving !== undefined) {
        clearTimeout(saving);
        save();
      }
    },
    { once: true },
  );
  return {
    history,
    recorded,
    wanted,
    shown: computed(() => current.value.step),
    scene: computed(() => current.value.scene),
    playing,
    following,
    resting,
    trouble,
    seek(place) {
      if (playing.peek()) stop();
      seek(place);
    },
    moveBy(places) {
      if (playing.peek()) stop();
      seek(placeNow() + places);
    },
    toggle() {
      if (playing.peek()) return stop();
      const steps = history.peek()?.steps ?? [];
      if (steps.length < 2) return;
      playing.value = true;
      if (placeNow() >= steps.length - 1) {
        seek(0);
        beat = setTimeout(play, BEAT);
      } else play();
    },
  };
}
