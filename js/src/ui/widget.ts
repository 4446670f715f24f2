// The whole widget, in one element.

import { signal } from "@preact/signals-core";
import type { Palette } from "../paint/palette.js";
import { createState } from "../state/state.js";
import { createViewHistory } from "../state/viewHistory.js";
import type { Host } from "../wire/host.js";
import { type Ask, createRequests } from "../wire/requests.js";
import { footer } from "./footer/footer.js";
import { timelineBar } from "./footer/timelineBar.js";
import { announcer } from "./graph/announcer.js";
import { graph } from "./graph/graph.js";
import { h } from "./kit/dom.js";
import { dragHandle } from "./kit/dragHandle.js";
import { followKeys } from "./kit/keys.js";
import { followTheme } from "./kit/theme.js";
import { panes, paneToggles } from "./panes/panes.js";
import { notices } from "./status/notices.js";
import { exportMenu } from "./toolbar/exportMenu.js";
import { fullScreenButton } from "./toolbar/fullscreen.js";
import { help } from "./toolbar/help.js";
import { searchField } from "./toolbar/searchField.js";
import { toolbar } from "./toolbar/toolbar.js";
import { widgetActions } from "./toolbar/widgetKeys.js";
import { tour } from "./tour/tour.js";
import { createView, type View } from "./view.js";

/** Shows the widget in `element` until the signal is aborted. */
export function mount(element: HTMLElement, host: Host, abort: AbortSignal): void {
  const root = h("div", { class: "svr", "data-svr": "root" });
  element.replaceChildren(root);
  abort.addEventListener("abort", () => root.remove(), { once: true });
  try {
    build(root, host, abort);
  } catch (error) {
    console.error(error);
    const words = `The widget could not be shown: ${(error as Error).message}`;
    root.append(h("div", { class: "svr-notice svr-fault", role: "alert" }, words));
  }
}

function build(root: HTMLElement, host: Host, abort: AbortSignal): void {
  const requests = createRequests(host, abort);
  const state = createState(host, abort, requests.ask);
  const { playback } = state;
  const ask: Ask = (question, buffers) =>
    requests.ask(playback ? { step: playback.shown.peek(), ...question } : question, buffers);
  const palette = signal<Palette | null>(null);
  const view = createView(state, host, { ...requests, ask }, abort, palette);
  followTheme(root, view, (next) => {
    palette.value = next;
  });
  view.watch(() => {
    root.style.setProperty("--svr-height", `${state.height.value}px`);
    const { value } = state.scene;
    const name = value ? `Singular value representation of ${value.model}` : "SVR widget";
    root.setAttribute("aria-label", name);
  });
  root.setAttribute("role", "group");
  const drawn = graph(view);
  const viewHistory = createViewHistory(state, abort);
  const search = searchField(view, drawn);
  const guided = tour(view, root);
  const guide = help(view, guided.start, () => ({
    "Keys on the graph": drawn.actions,
    "Keys anywhere": anywhere,
  }));
  const anywhere = widgetActions(view, viewHistory, search.focus, guide.open);
  followKeys(view, root, anywhere);
  root.append(
    toolbar(view, viewHistory, {
      search: search.element,
      panes: paneToggles(view),
      exports: exportMenu(view, drawn),
      fullScreen: fullScreenButton(view, root),
      help: guide.button,
    }),
    notices(view),
    guided.offer,
    h("div", { class: "svr-body" }, drawn.element, panes(view)),
    ...(state.playback ? [timelineBar(view, state.playback)] : []),
    footer(view, drawn.showLink),
    grip(view),
    announcer(view, () => drawn.hovered.value),
    guide.dialog,
    guided.element,
  );
  // Keys that mean something here mean something else to a notebook.
  for (const type of ["keydown", "keyup", "keypress"] as const) {
    view.listen(root, type, (event) => event.stopPropagation());
  }
}

/** The lower edge: a drag makes the widget taller or lower. */
function grip(view: View): HTMLElement {
  const { state } = view;
  const edge = dragHandle(view, {
    label: "height of the widget",
    runs: "horizontal",
    direction: 1,
    value: () => state.height.peek(),
    range: () => [LOWEST, HIGHEST],
    set: (pixels) => state.apply({ height: pixels }),
    reset: () => state.apply({ height: HEIGHT }),
  });
  edge.classList.add("svr-grip");
  return edge;
}

/** As Python's trait has them. */
const [HEIGHT, LOWEST, HIGHEST] = [620, 280, 4000];
