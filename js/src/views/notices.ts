// Messages above the picture: a setting that Python refused, and faults of the front end itself.

import { signal } from "@preact/signals-core";
import { fill, h } from "./dom.js";
import type { View } from "./view.js";

export function notices(view: View): HTMLElement {
  const { state } = view;
  const dismissed = signal("");
  const element = h("div", { class: "svr-notices" });
  const text = h("span", { role: "alert", "data-svr": "notice" });
  const dismiss = h("button", { type: "button", class: "svr-tool", "aria-label": "dismiss" }, "×");
  const notice = h("div", { class: "svr-notice" }, text, dismiss);
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
    fill(element, words !== "" && words !== dismissed.value && notice, broken);
  });
  return element;
}
