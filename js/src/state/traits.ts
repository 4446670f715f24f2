// The traits, mirrored as signals. A change acts here first and is sent after a pause, so nothing
// waits for Python.

import { batch, type Signal, signal } from "@preact/signals-core";
import type { Host, PublicTraits, Traits } from "../wire/host.js";
import { createSaver } from "./saver.js";

const SAVE_PAUSE = 120;

/** A trait as a signal that follows the host where `accepts`; writing it tells the host nothing. */
export function mirror<K extends keyof Traits>(
  host: Host,
  name: K,
  abort: AbortSignal,
  accepts: (value: Traits[K]) => boolean = () => true,
): Signal<Traits[K]> {
  const mirrored = signal(host.get(name));
  const follow = () => {
    const value = host.get(name);
    if (accepts(value)) mirrored.value = value;
  };
  host.on(name, follow, abort);
  return mirrored;
}

export type PublicSignals = ReturnType<typeof mirrorPublic>;

type Name = keyof PublicTraits;

/** What was set here and waits to be sent, and what was sent last, as JSON. */
export class Outbox {
  readonly waiting = new Map<Name, unknown>();
  readonly sent = new Map<Name, string>();

  /**
   * Whether a change that comes in is one. Python's late answer to what was sent before is none: it
   * would undo what was set since, until that is sent. Anything else takes its place.
   */
  accepts(name: Name, value: unknown): boolean {
    if (!this.waiting.has(name) || value === this.waiting.get(name)) return true;
    if (JSON.stringify(value) === this.sent.get(name)) return false;
    this.waiting.delete(name);
    return true;
  }
}

/** The traits that the page writes, too. */
export function mirrorPublic(host: Host, outbox: Outbox, abort: AbortSignal) {
  const trait = <K extends Name>(name: K) =>
    mirror(host, name, abort, (value) => outbox.accepts(name, value));
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
  outbox: Outbox,
  abort: AbortSignal,
): (changes: Partial<PublicTraits>) => void {
  const send = () => {
    for (const [name, value] of outbox.waiting) {
      outbox.sent.set(name, JSON.stringify(value));
      host.set(name, value as never);
    }
    outbox.waiting.clear();
    host.save();
  };
  const saver = createSaver({ save: send }, SAVE_PAUSE, abort);
  return (changes) => {
    if (abort.aborted) return;
    for (const [name, value] of Object.entries(changes)) {
      outbox.waiting.set(name as Name, value);
    }
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
