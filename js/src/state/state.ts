// What the widget shows, as signals: the traits, mirrored; what follows from them; and what only
// this view knows, such as what the pointer is over. A change acts here first and is sent after a
// pause, so nothing waits for Python.

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals-core";
import type { Hover } from "../logic/linkedHover.js";
import { search } from "../logic/searchMaps.js";
import { type Highlighted, highlightedBy, maskOf } from "../logic/strongestPath.js";
import { type Cut, convert, cutAtLevel } from "../logic/threshold.js";
import type {
  CameraTrait,
  Host,
  PaneName,
  PublicTraits,
  Python,
  Status,
  Traits,
} from "../wire/host.js";
import { findLink, linkKeyOf } from "../wire/links.js";
import type { Ask } from "../wire/requests.js";
import {
  type Law,
  type Method,
  type Mode,
  type Neuron,
  type Norm,
  readScene,
  type Scene,
} from "../wire/scene.js";
import type { Selection } from "../wire/timeline.js";
import { createPlayback } from "./playback.js";

/** Columns are to stand out by their names: those that match the words, or the one of that name. */
export interface Filter {
  readonly words: string;
  readonly exactly: boolean;
  /** False while it is still being typed. */
  readonly kept: boolean;
}

const SAVE_PAUSE = 120;

export type State = ReturnType<typeof createState>;

/** `ask` is for the scenes of a timeline that have not come by themselves. */
export function createState(host: Host, abort: AbortSignal, ask: Ask | null = null) {
  const trait = <K extends keyof Traits>(name: K): Signal<Traits[K]> => {
    const mirror = signal(host.get(name));
    host.on(name, () => (mirror.value = host.get(name)), abort);
    return mirror;
  };
  const traits = {
    method: trait("method"),
    norm: trait("norm"),
    threshold_mode: trait("threshold_mode"),
    threshold: trait("threshold"),
    null: trait("null"),
    y_scale: trait("y_scale"),
    selected: trait("selected"),
    selected_link: trait("selected_link"),
    panes: trait("panes"),
    camera: trait("camera"),
    y_range: trait("y_range"),
    theme: trait("theme"),
    height: trait("height"),
    max_edges: trait("max_edges"),
  };
  const status: ReadonlySignal<Status> = trait("_status");
  const notice = trait("_notice");
  const inputs = trait("_inputs");
  const marked = trait("_marked");
  const bytes = trait("_scene");
  const python = signal(host.python());
  host.onPython(() => (python.value = host.python()), abort);
  const fault = signal<Error | null>(null);
  const hover = signal<Hover | null>(null);
  const filter = signal<Filter | null>(null);
  const lasso = signal(false);

  const playback = createPlayback(host, traits.selected as Signal<Selection>, ask, abort);
  const scene = computed<Scene | null>(() => {
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

  const law = computed<Law>(() => {
    const known: readonly Law[] = scene.value?.laws ?? ["exact"];
    return known.includes(traits.null.value) ? traits.null.value : known[0];
  });

  /** The cut as far as the page can work it out. */
  const nearCut = computed<Cut | null>(() => {
    const { value } = scene;
    if (!value) return null;
    const mode = traits.threshold_mode.value;
    return cutAtLevel(value, law.value, mode, traits.threshold.value);
  });
  /** A cut that Python told; another level may have been chosen since. */
  const toldCut = signal<Cut | null>(null);
  const cut = computed<Cut | null>(() => {
    const [near, told] = [nearCut.value, toldCut.value];
    if (!near || near.exact || !told) return near;
    const isMeant =
      told.law === near.law && told.mode === near.mode && told.level === traits.threshold.value;
    return isMeant ? told : near;
  });

  const mapByName = computed(
    () => new Map(scene.value?.maps.map((map, index) => [map.name, index] as const)),
  );

  const selected = computed<readonly Neuron[]>(() => {
    const neurons: Neuron[] = [];
    for (const [name, k] of traits.selected.value ?? []) {
      const map = mapByName.value.get(name);
      if (map !== undefined && k >= 0 && k < (scene.value?.maps[map].neurons ?? 0)) {
        neurons.push({ map, k });
      }
    }
    return neurons;
  });

  /** The maps that the filter matches: the others are dimmed; null without a filter. */
  const matched = computed<ReadonlySet<number> | null>(() => {
    const { value } = scene;
    if (!value || !filter.value) return null;
    const { words, exactly } = filter.value;
    if (!exactly) return new Set(search(value, words).maps);
    return new Set(mapByName.value.has(words) ? [mapByName.value.get(words) as number] : []);
  });

  /** 1 at each selected neuron, and what lights up for them; null where nothing is selected. */
  const selectedMask = computed<Uint8Array | null>(() => {
    const { value } = scene;
    return value && selected.value.length > 0 ? maskOf(value, selected.value) : null;
  });
  const highlighted = computed<Highlighted | null>(() => {
    const { value } = scene;
    if (!value || !cut.value || !selectedMask.value) return null;
    return highlightedBy(value, cut.value, selected.value, selectedMask.value);
  });

  /** The link in the adjacency pane: the chosen one, else the first. */
  const link = computed<number | null>(() => {
    const { value } = scene;
    if (!value || value.links.length === 0) return null;
    const key = traits.selected_link.value;
    return (key && findLink(value, key)) ?? 0;
  });

  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    host.save();
  };
  abort.addEventListener("abort", flush, { once: true });

  const change = (changes: Partial<PublicTraits>) => {
    if (abort.aborted) return;
    batch(() => {
      for (const [name, value] of Object.entries(changes)) {
        (traits[name as keyof typeof traits] as Signal<unknown>).value = value;
      }
    });
    for (const [name, value] of Object.entries(changes)) {
      host.set(name as keyof PublicTraits, value as never);
    }
    if (timer !== undefined) clearTimeout(timer);
    timer = setTimeout(flush, SAVE_PAUSE);
  };

  // Going back to the mode one came from gives the level one had, not its rounded image.
  let origin: { from: Cut; mode: Mode; level: number } | null = null;

  return {
    ...traits,
    status,
    notice,
    python: python as ReadonlySignal<Python>,
    inputs,
    marked,
    playback,
    fault,
    hover,
    filter,
    matched,
    lasso,
    scene,
    law,
    nearCut,
    toldCut,
    cut,
    link,
    selectedNeurons: selected,
    selectedMask,
    highlighted,
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
    apply: change,
    setBudget: (edges: number) => change({ max_edges: edges }),
    setMethod: (method: Method) => change({ method }),
    setNorm: (norm: Norm) => change({ norm }),
    resetCamera: () => {
      if (traits.camera.peek() !== null) change({ camera: null });
    },
    moveCamera: (camera: CameraTrait) => change({ camera }),
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
