// What the widget shows, as signals: the traits, mirrored; what follows from them; what only this
// view knows, such as what the pointer is over; and what can be done.

import { computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Folding } from "../geometry/columns.js";
import { opened, openedAround, stepped, toggled } from "../logic/folding.js";
import type { Hover } from "../logic/linkedHover.js";
import { type Cut, convert } from "../logic/threshold.js";
import type { CameraTrait, Host, PaneName, PublicTraits, Python, Status } from "../wire/host.js";
import { linkKeyOf } from "../wire/links/names.js";
import type { Ask } from "../wire/requests.js";
import {
  type Colour,
  coloured,
  type Law,
  type Method,
  type Mode,
  type Neuron,
  type Norm,
  readScene,
  type Scene,
} from "../wire/scene.js";
import type { Selection } from "../wire/timeline.js";
import { deriveFrom, type Filter } from "./derived.js";
import { createPlayback, type Playback } from "./playback.js";
import { previewOf, stateOfPreview } from "./preview.js";
import { createChange, mirror, mirrorPublic, Outbox, type PublicSignals } from "./traits.js";

export type State = ReturnType<typeof createState>;

/** `ask` is for the scenes of a timeline that have not come by themselves. */
export function createState(host: Host, abort: AbortSignal, ask: Ask | null = null) {
  const outbox = new Outbox();
  const traits = mirrorPublic(host, outbox, abort);
  const status: ReadonlySignal<Status> = mirror(host, "_status", abort);
  const python = signal(host.python());
  host.onPython(() => (python.value = host.python()), abort);
  const filter = signal<Filter | null>(null);
  const playback = createPlayback(host, traits.selected as Signal<Selection>, ask, abort);
  const { scene, fault } = sceneOnScreen(host, playback, traits.colour, abort);
  const derived = deriveFrom(traits, scene, filter);
  const change = createChange(host, traits, outbox, abort);
  const preview = previewOf(host, scene, fault, abort);
  const early = stateOfPreview(traits, preview, filter);
  return {
    ...traits,
    status,
    notice: mirror(host, "_notice", abort),
    python: python as ReadonlySignal<Python>,
    inputs: mirror(host, "_inputs", abort),
    marked: mirror(host, "_marked", abort),
    playback,
    scene,
    fault,
    hover: signal<Hover | null>(null),
    filter,
    lasso: signal(false),
    ...derived,
    ...createActions(change, traits, scene, derived.cut),
    ...folds(change, traits, scene, derived.folding),
    preview,
    /** What differs for a view that shows the preview. */
    early: { ...early, ...folds(change, traits, early.scene, early.folding) },
  };
}

/** The scene of the graph, or of the checkpoint on screen; and why there is none. */
function sceneOnScreen(
  host: Host,
  playback: Playback | null,
  colour: ReadonlySignal<Colour>,
  abort: AbortSignal,
) {
  const bytes = mirror(host, "_scene", abort);
  const fault = signal<Error | null>(null);
  const sent = computed<Scene | null>(() => {
    if (playback) return playback.scene.value;
    try {
      const read = readScene(bytes.value);
      queueMicrotask(() => (fault.value = null));
      return read;
    } catch (error) {
      queueMicrotask(() => (fault.value = error as Error));
      return null;
    }
  });
  const scene = computed(() => sent.value && coloured(sent.value, colour.value));
  return { scene, fault };
}

/** What folds modules and unfolds them. */
function folds(
  change: (changes: Partial<PublicTraits>) => void,
  traits: PublicSignals,
  scene: ReadonlySignal<Scene | null>,
  folding: ReadonlySignal<Folding | null>,
) {
  const now = () => traits.folded.peek() ?? null;
  return {
    /** Folds a module, or unfolds it. */
    toggleFold(module: number) {
      const { value } = scene;
      if (value?.modules[module]) change({ folded: toggled(value, now(), module) });
    },
    /** Unfolds whatever hides these maps. */
    unfoldTo(maps: readonly number[]) {
      const { value } = scene;
      if (!value) return;
      const folded = maps.reduce((names, map) => opened(value, names, map) ?? names, now());
      if (folded !== now()) change({ folded });
    },
    /** Unfolds whatever hides a module; it stays folded, or open. */
    unfoldAround(module: number) {
      const folded = scene.value && openedAround(scene.value, now(), module);
      if (folded) change({ folded });
    },
    /** Shows all modules one level further out or in. */
    stepFold(by: -1 | 1) {
      const folded = scene.value && folding.value && stepped(scene.value, folding.value, by);
      if (folded) change({ folded });
    },
  };
}

function createActions(
  change: (changes: Partial<PublicTraits>) => void,
  traits: PublicSignals,
  scene: ReadonlySignal<Scene | null>,
  cut: ReadonlySignal<Cut | null>,
) {
  // Going back to the mode one came from gives the level one had, not its rounded image.
  let origin: { from: Cut; mode: Mode; level: number } | null = null;
  return {
    apply: change,
    setLevel: (level: number) => change({ threshold: level }),
    setLaw: (law: Law) => change({ null: law }),
    /** Changes the mode and converts the level, so that about the same edges stay. */
    setMode(mode: Mode) {
      const now = cut.value;
      if (!now || !scene.value || mode === now.mode) return;
      const back = origin?.mode === now.mode && origin.level === now.level && origin.from;
      const level =
        back && back.mode === mode && back.law === now.law
          ? back.level
          : convert(scene.value, now, mode);
      origin = { from: now, mode, level };
      change({ threshold_mode: mode, threshold: level });
    },
    setBudget: (edges: number) => change({ max_edges: edges }),
    setMethod: (method: Method) => change({ method }),
    setNorm: (norm: Norm) => change({ norm }),
    resetCamera: () => {
      if (traits.camera.peek() !== null) change({ camera: null });
    },
    moveCamera: (camera: CameraTrait) => change({ camera }),
    setColour: (colour: Colour) => change({ colour }),
    setYScale: (scale: PublicTraits["y_scale"]) => change({ y_scale: scale }),
    togglePane(pane: PaneName) {
      const open = traits.panes.value;
      change({ panes: open.includes(pane) ? open.filter((at) => at !== pane) : [...open, pane] });
    },
    chooseLink(index: number) {
      const { value } = scene;
      if (value?.links[index]) change({ selected_link: linkKeyOf(value, index) });
    },
    select(neurons: readonly Neuron[]) {
      const maps = scene.value?.maps ?? [];
      change({ selected: neurons.map(({ map, k }) => [maps[map].name, k]) });
    },
  };
}
