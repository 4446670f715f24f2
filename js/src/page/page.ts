// What an exported page runs: its data, unpacked, behind the same views as in a notebook.

import { mount } from "../ui/widget.js";
import { decode } from "../wire/codec.js";
import { pageHost } from "./pageHost.js";

const element = document.getElementById("svr") as HTMLElement;
try {
  const packed = document.getElementById("svr-data")?.textContent ?? "";
  mount(element, pageHost(decode(await unpack(packed))), new AbortController().signal);
} catch (error) {
  console.error(error);
  element.textContent = `The page could not be shown: ${(error as Error).message}`;
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
