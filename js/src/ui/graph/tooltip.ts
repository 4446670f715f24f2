// Words about what the pointer or the keyboard is at.

import { curveOf, pointOn, reachOf } from "../../geometry/bands.js";
import { type Bundle, bundleAt } from "../../geometry/bundles.js";
import type { Folding } from "../../geometry/columns.js";
import type { Layout } from "../../geometry/layout.js";
import { createPath, tracePath } from "../../geometry/paths.js";
import { type Point, placeTip } from "../../geometry/placement.js";
import { ribbonsOf } from "../../geometry/ribbons.js";
import { factsInWords, factsOf } from "../../logic/folding.js";
import { byConstruction, count, percent, pValue, significant, TIED } from "../../logic/format.js";
import type { Hover } from "../../logic/linkedHover.js";
import type { Cut } from "../../logic/threshold.js";
import { CONTRACT } from "../../wire/contract.js";
import { whichOf } from "../../wire/links/names.js";
import type { Edge, Neuron, Scene } from "../../wire/scene.js";
import { type Child, fill, h, nameOf, tailOf } from "../kit/dom.js";
import type { View } from "../view.js";
import type { HoverCanvas, Hovered } from "./canvases/hoverCanvas.js";
import { AXIS_WIDTH, type Stage } from "./stage.js";

const STRONGEST_SHOWN = 4;
const CHANCE = Math.log10(CONTRACT.levels.fdr.default);

interface Surroundings {
  readonly anchors: Point[];
  readonly obstacles: Point[];
}

export function tooltip(view: View, stage: Stage, { hovered }: HoverCanvas): HTMLElement {
  const { state } = view;
  const tip = h("div", {
    class: "svr-tip",
    "data-svr": "tooltip",
    "aria-hidden": true,
    hidden: true,
  });
  view.watch(() => {
    const scene = state.scene.value;
    const cut = state.cut.value;
    const hover = state.hover.value;
    const layout = stage.layout.value;
    tip.hidden = !scene || !cut || !hover || !layout;
    if (!scene || !cut || !hover || !layout) return;
    const bundles = state.bundles.value;
    const at = hover.kind === "ribbon" ? bundleAt(scene, layout.folding, bundles, hover.link) : -1;
    fill(
      tip,
      ...(at < 0
        ? wordsFor(scene, cut, hover, hovered.value)
        : aboutBundle(scene, cut, layout.folding, bundles.at(at))),
    );
    const { anchors, obstacles } =
      hover.kind === "ribbon"
        ? at < 0
          ? aroundRibbon(scene, layout, hover.link)
          : aroundBundle(scene, layout, bundles.at(at))
        : surroundings(scene, stage, hovered.value, state.highlighted.value?.path?.edges ?? []);
    const box = { width: tip.offsetWidth, height: tip.offsetHeight };
    const { x, y } = placeTip(box, layout.size, anchors, obstacles, AXIS_WIDTH);
    tip.style.transform = `translate(${x}px, ${y}px)`;
  });
  return tip;
}

function wordsFor(scene: Scene, cut: Cut, hover: Hover, hovered: Hovered): Child[] {
  if (hover.kind === "neuron") return aboutNeuron(scene, cut, hover.neuron, hovered.edges);
  return hover.kind === "ribbon" ? aboutRibbon(scene, hover.link) : aboutEdge(scene, cut, hover);
}

/** Beside the middle of its band, off the band. */
function aroundBundle(scene: Scene, layout: Layout, bundle: Bundle): Surroundings {
  const curve = curveOf(layout, reachOf(scene, layout), bundle);
  const obstacles = Array.from({ length: 17 }, (_, at) => pointOn(curve, at / 16));
  return { anchors: [pointOn(curve, 0.5)], obstacles };
}

function aboutBundle(scene: Scene, cut: Cut, folding: Folding, bundle: Bundle): Child[] {
  const { from, to, links } = bundle;
  const called = (column: number) => {
    const { module, maps } = folding.columns[column];
    const { label } = module === null ? scene.maps[maps[0]] : scene.modules[module];
    return tailOf(label);
  };
  const many = links.length === 1 ? "1 link" : `${count(links.length)} links`;
  const { through, backward, side } = scene.links[links[0]];
  const one = links.length === 1;
  return [
    h(
      "div",
      { class: "svr-tip-title" },
      ...(from === to ? ["within ", called(from)] : [called(from), " → ", called(to)]),
    ),
    h("div", {}, `${one ? "" : `${many}: `}${factsInWords(factsOf(scene, cut, bundle))}`),
    one && through.length > 0 && h("div", { class: "svr-soft" }, `through ${through.join("; ")}`),
    one &&
      side &&
      h("div", { class: "svr-soft" }, `read by its ${side === "q" ? "queries" : "keys"}`),
    one && backward && h("div", { class: "svr-soft" }, "runs against the flow of data"),
  ];
}

/** Beside the words of the band. */
function aroundRibbon(scene: Scene, layout: Layout, link: number): Surroundings {
  const anchors = ribbonsOf(scene, layout)
    .filter((ribbon) => ribbon.link === link)
    .map(({ words }) => words);
  return { anchors, obstacles: [] };
}

function aboutRibbon(scene: Scene, link: number): Child[] {
  const { producer, consumer, through } = scene.links[link];
  const [from, to] = [producer, consumer].map((map) => scene.maps[map]);
  return [
    h("div", { class: "svr-tip-title" }, tailOf(from.label), " → ", tailOf(to.label)),
    h("div", {}, `${TIED}: ${byConstruction(scene, link)}`),
    through.length > 0 && h("div", { class: "svr-soft" }, `through ${through.join("; ")}`),
  ];
}

function aboutNeuron(scene: Scene, cut: Cut, neuron: Neuron, edges: readonly Edge[]): Child[] {
  const map = scene.maps[neuron.map];
  const at = map.start + neuron.k;
  const value = scene.singularValue[at];
  const facts = h(
    "div",
    { class: "svr-facts" },
    fact("σ", significant(value)),
    fact("energy", percent(map.energy > 0 ? (value * value) / map.energy : 0)),
    scene.isNull[at]
      ? h("span", { class: "svr-soft" }, "null: its vectors are arbitrary")
      : scene.feeds[neuron.map]
        ? h("span", {}, fact("intensity", significant(scene.intensity[at], 2)), surety(scene, at))
        : h("span", { class: "svr-soft" }, scene.unlinked ? "no link is known" : "feeds no map"),
  );
  const strong = [...edges]
    .sort((a, b) => scene.edgeWeight[b.edge] - scene.edgeWeight[a.edge])
    .slice(0, STRONGEST_SHOWN);
  const rows = strong.map(({ link, m, n, edge }) => {
    const { producer, consumer } = scene.links[link];
    const outward = producer === neuron.map && m === neuron.k;
    const other = outward ? { map: consumer, k: n } : { map: producer, k: m };
    return h(
      "tr",
      {},
      h("td", { class: "svr-soft" }, outward ? "to" : "from"),
      h("td", {}, ...neuronName(scene, other)),
      ...measures(scene, cut, edge),
    );
  });
  const rest = edges.length - strong.length;
  return [
    h("div", { class: "svr-tip-title" }, ...neuronName(scene, neuron)),
    map.label !== map.name && h("div", { class: "svr-soft svr-qualified" }, nameOf(map.name)),
    facts,
    rows.length > 0 &&
      h(
        "table",
        {},
        h("caption", { class: "svr-soft" }, "strongest edges"),
        h(
          "thead",
          {},
          h("tr", {}, h("td", { colspan: 2 }), h("th", {}, "weight"), h("th", {}, "p")),
        ),
        h("tbody", {}, ...rows),
      ),
    rest > 0 && h("div", { class: "svr-soft" }, `and ${count(rest)} more`),
    rows.length === 0 && h("div", { class: "svr-soft" }, "no significant edge"),
  ];
}

function aboutEdge(scene: Scene, cut: Cut, hover: Extract<Hover, { kind: "edge" }>): Child[] {
  const { producer, consumer, through, backward, side } = scene.links[hover.link];
  const log10p = hover.edge === null ? null : scene.log10p[cut.law][hover.edge];
  const parallel = whichOf(scene, hover.link);
  return [
    h(
      "div",
      { class: "svr-tip-title" },
      ...neuronName(scene, { map: producer, k: hover.m }),
      " → ",
      ...neuronName(scene, { map: consumer, k: hover.n }),
    ),
    h(
      "div",
      { class: "svr-facts" },
      fact("weight", significant(hover.weight, 2)),
      log10p !== null && fact("p", pValue(log10p)),
      hover.edge === null && h("span", { class: "svr-soft" }, "not among the edges sent"),
    ),
    through.length > 0 && h("div", { class: "svr-soft" }, `through ${through.join("; ")}`),
    parallel && h("div", { class: "svr-soft" }, parallel),
    side && h("div", { class: "svr-soft" }, `read by its ${side === "q" ? "queries" : "keys"}`),
    backward && h("div", { class: "svr-soft" }, "runs against the flow of data"),
  ];
}

/** At which false discovery rate a neuron stands out among random ones. */
function surety({ log10pAdjusted }: Scene, at: number): Child {
  const log10p = log10pAdjusted?.[at];
  if (log10p === undefined || Number.isNaN(log10p)) return false;
  const words = log10p > CHANCE ? "no more than chance" : `beyond chance, FDR ${pValue(log10p)}`;
  return h("span", { class: "svr-soft" }, ` ${words}`);
}

function neuronName(scene: Scene, { map, k }: Neuron): Child[] {
  const { name, label } = scene.maps[map];
  const tail = h("span", { class: "svr-tail" }, nameOf(label, { title: name }));
  return [tail, h("span", { class: "svr-index" }, ` · ${count(k)}`)];
}

function measures(scene: Scene, cut: Cut, edge: number): HTMLElement[] {
  return [
    h("td", { class: "svr-number" }, significant(scene.edgeWeight[edge], 2)),
    h("td", { class: "svr-number" }, pValue(scene.log10p[cut.law][edge])),
  ];
}

const fact = (label: string, value: string) =>
  h("span", {}, h("span", { class: "svr-soft" }, label), ` ${value}`);

/** The neurons that the words are about, and points along what is highlighted, better not covered. */
function surroundings(
  scene: Scene,
  stage: Stage,
  { neurons, edges: lit }: Hovered,
  path: readonly Edge[],
): Surroundings {
  const edges = [...lit, ...path];
  const layout = stage.layout.peek();
  const obstacles: Point[] = [];
  if (!layout) return { anchors: [], obstacles };
  const at = ({ map, k }: Neuron) => ({
    x: layout.x[map],
    y: layout.y[scene.maps[map].start + k],
  });
  const course = createPath();
  const step = Math.max(1, Math.floor(edges.length / 48));
  for (let index = 0; index < edges.length; index += step) {
    const { link, m, n } = edges[index];
    const { points, length } = tracePath(scene, layout, link, m, n, course);
    // Zoomed in, a straight edge is far longer than what is seen of it.
    const apart = length > 4 ? 0.5 : 1 / (edges.length > 8 ? 16 : 160);
    for (let from = 0; from + 3 < length; from += 2) {
      for (let share = 0; share <= 1; share += apart) {
        const x = points[from] + (points[from + 2] - points[from]) * share;
        const y = points[from + 1] + (points[from + 3] - points[from + 1]) * share;
        if (x >= 0 && y >= 0 && x <= layout.size.width && y <= layout.size.height) {
          obstacles.push({ x, y });
        }
      }
    }
  }
  return { anchors: neurons.map(at), obstacles };
}
