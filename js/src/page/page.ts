// What an exported page runs: its data, unpacked, behind the same views as in a notebook.

import { mountComparison } from "../ui/comparison/comparison.js";
import type { OwnHost } from "../ui/comparison/own.js";
import { mount } from "../ui/widget.js";
import { type Container, decode } from "../wire/codec.js";
import { pageHost, sidesOf } from "./pageHost.js";

const element = document.getElementById("svr") as HTMLElement;
try {
  const packed = document.getElementById("svr-data")?.textContent ?? "";
  show(element, decode(await unpack(packed)), new AbortController().signal);
} catch (error) {
  console.error(error);
  element.textContent = `The page could not be shown: ${(error as Error).message}`;
}

/** One network; or several, each with traits of its own beside those of the whole. */
function show(element: HTMLElement, container: Container, abort: AbortSignal): void {
  const sides = sidesOf(container);
  const host = pageHost(container);
  if (sides) mountComparison(element, host as unknown as OwnHost, sides.map(pageHost), abort);
  else mount(element, host, abort);
}

/** Base64 of gzip of a container. */
async function unpack(base64: string): Promise<DataView> {
  const signs = atob(base64.trim());
  const zipped = new Uint8Array(signs.length);
  // A call for each of millions, as `from` makes, takes seconds.
  for (let at = 0; at < signs.length; at++) zipped[at] = signs.charCodeAt(at);
  const plain = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new DataView(await new Response(plain).arrayBuffer());
}
