// What the colours mean.

import { signal } from "@preact/signals-core";
import { count, pValue, significant, TIED, TIED_MEANING } from "../../logic/format.js";
import { edgeAlpha, fullWeight } from "../../paint/density.js";
import { css, kindColour, mix } from "../../paint/palette.js";
import { CONTRACT } from "../../wire/contract.js";
import { BACKWARD, columnsOf, linksWithEdges } from "../../wire/links/columns.js";
import type { Neuron } from "../../wire/scene.js";
import { fill, h, nameOf, setAttributes } from "../kit/dom.js";
import type { View } from "../view.js";

/** Neurons of a path that are named. */
const NAMED = 5;
const BAND_MEANING =
  "Who feeds whom: a band a link, as wide as what was found on it; of folded modules all their links";
const STEPS = [0, 0.25, 0.5, 0.75, 1];

/**
 * `marks`: whether it explains the rings, and `selection`: whether it says what is selected, both of
 * which others may do.
 */
export function legend(view: View, { marks = true, selection = true } = {}): HTMLElement {
  const { state } = view;
  const element = h("div", { class: "svr-legend", role: "note", "aria-label": "legend" });
  const holder = h("div", { class: "svr-above" }, selection && selectionWords(view), element);
  view.watch(() => {
    const scene = state.scene.value;
    const cut = state.cut.value;
    const palette = view.palette.value;
    if (!scene || !cut || !palette) return fill(element);
    const kinds = [...new Set(scene.maps.map(({ kind }) => kind))];
    const colour = (kind: string) => css(kindColour(palette, kind));
    const dots = [...new Set(kinds.map(colour))].map((shown) => {
      const alike = kinds.filter((kind) => colour(kind) === shown);
      const style = `background:${shown}`;
      return h("span", {}, h("i", { class: "svr-dot", style }), alike.join(", "));
    });
    const hue = kindColour(palette, kinds[0] ?? "other");
    const shades = ramp(STEPS.map((share) => css(mix(palette.neutral, hue, share))));
    const vivid = scene.hue === scene.intensity ? byIntensity(shades) : byChance(shades);
    let weakest = Number.POSITIVE_INFINITY;
    let strongest = 0;
    let full = 1;
    for (const link of linksWithEdges(scene.links)) {
      const drawn = cut.drawnPerLink[link];
      if (drawn === 0) continue;
      const { start } = scene.links[link];
      weakest = Math.min(weakest, scene.edgeWeight[start + drawn - 1]);
      if (scene.edgeWeight[start] <= strongest) continue;
      strongest = scene.edgeWeight[start];
      full = fullWeight(scene, link);
    }
    const greys = STEPS.map((share) => {
      const alpha = edgeAlpha(weakest + (strongest - weakest) * share, full);
      return css(mix(palette.paper, palette.ink, alpha));
    });
    const [from, to] = [significant(weakest, 2), significant(strongest, 2)];
    const meaning = "The darkest are the strongest of their link; in a crowd weak ones fade";
    const weight = h(
      "span",
      { title: meaning },
      `edge weight ${from}`,
      ramp(greys),
      from !== to && to,
    );
    const hollow = scene.unlinked ? "no link is known" : "feeds no map";
    const edges = strongest > 0 ? weight : h("span", {}, "no edge is significant");
    const marked = state.marked.value;
    const someNull = scene.isNull.includes(1);
    const { flags, tied } = columnsOf(scene.links);
    const backward = flags.some((flag) => (flag & BACKWARD) !== 0);
    fill(
      element,
      ...dots,
      scene.feeds.includes(true) && vivid,
      !scene.unlinked && edges,
      scene.feeds.includes(false) && h("span", {}, h("i", { class: "svr-dot svr-hollow" }), hollow),
      someNull && h("span", {}, h("i", { class: "svr-dot svr-null" }), "null"),
      marks &&
        (marked?.neurons?.length ?? 0) > 0 &&
        h("span", { title: marked?.meaning }, h("i", { class: "svr-ring" }), marked?.word),
      backward && h("span", {}, h("i", { class: "svr-dash" }), "backward"),
      scene.links.length > 0 &&
        h("span", { title: BAND_MEANING }, h("i", { class: "svr-link-band" }), "link"),
      tied.length > 0 && h("span", { title: TIED_MEANING }, h("i", { class: "svr-band" }), TIED),
    );
  });
  return holder;
}

/** How many are selected, `of` which network, and the strongest path through them, in words. */
export function selectionWords(view: View, of?: () => string): HTMLElement {
  const { state } = view;
  const words = h("span", { class: "svr-selection-words" });
  const clear = h(
    "button",
    { type: "button", class: "svr-tool", "aria-label": "clear selection", title: "Esc" },
    "×",
  );
  const element = h("div", { class: "svr-selection", "data-svr": "selection" }, words, clear);
  view.listen(clear, "click", () => state.select([]));
  const unfolded = signal(false);
  let shown: string | undefined;
  const toggle = (name: string) => {
    const expanded = unfolded.peek();
    const title = expanded ? "show less of the path" : "show the whole path";
    const button = h(
      "button",
      { type: "button", class: "svr-go", "aria-expanded": expanded, title },
      name,
    );
    view.listen(button, "click", () => {
      unfolded.value = !expanded;
      words.querySelector("button")?.focus({ preventScroll: true });
    });
    return button;
  };
  view.watch(() => {
    const [scene, highlighted, cut] = [state.scene.value, state.highlighted.value, state.cut.value];
    element.hidden = !scene || !highlighted || !cut;
    if (!scene || !highlighted || !cut) return;
    const { neurons, path } = highlighted;
    const written = JSON.stringify(path?.neurons);
    if (written !== shown) unfolded.value = false;
    shown = written;
    const name = ({ map, k }: Neuron) => [nameOf(scene.maps[map].label), `\u00a0${k}`];
    const one = neurons.length === 1 ? [": ", ...name(neurons[0])] : [];
    const chosen = h(
      "span",
      {},
      h("i", { class: "svr-chosen-mark" }),
      ...(of ? [nameOf(of()), ": "] : []),
      `${count(neurons.length)} selected`,
      ...one,
    );
    element.title = path
      ? path.neurons.map(({ map, k }) => `${scene.maps[map].name} ${k}`).join(" → ")
      : "";
    const weakest = Math.max(...(path?.edges ?? []).map(({ edge }) => scene.log10p[cut.law][edge]));
    fill(
      words,
      chosen,
      path === null
        ? h("span", {}, "on no path of significant edges")
        : h(
            "span",
            {},
            h("i", { class: "svr-path-mark" }),
            "the path ",
            ...pathInWords(path.neurons, unfolded.value ? path.neurons.length : NAMED).flatMap(
              (at, place) => [
                place > 0 && ", ",
                ...(typeof at === "number" ? [toggle(`${count(at)} more`)] : name(at)),
              ],
            ),
            ` at p\u00a0≤\u00a0${pValue(weakest).replaceAll(" ", "\u00a0")}`,
            unfolded.value && " ",
            unfolded.value && toggle("less"),
          ),
    );
    words.classList.toggle("svr-long", unfolded.value);
    setAttributes(words, { tabindex: unfolded.value ? 0 : null });
  });
  return element;
}

/** Of many neurons the first and the last ones; between them, how many more there are. */
function pathInWords(neurons: readonly Neuron[], most: number): (Neuron | number)[] {
  if (neurons.length <= most) return [...neurons];
  const first = neurons.slice(0, most - 2);
  return [...first, neurons.length - first.length - 1, neurons[neurons.length - 1]];
}

const byIntensity = (shades: HTMLElement) =>
  h(
    "span",
    { title: "How far a neuron's edges depart from chance, within its map (paper, section 3.2)" },
    "intensity 0",
    shades,
    "1",
  );

const CERTAIN = `${100 * CONTRACT.certain} %`;

const byChance = (shades: HTMLElement) =>
  h(
    "span",
    {
      title:
        "Grey: random neurons would have edges like its own. The more vivid, the surer it is that " +
        "they would not, by the paper's intensity (section 3.2) against random ones; full from a " +
        `false discovery rate of ${CERTAIN} over the graph's neurons on`,
    },
    "like chance",
    shades,
    `FDR ${CERTAIN}`,
  );

function ramp(colours: readonly string[]): HTMLElement {
  const style = `background:linear-gradient(to right, ${colours.join(", ")})`;
  return h("i", { class: "svr-ramp", style });
}
