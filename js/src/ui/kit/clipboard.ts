// Text to the clipboard, also where the host forbids the modern way.

import { h } from "./dom.js";

/** Returns whether that was allowed. */
export async function copyText(text: string, near: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { class: "svr-unseen", "aria-hidden": true });
    area.value = text;
    const focused = near.ownerDocument.activeElement;
    near.append(area);
    area.select();
    const copied = near.ownerDocument.execCommand("copy");
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return copied;
  }
}
