// What a pane says while it waits for Python, and when that failed.

import { h } from "../kit/dom.js";
import type { View } from "../view.js";
import type { Resource } from "./resource.js";

export const ASKING = "Asking Python …";
const SILENT = "Python does not answer: this needs a running kernel.";

/** What may fail, and be waited for. */
export type Awaited = Pick<Resource<unknown>, "words" | "busy">;

/** Empty, and without height, where there is nothing to say. */
export function statusOf(view: View, resources: readonly Awaited[]): HTMLElement {
  const element = h("div", { class: "svr-soft svr-status", role: "status" });
  view.watch(() => {
    const failed = resources.map(({ words }) => words.value).find((words) => words !== "");
    const busy = resources.some((resource) => resource.busy.value);
    const words = failed ?? (busy ? (view.silent.value ? SILENT : ASKING) : "");
    say(element, words, failed !== undefined);
  });
  return element;
}

/** Shows words, or nothing; a failure stands out. */
export function say(element: HTMLElement, words: string, failed: boolean): void {
  element.textContent = words;
  element.hidden = words === "";
  element.classList.toggle("svr-failed", failed);
}
