// Steps through what was seen, as a browser's back and forward. Pure: when a step is complete is
// decided outside.

export interface History<T> {
  /** Notes what is seen now; what equals the present step is no new one. */
  settle(view: T): void;
  /** The step before or after, which then is the present one; null at either end. */
  move(by: -1 | 1): T | null;
  can(by: -1 | 1): boolean;
}

/** Keeps at most `capacity` steps; the oldest are forgotten first. */
export function createHistory<T>(capacity: number, same: (a: T, b: T) => boolean): History<T> {
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
