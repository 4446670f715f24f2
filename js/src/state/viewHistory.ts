// Back and forward through what was seen: camera, selection, link, scale and threshold. A step is
// complete once nothing has changed for a moment, so a drag or a walk is one step.

import { effect, type ReadonlySignal, signal } from "@preact/signals-core";
import type { PublicTraits } from "../wire/host.js";
import type { State } from "./state.js";

export interface ViewHistory {
  readonly canGoBack: ReadonlySignal<boolean>;
  readonly canGoForward: ReadonlySignal<boolean>;
  go(by: -1 | 1): void;
}

const KEPT = 100;
const PAUSE = 600;
const SEEN = [
  "camera",
  "selected",
  "selected_link",
  "folded",
  "y_scale",
  "colour",
  "threshold_mode",
  "threshold",
  "null",
] as const;

type Seen = Pick<PublicTraits, (typeof SEEN)[number]>;

export function createViewHistory(state: State, abort: AbortSignal): ViewHistory {
  const history = createSteps<Seen>(KEPT, sameView);
  const canGoBack = signal(false);
  const canGoForward = signal(false);
  let timer: ReturnType<typeof setTimeout> | undefined;

  const seen = () =>
    Object.fromEntries(SEEN.map((name) => [name, state[name].value])) as unknown as Seen;
  const tell = () => {
    canGoBack.value = history.can(-1);
    canGoForward.value = history.can(1);
  };
  let current: Seen | null = null;
  const settle = () => {
    clearTimeout(timer);
    timer = undefined;
    // Before there is a picture nothing was seen.
    if (current) history.settle(current);
    tell();
  };
  const end = effect(() => {
    const ready = state.scene.value !== null;
    const view = seen();
    if (!ready) return;
    const first = current === null;
    current = view;
    clearTimeout(timer);
    if (first) settle();
    else timer = setTimeout(settle, PAUSE);
  });
  abort.addEventListener(
    "abort",
    () => {
      end();
      clearTimeout(timer);
    },
    { once: true },
  );
  return {
    canGoBack,
    canGoForward,
    go(by) {
      if (timer !== undefined) settle();
      const view = history.move(by);
      if (!view) return;
      state.apply(view);
      settle();
    },
  };
}

function sameView(a: Seen, b: Seen): boolean {
  return SEEN.every((name) => {
    const [one, other] = [a[name], b[name]];
    return one === other || (Array.isArray(one) && Array.isArray(other) && sameList(one, other));
  });
}

/** Lists of names, of numbers, or of pairs of a name and an index. */
function sameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return (
    a.length === b.length &&
    a.every((one, index) => {
      const other = b[index];
      return one === other || (Array.isArray(one) && Array.isArray(other) && sameList(one, other));
    })
  );
}

/** Steps through what was seen, as a browser's back and forward. */
export interface Steps<T> {
  /** Notes what is seen now; what equals the present step is no new one. */
  settle(view: T): void;
  /** The step before or after, which then is the present one; null at either end. */
  move(by: -1 | 1): T | null;
  can(by: -1 | 1): boolean;
}

/** Keeps at most `capacity` steps; the oldest are forgotten first. */
export function createSteps<T>(capacity: number, same: (a: T, b: T) => boolean): Steps<T> {
  const steps: T[] = [];
  let present = -1;
  const can = (by: -1 | 1) => present + by >= 0 && present + by < steps.length;
  return {
    can,
    settle(view) {
      if (present >= 0 && same(steps[present], view)) return;
      steps.splice(present + 1, steps.length, view);
      if (steps.length > capacity) steps.shift();
      present = steps.length - 1;
    },
    move(by) {
      if (!can(by)) return null;
      present += by;
      return steps[present];
    },
  };
}
