// The host of the widget, as the views see it: traits to read and write, messages to exchange.
// The views know nothing of Jupyter; whatever has a Host can show them.

import type { AnyModel } from "@anywidget/types";
import type { Bytes } from "./codec.js";
import type { CONTRACT } from "./contract.js";
import type { LinkKey } from "./links/names.js";
import type { Inputs } from "./pictures/images.js";
import type { Colour, Law, Method, Mode, Norm, YScale } from "./scene.js";

export type Theme = (typeof CONTRACT.themes)[number];
export type PaneName = (typeof CONTRACT.panes)[number];

/** A camera apart from any size: the zoom, and which shares of the picture lie in the middle. */
export type CameraTrait = readonly [zoom: number, x: number, y: number];

/** Singular values that the axis reaches to at least, so that two graphs can share it. */
export type ValueRange = readonly [smallest: number, largest: number];

/** Traits that the page and Python both write. */
export interface PublicTraits {
  method: Method;
  norm: Norm;
  threshold_mode: Mode;
  threshold: number;
  null: Law;
  y_scale: YScale;
  colour: Colour;
  selected: [string, number][];
  selected_link: LinkKey | null;
  /** Qualified names; null is as many as leave some 24 columns. */
  folded: readonly string[] | null;
  panes: readonly PaneName[];
  /** Pixels; null is about a third of the widget. */
  panes_width: number | null;
  /** Null is the whole graph, or of a deep one the part in which most was found. */
  camera: CameraTrait | null;
  /** Null is the graph's own. */
  y_range: ValueRange | null;
  theme: Theme;
  height: number;
  max_edges: number;
  tour: boolean;
  /** Of a timeline: the checkpoint on screen, by its step. */
  step?: number | null;
  /** Of a timeline: whether it shows the newest checkpoint as it comes. */
  following?: boolean;
}

/** Traits that only Python writes. */
export interface PrivateTraits {
  _scene: Bytes | null;
  /** What is known before there is a scene. */
  _preview?: Bytes | null;
  _status: Status;
  _notice: string;
  /** What the network is called beside others. */
  _name?: string;
  _inputs: Inputs | null;
  /** Neurons with a ring, and what that means, in a word and at length. */
  _marked?: Marked | null;
  /** Of a timeline: what is known of its checkpoints, and scenes of them by step. */
  _timeline?: Bytes | null;
  /** How many checkpoints there are, computed or not. */
  _recorded?: number;
  _frames?: Bytes | null;
}

export interface Marked {
  readonly word?: string;
  readonly meaning?: string;
  readonly neurons?: readonly (readonly [string, number])[];
}

export interface Status {
  state: "computing" | "ready" | "failed" | "cancelled";
  message?: string;
  map?: string;
  /** Maps and links, the first of them maps. */
  maps?: number;
  done?: number;
  total?: number;
  seconds_left?: number | null;
}

/** "gone" once the kernel was restarted or stopped, "none" where there never was one. */
export type Python = "here" | "gone" | "none";

export type Traits = PublicTraits & PrivateTraits;
export type MessageListener = (message: unknown, buffers: readonly Bytes[]) => void;

export interface Host {
  get<K extends keyof Traits>(name: K): Traits[K];
  set<K extends keyof PublicTraits>(name: K, value: PublicTraits[K]): void;
  /** Sends what `set` changed. */
  save(): void;
  send(message: object, buffers?: ArrayBuffer[]): void;
  /** Calls `listener` after each change of the trait, until the signal is aborted. */
  on(name: keyof Traits, listener: () => void, signal: AbortSignal): void;
  onMessage(listener: MessageListener, signal: AbortSignal): void;
  /** Whether Python is there, as far as the host says; a busy one is. */
  python(): Python;
  onPython(listener: () => void, signal: AbortSignal): void;
}

/** What ipywidgets has of every model, as far as it is used here. */
interface LiveModel {
  readonly comm_live?: boolean;
  on?(event: string, listener: () => void): void;
  off?(event: string, listener: () => void): void;
}

/** A host over anywidget's model. One event a call: marimo never fires for "change:a change:b". */
export function anywidgetHost(model: AnyModel<Traits>): Host {
  // biome-ignore lint/suspicious/noExplicitAny: the type that anywidget gives its listeners
  const listen = (event: string, listener: (...values: any[]) => void, signal: AbortSignal) => {
    if (signal.aborted) return;
    model.on(event, listener);
    signal.addEventListener("abort", () => model.off(event, listener), { once: true });
  };
  // Whether its own channel is alive anywidget does not tell. That of its layout, another model of
  // the same kernel that ipywidgets hands over whole, dies with it.
  const layout = () => (model as AnyModel).get("layout") as LiveModel | null | undefined;
  return {
    get: (name) => model.get(name),
    set: (name, value) => model.set(name, value as Traits[typeof name]),
    save: () => model.save_changes(),
    send: (message, buffers) => model.send(message, undefined, buffers),
    on: (name, listener, signal) => listen(`change:${name}`, () => listener(), signal),
    onMessage: (listener, signal) => listen("msg:custom", listener, signal),
    python: () => (layout()?.comm_live === false ? "gone" : "here"),
    onPython(listener, signal) {
      const event = "comm_live_update";
      const at = layout();
      if (signal.aborted) return;
      at?.on?.(event, listener);
      signal.addEventListener("abort", () => at?.off?.(event, listener), { once: true });
    },
  };
}
