// What stands in the picture's place while it is computed, and when that failed or was cancelled.

import { count, duration, previewInWords } from "../../logic/format.js";
import { fill, h, nameOf } from "../kit/dom.js";
import type { View } from "../view.js";

export function progress(view: View): HTMLElement {
  const { state } = view;
  const element = h("div", { class: "svr-progress", "data-svr": "status" });
  const cancel = h("button", { type: "button", class: "svr-tool" }, "Cancel");
  view.listen(cancel, "click", () => {
    cancel.disabled = true;
    cancel.textContent = "Cancelling …";
    view.cancel();
  });
  const resume = h("button", { type: "button", class: "svr-tool" }, "Go on");
  view.listen(resume, "click", view.resume);
  view.watch(() => {
    const status = state.status.value ?? { state: "computing" };
    element.dataset.state = status.state;
    const { value: preview } = state.preview;
    const early = preview ? previewInWords(preview.exact, preview.states.length) : "";
    element.classList.toggle("svr-over", state.scene.value !== null || preview !== null);
    element.hidden = status.state === "ready";
    if (status.state === "failed") {
      fill(
        element,
        h("strong", { role: "alert" }, "The computation failed"),
        h("p", {}, status.message || "Python gave no reason."),
        early && h("div", { class: "svr-soft" }, early),
      );
      return;
    }
    if (status.state === "cancelled") {
      fill(
        element,
        h("strong", { role: "status" }, "Computation cancelled"),
        state.python.value === "here" ? resume : h("p", {}, "Run the cell again to start it anew."),
        early && h("div", { class: "svr-soft" }, early),
      );
      return;
    }
    // Nothing is known yet of one that has just begun, perhaps in the place of a cancelled one.
    if (status.done === undefined) {
      cancel.disabled = false;
      cancel.textContent = "Cancel";
    }
    const { map, maps = 0, done = 0, total = 0, seconds_left: left } = status;
    const bar = h("progress", { "aria-label": "maps and links computed", max: total || 1 });
    if (total > 0) bar.value = done;
    const counted = total > 0 ? countedInWords(done, total, maps) : "";
    const time = left === null || left === undefined ? "" : `about ${duration(left)} left`;
    fill(
      element,
      h("div", {}, ...(map ? [doing(map), nameOf(map, { title: map })] : ["Computing"])),
      bar,
      h("div", { class: "svr-soft" }, [counted, time, early].filter(Boolean).join(" · ")),
      cancel,
    );
  });
  return element;
}

/** "12 of 183 maps", and after them the links between them. */
function countedInWords(done: number, total: number, maps: number): string {
  const links = total - maps;
  if (done < maps) {
    const rest = links > 0 ? `, then ${count(links)} link${links === 1 ? "" : "s"}` : "";
    return `${count(done)} of ${count(maps)} map${maps === 1 ? "" : "s"}${rest}`;
  }
  return `${count(done - maps)} of ${count(links)} link${links === 1 ? "" : "s"}`;
}

/** What is done with a map, or with a link, which is named by both its ends. */
function doing(name: string): string {
  return name.includes(" → ") ? "Joining " : "Decomposing ";
}
