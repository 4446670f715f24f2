// What the greys of a matrix mean.

import type { ReadonlySignal } from "@preact/signals-core";
import { significant } from "../../logic/format.js";
import { css, mix } from "../../paint/palette.js";
import { fill, h } from "../kit/dom.js";
import type { View } from "../view.js";
import { toneOf } from "./cells.js";
import type { ShownMatrix } from "./matrix.js";

const STEPS = 9;

/** A ramp from 0 to the largest entry; its middle says that small entries are kept apart. */
export function colourScale(view: View, shown: ReadonlySignal<ShownMatrix | null>): HTMLElement {
  const element = h("div", { class: "svr-soft svr-colour-scale", "data-svr": "scale" });
  element.title = "The root of an entry's share of the largest: small entries are kept apart";
  view.watch(() => {
    const palette = view.palette.value;
    const max = shown.value?.facts.max ?? 0;
    element.hidden = !palette || max <= 0;
    if (!palette || max <= 0) return;
    const colours = Array.from({ length: STEPS }, (_, at) =>
      css(mix(palette.paper, palette.ink, toneOf(at / (STEPS - 1), 1))),
    );
    const style = `background:linear-gradient(to right, ${colours.join(", ")})`;
    fill(element, "0", h("i", { class: "svr-scale-ramp", style }), significant(max, 2));
  });
  return element;
}
