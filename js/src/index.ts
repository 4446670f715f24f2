// What anywidget loads.

import type { AnyModel, RenderProps } from "@anywidget/types";
import { mountComparison } from "./ui/comparison/comparison.js";
import type { OwnHost } from "./ui/comparison/own.js";
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
  if (!controller.signal.aborted) show(model, el, controller.signal);
  return end;
}

/** One network; or several, whose widgets are models of their own. */
function show(model: AnyModel, el: HTMLElement, abort: AbortSignal): void {
  const sides = model.get("_sides") as readonly unknown[] | undefined;
  if (!sides) {
    mount(el, anywidgetHost(model as AnyModel<Traits>), abort);
    return;
  }
  Promise.all(sides.map((side) => modelOf(model, side)))
    .then((models) => {
      if (!abort.aborted) mountComparison(el, ownHost(model), models.map(anywidgetHost), abort);
    })
    .catch((error: Error) => {
      console.error(error);
      el.textContent = `The comparison could not be shown: ${error.message}`;
    });
}

/** The model that a trait refers to: some hosts hand it over, others its name. */
function modelOf(model: AnyModel, side: unknown): Promise<AnyModel<Traits>> {
  if (typeof side !== "string") return Promise.resolve(side as AnyModel<Traits>);
  const manager = model.widget_manager as unknown as
    | { get_model?(id: string): Promise<AnyModel<Traits>> }
    | undefined;
  if (!manager?.get_model) {
    const words = "this host shows one widget at a time; to_html writes the comparison as a page";
    return Promise.reject(new Error(words));
  }
  return manager.get_model(side.replace(/^IPY_MODEL_/, ""));
}

function ownHost(model: AnyModel): OwnHost {
  return {
    get: (name) => model.get(name),
    set: (name, value) => model.set(name, value),
    save: () => model.save_changes(),
    on(name, listener, signal) {
      const event = `change:${name}`;
      model.on(event, listener);
      signal.addEventListener("abort", () => model.off(event, listener), { once: true });
    },
  };
}

export default { render };
