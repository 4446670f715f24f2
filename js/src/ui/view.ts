// What every view is given: the state, a way to ask Python, and subscriptions that end with the
// view and show what they throw.

import { effect, type ReadonlySignal } from "@preact/signals-core";
import type { Palette } from "../paint/palette.js";
import type { State } from "../state/state.js";
import type { Host } from "../wire/host.js";
import type { Ask, Requests } from "../wire/requests.js";

export interface View {
  readonly state: State;
  readonly ask: Ask;
  /** True while Python leaves questions without an answer. */
  readonly silent: ReadonlySignal<boolean>;
  readonly signal: AbortSignal;
  readonly palette: ReadonlySignal<Palette | null>;
  /** The traits as they are in this view. */
  readonly trait: Pick<Host, "get">;
  /** Asks Python to stop computing. */
  cancel(): void;
  /** Asks it to go on with what was cancelled. */
  resume(): void;
  /** Runs `reaction` now and after each change of a signal that it reads. */
  watch(reaction: () => void): void;
  listen<K extends keyof HTMLElementEventMap>(
    target: HTMLElement,
    type: K,
    listener: (event: HTMLElementEventMap[K]) => void,
    options?: AddEventListenerOptions,
  ): void;
  /** The function, with whatever it throws shown in the widget. */
  guard<A extends unknown[]>(run: (...values: A) => void): (...values: A) => void;
}

export function createView(
  state: State,
  trait: Pick<Host, "get">,
  requests: Requests,
  signal: AbortSignal,
  palette: ReadonlySignal<Palette | null>,
): View {
  const guard = <A extends unknown[]>(run: (...values: A) => void) => {
    return (...values: A) => {
      try {
        run(...values);
      } catch (error) {
        console.error(error);
        const fault = error instanceof Error ? error : new Error(String(error));
        queueMicrotask(() => (state.fault.value = fault));
      }
    };
  };
  return {
    state,
    ...requests,
    signal,
    palette,
    trait,
    guard,
    watch(reaction) {
      if (signal.aborted) return;
      signal.addEventListener("abort", effect(guard(reaction)), { once: true });
    },
    listen(target, type, listener, options) {
      target.addEventListener(type, guard(listener), { ...options, signal });
    },
  };
}
