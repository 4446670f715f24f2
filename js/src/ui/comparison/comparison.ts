// Networks beside each other, or their difference: one line of tools, one threshold, one table.

import { signal } from "@preact/signals-core";
import { count, expectation } from "../../logic/format.js";
import type { Palette } from "../../paint/palette.js";
import { createState } from "../../state/state.js";
import { createViewHistory } from "../../state/viewHistory.js";
import type { Host } from "../../wire/host.js";
import { createRequests } from "../../wire/requests.js";
import { footer } from "../footer/footer.js";
import { announcer } from "../graph/announcer.js";
import { type Drawn, type Graph, graph } from "../graph/graph.js";
import { legend, selectionWords } from "../graph/legend.js";
import { fill, h, nameOf, segmented } from "../kit/dom.js";
import { followKeys } from "../kit/keys.js";
import { followTheme } from "../kit/theme.js";
import { panes, paneToggles } from "../panes/panes.js";
import { notices } from "../status/notices.js";
import { fullScreenButton } from "../toolbar/fullscreen.js";
import { help } from "../toolbar/help.js";
import { searchField } from "../toolbar/searchField.js";
import { toolbar } from "../toolbar/toolbar.js";
import { widgetActions } from "../toolbar/widgetKeys.js";
import { createView, type View } from "../view.js";
import { changesTable } from "./changesTable.js";
import { differenceView } from "./differenceView.js";
import { comparisonExports } from "./exports.js";
import { link } from "./linked.js";
import { type Compared, type ComparisonView, compared, type OwnHost } from "./own.js";

/** Shows the comparison in `element` until the signal is aborted. */
export function mountComparison(
  element: HTMLElement,
  own: OwnHost,
  hosts: readonly Host[],
  abort: AbortSignal,
): void {
  const root = h("div", { class: "svr svr-comparison", "data-svr": "root", role: "group" });
  element.replaceChildren(root);
  abort.addEventListener("abort", () => root.remove(), { once: true });
  const palette = signal<Palette | null>(null);
  const views = hosts.map((host) => {
    const requests = createRequests(host, abort);
    return createView(createState(host, abort, requests.ask), host, requests, abort, palette);
  });
  const [view] = views;
  followTheme(root, view, (next) => {
    palette.value = next;
  });
  const shared = compared(own, views, abort);
  link(views, shared);
  view.watch(() => {
    root.style.setProperty("--svr-height", `${view.state.height.value}px`);
    root.setAttribute("aria-label", `Comparison of ${shared.names.value.join(" and ")}`);
  });
  const drawn = views.map((each) => graph(each, { legend: false, lead: view }));
  const beside = sides(views, shared, drawn);
  const changed = differenceView(views, shared);
  const difference = h("div", { class: "svr-body" }, changed.element);
  const exports = comparisonExports(views, shared, drawn, changed);
  view.watch(() => {
    const apart = shared.shown.value === "difference";
    beside.hidden = apart;
    difference.hidden = !apart;
  });
  root.append(
    tools(root, view, shared, drawn[0], exports),
    ...views.map(notices),
    beside,
    difference,
    changesTable(views, shared),
    footer(view, drawn[0].showLink, { names: shared.names, views }),
    announcer(view, () => drawn[0].hovered.value),
  );
  for (const type of ["keydown", "keyup", "keypress"] as const) {
    view.listen(root, type, (event) => event.stopPropagation());
  }
}

/** The line of tools, whose settings all networks follow. */
function tools(
  root: HTMLElement,
  view: View,
  own: Compared,
  drawn: Drawn & Graph,
  exports: HTMLElement,
): HTMLElement {
  const viewHistory = createViewHistory(view.state, view.signal);
  const search = searchField(view, drawn);
  const guide = help(view, null, () => ({
    "Keys on the graph": drawn.actions,
    "Keys anywhere": anywhere,
  }));
  const anywhere = widgetActions(view, viewHistory, search.focus, guide.open);
  followKeys(view, root, anywhere);
  root.append(guide.dialog);
  const choice = segmented<ComparisonView>(
    "view",
    [
      ["beside", "Beside", "The networks beside each other"],
      [
        "difference",
        "Difference",
        "Neurons by the change of their singular values; edges that came and went",
      ],
    ],
    (shown) => own.set("view", shown),
  );
  choice.element.classList.add("svr-counted");
  const toggles = paneToggles(view);
  view.watch(() => {
    choice.show(own.shown.value);
    toggles.hidden = own.shown.value === "difference";
  });
  const title = h("div", { class: "svr-title" });
  view.watch(() => {
    const names = own.names.value.flatMap((name, at) => [at > 0 && " · ", nameOf(name)]);
    fill(title, ...names);
    title.title = own.names.value.join(" · ");
  });
  return toolbar(view, viewHistory, {
    title,
    search: search.element,
    panes: toggles,
    views: choice.element,
    exports,
    isGraph: () => own.shown.value === "beside",
    fullScreen: fullScreenButton(view, root),
    help: guide.button,
  });
}

/** Each network with its name above and its panes beneath. */
function sides(views: readonly View[], own: Compared, drawn: readonly Graph[]): HTMLElement {
  const networks = views.map((view, at) => {
    const name = h("h3", {});
    const counts = h("span", { class: "svr-soft" });
    view.watch(() => {
      fill(name, nameOf(own.names.value[at]));
      const { value: scene } = view.state.scene;
      const ringed = view.state.marked.value;
      const cut = view.state.cut.value;
      if (!scene || !cut) return fill(counts);
      const rings = ringed?.neurons?.length ?? 0;
      const edges = `${count(cut.significant)} edge${cut.significant === 1 ? "" : "s"}`;
      const drawn = cut.drawn < cut.significant ? `${count(cut.drawn)} of ` : "";
      const words = rings > 0 ? ` · ${count(rings)} ${ringed?.word ?? ""}` : "";
      fill(counts, `${drawn}${edges}, ${expectation(cut.expected)} by chance${words}`);
    });
    return h(
      "section",
      { class: "svr-network", "data-svr": "network" },
      h("div", { class: "svr-network-head" }, name, counts, selectionWords(view)),
      h("div", { class: "svr-body" }, drawn[at].element, panes(view)),
    );
  });
  const [view] = views;
  const ring = h("span", {}, h("i", { class: "svr-ring" }), "new or gone");
  view.watch(() => {
    ring.hidden = !views.some(({ state }) => (state.marked.value?.neurons?.length ?? 0) > 0);
    ring.title = `no neuron of the other network is nearer than a cosine of ${own.least.value}`;
  });
  return h(
    "div",
    { class: "svr-beside" },
    h("div", { class: "svr-legends" }, legend(view, { marks: false, selection: false }), ring),
    h("div", { class: "svr-networks" }, ...networks),
  );
}
