// Which checkpoint of a timeline is on screen: sought, played, or the newest as it comes. A scene
// that is missing is asked for, and the next ones ahead of time.

import {
  batch,
  computed,
  effect,
  type ReadonlySignal,
  type Signal,
  signal,
} from "@preact/signals-core";
import type { Host } from "../wire/host.js";
import type { Ask } from "../wire/requests.js";
import { readScene, type Scene } from "../wire/scene.js";
import {
  type Chosen,
  chosenOf,
  type History,
  presentIn,
  readHistory,
  type Selection,
} from "../wire/timeline.js";
import { createSaver } from "./saver.js";
import { createSceneSupply, type SceneSupply } from "./sceneSupply.js";

/** Milliseconds from one checkpoint to the next while it plays. */
export const BEAT = 700;
/** After this long without a change it is at rest, and panes ask for what they show. */
const REST = 250;
const SAVE_PAUSE = 250;
const AHEAD = 4;

export interface Playback {
  readonly history: ReadonlySignal<History | null>;
  /** How many checkpoints there are, computed or not. */
  readonly recorded: ReadonlySignal<number>;
  /** The step on screen. */
  readonly shown: ReadonlySignal<number | null>;
  /** The step asked for: another one while its scene is on the way. */
  readonly wanted: ReadonlySignal<number | null>;
  /** Its place among the checkpoints; -1 where it is none of them. */
  readonly place: ReadonlySignal<number>;
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

/** The step that is wanted, and the scene on screen, which is another one's until that has come. */
interface OnScreen {
  readonly step: number | null;
  readonly scene: Scene | null;
}

/** Null for a widget of one graph. */
export function createPlayback(
  host: Host,
  selected: Signal<Selection>,
  ask: Ask | null,
  abort: AbortSignal,
): Playback | null {
  if (host.get("_timeline") === undefined) return null;
  const history = signal(readHistory(host.get("_timeline")));
  const recorded = signal(host.get("_recorded") ?? 0);
  host.on("_recorded", () => (recorded.value = host.get("_recorded") ?? 0), abort);
  const following = signal(host.get("following") ?? true);
  // Python does not tell the step of the newest, which the page finds by itself.
  const newest = following.peek() ? history.peek()?.steps.at(-1) : undefined;
  const wanted = signal<number | null>(newest ?? host.get("step") ?? null);
  const trouble = signal("");
  // The scene that Python shows is there before any frame.
  const scene = readScene(host.get("_scene"));
  const current = signal<OnScreen>({ step: wanted.peek(), scene });
  const watch = (reaction: () => void) => {
    abort.addEventListener("abort", effect(reaction), { once: true });
  };

  const supply = createSceneSupply(host, ask, abort);
  const place = computed(() => {
    const steps = history.value?.steps ?? [];
    // Python may tell the newest step before the checkpoints that it is the newest of.
    return following.value ? steps.length - 1 : steps.indexOf(wanted.value ?? Number.NaN);
  });
  const checkpoints = { history, wanted, place, following, current, trouble };
  host.on(
    "_timeline",
    () => {
      history.value = readHistory(host.get("_timeline"));
      const steps = history.value?.steps ?? [];
      supply.keep(steps);
      if (steps.length > 0 && (following.peek() || !steps.includes(wanted.peek() ?? Number.NaN))) {
        host.set("step", steps[steps.length - 1]);
      }
    },
    abort,
  );
  watch(() => showWanted(checkpoints, supply));
  keepSelection(host, current, selected, watch);

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
  return {
    history,
    recorded,
    wanted,
    place,
    shown: computed(() => current.value.step),
    scene: computed(() => current.value.scene),
    following,
    trouble,
    ...createControls(host, checkpoints, abort),
  };
}

interface Checkpoints {
  readonly history: Signal<History | null>;
  readonly wanted: Signal<number | null>;
  readonly place: ReadonlySignal<number>;
  readonly following: Signal<boolean>;
  readonly current: Signal<OnScreen>;
  readonly trouble: Signal<string>;
}

/** Puts the scene that is wanted on screen as soon as it is there; asks for it and the next ones. */
function showWanted(checkpoints: Checkpoints, supply: SceneSupply): void {
  const { history, wanted, following, current, trouble } = checkpoints;
  const fetch = (step: number) =>
    supply.fetch(step, (error) => {
      if (wanted.peek() === step) trouble.value = error.message;
    });
  supply.arrivals.value;
  const step = wanted.value;
  if (step === null) return;
  let scene: Scene | null = null;
  try {
    scene = supply.get(step);
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
}

/** Neurons that are selected stay so, wherever they stand; Python comes to the same by itself. */
function keepSelection(
  host: Host,
  current: ReadonlySignal<OnScreen>,
  selected: Signal<Selection>,
  watch: (reaction: () => void) => void,
): void {
  const first = current.peek().scene;
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
}

type Controls = Pick<Playback, "playing" | "resting" | "seek" | "moveBy" | "toggle">;

/** Moves through the checkpoints, by hand or in time. */
function createControls(
  host: Host,
  { history, wanted, place, following, current, trouble }: Checkpoints,
  abort: AbortSignal,
): Controls {
  const playing = signal(false);
  const resting = signal(true);
  const saver = createSaver(host, SAVE_PAUSE, abort);
  let rest: ReturnType<typeof setTimeout> | undefined;
  let beat: ReturnType<typeof setTimeout> | undefined;
  const steps = () => history.peek()?.steps ?? [];
  const go = (step: number, follow: boolean) => {
    batch(() => {
      following.value = follow;
      wanted.value = step;
      resting.value = false;
    });
    host.set("following", follow);
    host.set("step", step);
    clearTimeout(rest);
    // What plays is not told step by step.
    if (playing.peek()) saver.hold();
    else saver.soon();
    rest = setTimeout(() => (resting.value = !playing.peek()), REST);
  };
  const seek = (to: number) => {
    const all = steps();
    const at = Math.max(0, Math.min(all.length - 1, to));
    if (all.length > 0) go(all[at], at === all.length - 1);
  };
  const stop = () => {
    clearTimeout(beat);
    playing.value = false;
    resting.value = true;
    saver.soon();
  };
  const play = () => {
    const waiting = current.peek().step !== wanted.peek() && trouble.peek() === "";
    if (!waiting) {
      const next = place.peek() + 1;
      if (next >= steps().length) return stop();
      seek(next);
    }
    beat = setTimeout(play, BEAT);
  };
  abort.addEventListener(
    "abort",
    () => {
      for (const timer of [beat, rest]) clearTimeout(timer);
    },
    { once: true },
  );
  return {
    playing,
    resting,
    seek(to) {
      if (playing.peek()) stop();
      seek(to);
    },
    moveBy(places) {
      if (playing.peek()) stop();
      seek(place.peek() + places);
    },
    toggle() {
      if (playing.peek()) return stop();
      if (steps().length < 2) return;
      playing.value = true;
      if (place.peek() >= steps().length - 1) {
        seek(0);
        beat = setTimeout(play, BEAT);
      } else play();
    },
  };
}
