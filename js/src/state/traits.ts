// The traits, mirrored as signals. A change acts here first and is sent after a pause, so nothing
// waits for Python.

import { batch, type Signal, signal } from "@preact/signals-core";
import type { Host, PublicTraits, Traits } from "../wire/host.js";
import { createSaver } from "./saver.js";

const SAVE_PAUSE = 120;

/** A trait as a signal that follows the host; writing it tells the host nothing. */
export function mirror<K extends keyof Traits>(
  host: Host,
  name: K,
  abort: AbortSignal,
): Signal<Traits[K]> {
  const mirrored = signal(host.get(name));
  host.on(name, () => (mirrored.value = host.get(name)), abort);
  return mirrored;
}

export type PublicSignals = ReturnType<typeof mirrorPublic>;

/** The traits that the page writes, too. */
export function mirrorPublic(host: Host, abort: AbortSignal) {
  const trait = <K extends keyof PublicTraits>(name: K) => mirror(host, name, abort);
  return {
    method: trait("method"),
    norm: trait("norm"),
    threshold_mode: trait("threshold_mode"),
    threshold: trait("threshold"),
    null: trait("null"),
    y_scale: trait("y_scale"),
    colour: trait("colour"),
    selected: trait("selected"),
    selected_link: trait("selected_link"),
    folded: trait("folded"),
    panes: trait("panes"),
    panes_width: trait("panes_width"),
    camera: trait("camera"),
    y_range: trait("y_range"),
    theme: trait("theme"),
    height: trait("height"),
    max_edges: trait("max_edges"),
    tour: trait("tour"),
  };
}

/** Gives what changes traits, all at once, here and then in Python. */
export function createChange(
  host: Host,
  traits: PublicSignals,
  abort: AbortSignal,
): (changes: Partial<PublicTraits>) => void {
  const saver = createSaver(host, SAVE_PAUSE, abort);
  return (changes) => {
    if (abort.aborted) return;
    batch(() => {
      for (const [name, value] of Object.entries(changes)) {
        (traits[name as keyof typeof traits] as Signal<unknown>).value = value;
      }
    });
    for (const [name, value] of Object.entries(changes)) {
      host.set(name as keyof PublicTraits, value as never);
    }
    saver.soon();
  };
}
