// What a comparison saves: the networks beside each other or their difference, as they are shown.

import { besideSvg } from "../../export/beside.js";
import { comparisonAsPython } from "../../export/python.js";
import type { Drawn } from "../graph/graph.js";
import { menuOf, pictureNow, thresholdInWords, viewNow } from "../toolbar/exportMenu.js";
import type { View } from "../view.js";
import type { DifferenceView } from "./differenceView.js";
import type { Compared } from "./own.js";

export function comparisonExports(
  views: readonly View[],
  own: Compared,
  drawn: readonly Drawn[],
  difference: DifferenceView,
): HTMLElement {
  const [view] = views;
  const isDifference = () => own.shown.peek() === "difference";
  return menuOf(view, {
    name: () => own.names.peek().join(" "),
    svg(style, edges) {
      const cut = view.state.cut.peek();
      if (isDifference()) return difference.svg(style, cut ? thresholdInWords(cut) : "");
      return besideSvg(
        views.map((each, at) => ({
          name: own.names.peek()[at],
          picture: pictureNow(each, drawn[at], style, edges),
        })),
      );
    },
    edges: () =>
      isDifference()
        ? difference.edges()
        : views.reduce((sum, { state }) => sum + (state.cut.peek()?.drawn ?? 0), 0),
    async page() {
      const { buffers } = await view.ask({ kind: "comparison", views: views.map(viewNow) });
      return buffers[0];
    },
    python() {
      const shown = { view: own.shown.peek(), least: own.least.peek() };
      return comparisonAsPython(
        views.map(({ trait }) => trait),
        shown,
      );
    },
  });
}
