// What anywidget loads.

import type { RenderProps } from "@anywidget/types";
import { mount } from "./ui/widget.js";
import { anywidgetHost, type Traits } from "./wire/host.js";

function render({ model, el, signal }: RenderProps<Traits>): () => void {
  // Hosts older than anywidget 0.11 give no signal, only the call of the function returned here.
  const controller = new AbortController();
  const end = () => controller.abort();
  if (signal?.aborted) end();
  signal?.addEventListener("abort", end, { once: true, signal: controller.signal });
  // JupyterLab takes its shortcuts before any element hears the key, unless it is told not to.
  el.dataset.lmSuppressShortcuts = "true";
  if (!controller.signal.aborted) mount(el, anywidgetHost(model), controller.signal);
  return end;
}

export default { render };
