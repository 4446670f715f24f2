// Sending what was set, so that a drag or a word that is typed is one message and not fifty.

import type { Host } from "../wire/host.js";

export interface Saver {
  /** Sends what was set once there was a pause, at the latest when the view ends. */
  soon(): void;
  /** Leaves it to whoever calls `soon` next. */
  hold(): void;
}

export function createSaver(host: Pick<Host, "save">, pause: number, abort: AbortSignal): Saver {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hold = () => {
    clearTimeout(timer);
    timer = undefined;
  };
  const flush = () => {
    if (timer === undefined) return;
    hold();
    host.save();
  };
  abort.addEventListener("abort", flush, { once: true });
  return {
    hold,
    soon() {
      hold();
      timer = setTimeout(flush, pause);
    },
  };
}
