// The whole screen for the widget; where the host forbids that, the whole window.

import { signal } from "@preact/signals-core";
import { h } from "../kit/dom.js";
import type { View } from "../view.js";

export function fullScreenButton(view: View, root: HTMLElement): HTMLElement {
  const button = h("button", { type: "button", class: "svr-tool svr-icon" }, "⤢");
  const full = signal(false);
  const fillsWindow = () => root.hasAttribute("popover");

  const enter = async () => {
    try {
      await root.requestFullscreen();
    } catch {
      // Forbidden or unknown here. The browser's top layer at least is not held in by whatever
      // element of the host would keep a fixed element within itself.
      if (view.signal.aborted) return;
      root.setAttribute("popover", "manual");
      root.showPopover?.();
      full.value = true;
    }
  };
  const leave = () => {
    if (fillsWindow()) {
      root.hidePopover?.();
      root.removeAttribute("popover");
      full.value = false;
    } else if (isFullScreen(root)) void document.exitFullscreen();
  };
  document.addEventListener(
    "fullscreenchange",
    view.guard(() => (full.value = isFullScreen(root))),
    { signal: view.signal },
  );
  view.listen(button, "click", () => (full.peek() ? leave() : void enter()));
  view.listen(
    root,
    "keydown",
    (event) => {
      if (event.key !== "Escape" || !fillsWindow()) return;
      event.stopPropagation();
      leave();
    },
    { capture: true },
  );
  view.signal.addEventListener("abort", leave, { once: true });
  view.watch(() => {
    root.dataset.full = String(full.value);
    button.setAttribute("aria-pressed", String(full.value));
    const words = full.value ? "leave full screen" : "full screen";
    button.setAttribute("aria-label", words);
    button.title = full.value ? "Leave full screen (Esc)" : "Full screen";
  });
  return button;
}

/** Whether the element is the one on screen, also where it stands in a shadow tree. */
function isFullScreen(root: HTMLElement): boolean {
  return (root.getRootNode() as Document | ShadowRoot).fullscreenElement === root;
}
