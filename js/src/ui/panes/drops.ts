// An image that is dropped on a pane, or chosen from a file: its pixels go to Python.

import { signal } from "@preact/signals-core";
import { h } from "../kit/dom.js";
import type { Awaited } from "../status/status.js";
import type { View } from "../view.js";

/** Pixels a side that are sent, at most. */
const LARGEST = 1024;

/** `line` is where a file is chosen; what is dropped on the target goes the same way. */
export function followDrops(
  view: View,
  target: HTMLElement,
  welcome: { readonly value: boolean; peek(): boolean },
): { readonly line: HTMLElement; readonly awaited: Awaited } {
  const words = signal("");
  const busy = signal(false);
  const file = h("input", { type: "file", accept: "image/*", hidden: true });
  const choose = h("button", { type: "button", class: "svr-tool" }, "add an image …");
  const line = h("div", { class: "svr-drop" }, choose, file);
  view.watch(() => {
    choose.hidden = !welcome.value || view.state.python.value !== "here";
  });
  const send = async (image: File | undefined) => {
    if (!image || !welcome.peek()) return;
    busy.value = true;
    words.value = "";
    try {
      const { rgb, width, height } = await pixelsOf(image);
      const { name } = image;
      await view.ask({ kind: "drop", name, width, height }, [rgb.buffer as ArrayBuffer]);
    } catch (error) {
      words.value = (error as Error).message || `${image.name} is no image`;
    }
    busy.value = false;
  };
  view.listen(choose, "click", () => file.click());
  view.listen(file, "change", () => {
    void send(file.files?.[0]);
    file.value = "";
  });
  view.listen(target, "dragover", (event) => {
    if (!welcome.peek() || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    target.classList.add("svr-dropping");
  });
  view.listen(target, "dragleave", () => target.classList.remove("svr-dropping"));
  view.listen(target, "drop", (event) => {
    target.classList.remove("svr-dropping");
    const image = event.dataTransfer?.files[0];
    if (!image || !welcome.peek()) return;
    event.preventDefault();
    event.stopPropagation();
    void send(image);
  });
  return { line, awaited: { words, busy } };
}

async function pixelsOf(file: File): Promise<{ rgb: Uint8Array; width: number; height: number }> {
  const image = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} is no image that this browser can read`);
  });
  const share = Math.min(1, LARGEST / Math.max(image.width, image.height));
  const width = Math.max(1, Math.round(image.width * share));
  const height = Math.max(1, Math.round(image.height * share));
  const canvas = h("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) throw new Error("this browser gives no 2D canvas");
  context.drawImage(image, 0, 0, width, height);
  image.close();
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let at = 0; at < width * height; at++) rgb.set(data.subarray(4 * at, 4 * at + 3), 3 * at);
  return { rgb, width, height };
}
