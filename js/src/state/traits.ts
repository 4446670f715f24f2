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

type Name = keyof PublicTraits;

/** What was set here and waits to be sent, and what was sent last, as JSON. */
export class Outbox {
  readonly waiting = new Map<Name, unknown>();
  readonly sent = new Map<Name, string>();

  /** Whether a change that comes in is only Python's late answer to what was sent before. */
  answers(name: Name, value: unknown): boolean {
    const newer = this.waiting.has(name) && value !== this.waiting.get(name);
    return newer && JSON.stringify(value) === this.sent.get(name);
  }
}

/** The traits that the page writes, too. */
export function mirrorPublic(host: Host, outbox: Outbox, abort: AbortSignal) {
  const trait = <K extends Name>(name: K) => {
    const mirrored = signal(host.get(name));
    const follow = () => {
      const value = host.get(name);
      // It would undo what was set since, until that is sent.
      if (outbox.answers(name, value)) return;
      if (value !== outbox.waiting.get(name)) outbox.waiting.delete(name);
      mirrored.value = value;
    };
    host.on(name, follow, abort);
    return mirrored;
  };
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
