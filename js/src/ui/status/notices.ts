// Messages above the picture: a setting that Python refused, maps that are not drawn, links that
// nobody gave, a Python that is gone or silent, and faults of the front end itself.

import { signal } from "@preact/signals-core";
import type { Python } from "../../wire/host.js";
import type { Damaged } from "../../wire/scene.js";
import { fill, h } from "../kit/dom.js";
import type { View } from "../view.js";

export function notices(view: View): HTMLElement {
  const { state } = view;
  const dismissed = signal("");
  const element = h("div", { class: "svr-notices" });
  const text = h("span", { role: "alert", "data-svr": "notice" });
  const dismiss = h("button", { type: "button", class: "svr-tool", "aria-label": "dismiss" }, "×");
  const notice = h("div", { class: "svr-notice" }, text, dismiss);
  const read = signal("");
  const unlinkedText = h("span", { role: "status", "data-svr": "unlinked" });
  const close = h("button", { type: "button", class: "svr-tool", "aria-label": "dismiss" }, "×");
  const unlinked = h("div", { class: "svr-notice" }, unlinkedText, close);
  view.listen(close, "click", () => {
    read.value = state.scene.value?.unlinked ?? "";
  });
  view.listen(dismiss, "click", () => {
    dismissed.value = state.notice.value;
  });
  view.watch(() => {
    const words = state.notice.value ?? "";
    if (words === "") dismissed.value = "";
    const fault = state.fault.value;
    text.textContent = words;
    const broken =
      fault &&
      h(
        "div",
        { class: "svr-notice svr-fault", role: "alert", "data-svr": "fault" },
        `This could not be shown: ${fault.message}`,
      );
    const apart = pythonInWords(state.python.value, view.silent.value);
    const missing =
      apart &&
      h("div", { class: "svr-notice", role: "status", "data-svr": "python" }, h("span", {}, apart));
    const damaged = damagedInWords(state.scene.value?.damaged ?? []);
    const left =
      damaged && h("div", { class: "svr-notice", role: "status", "data-svr": "damaged" }, damaged);
    const unknown = state.scene.value?.unlinked ?? "";
    unlinkedText.textContent = unknown;
    const unsaid = unknown !== "" && unknown !== read.value && unlinked;
    const refused = words !== "" && words !== dismissed.value && notice;
    fill(element, refused, left, unsaid, missing, broken);
  });
  return element;
}

const MOST_NAMED = 3;

/** Which maps are not drawn, the first of them with the reason. */
export function damagedInWords(damaged: readonly Damaged[]): string {
  if (damaged.length === 0) return "";
  const more = damaged.length - MOST_NAMED;
  const named = damaged.slice(0, MOST_NAMED).map(({ why }) => why);
  return `Not drawn: ${named.join("; ")}${more > 0 ? `; and ${more.toLocaleString("en")} more maps` : ""}.`;
}

function pythonInWords(python: Python, silent: boolean): string {
  if (python === "gone") {
    return (
      "Python is gone: the kernel was restarted or stopped. The graph stays alive; another method, " +
      "more edges and what the panes ask for need Python. Run the cell again."
    );
  }
  return silent ? "Python does not answer; it may be busy. The graph does without it." : "";
}
