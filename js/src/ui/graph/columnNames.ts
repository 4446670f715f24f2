// The names beneath the columns: of every column that is seen, of its neighbours beside the frame,
// and whole of the one that is pointed at.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import { type Column, hasModulesInSight } from "../../geometry/columns.js";
import { areApart, beside, columnLabels, lengthIn } from "../../geometry/labels.js";
import type { Layout } from "../../geometry/layout.js";
import { count } from "../../logic/format.js";
import type { LinearMap, Scene } from "../../wire/scene.js";
import { fill, h, nameOf } from "../kit/dom.js";
import type { View } from "../view.js";
import { AXIS_WIDTH, namesStripOf, type Stage, stripOf } from "./stage.js";

/** The height of the buttons that fold and unfold, left of the names. */
const CORNER = 28;
/** A pinned name is never longer. */
const PINNED = 120;
const APART = 12;

export function columnNames(view: View, stage: Stage): HTMLElement[] {
  const { state } = view;
  const names = h("div", { class: "svr-column-names" });
  const pins = h("div", { class: "svr-column-pins" });
  view.watch(() => {
    const [layout, scene] = [stage.layout.value, state.scene.value];
    if (!layout || !scene) return fill(names);
    const { angle, columnX } = layout;
    const { columns } = layout.folding;
    const frame = frameOf(layout);
    const labels = columns.map(({ label }) => label);
    const strip = namesStripOf(scene, layout);
    // The buttons that fold modules stand beside the names, or beside the brackets beneath them.
    const beneath = stripOf(scene, layout) - strip;
    const taken = hasModulesInSight(layout.folding) ? CORNER - beneath : 0;
    const shown = columnLabels(labels, columnX, frame, angle, strip, stage.measure, taken);
    const counts = columns.map((column) => contentOf(scene, column));
    const seen = shown.map(({ index }) => index);
    const counted =
      angle === 0 &&
      areApart(
        seen.map((at) => counts[at]),
        seen.map((at) => columnX[at]),
        frame,
        stage.measure,
      );
    names.dataset.angle = String(angle);
    const matched = state.matched.value;
    fill(
      names,
      ...shown.map(({ index, text, at }) => {
        const column = columns[index];
        const { module, maps } = column;
        return h(
          module === null ? "div" : "button",
          {
            class: matched && !maps.some((map) => matched.has(map)) && "svr-dim",
            style: `left:${at}px`,
            title: describe(scene, column),
            "data-map": maps[0],
            "data-column": index,
            ...(module !== null && { type: "button", "data-fold": module, tabindex: -1 }),
            "aria-expanded": module === null ? null : "false",
            "aria-label": module === null ? null : `${column.name}, ${counts[index]}`,
          },
          nameOf(text),
          counted && h("small", {}, counts[index]),
        );
      }),
    );
    fill(pins, ...pinned(scene, layout, shown[0]?.at, shown.at(-1)?.at, stage));
  });
  view.watch(() => {
    // The words beside a neuron say its column's name; beneath the axis it stands out.
    const { value: hover } = state.hover;
    const layout = stage.layout.value;
    const at = hover?.kind === "neuron" ? String(layout?.folding.columnOf[hover.neuron.map]) : null;
    state.matched.value;
    for (const label of names.querySelectorAll<HTMLElement>("[data-column]")) {
      label.classList.toggle("svr-at", label.dataset.column === at);
    }
  });
  return [names, pins, pointedAt(view, stage)];
}

const frameOf = ({ size }: Layout) => [AXIS_WIDTH - 4, size.width - 2] as const;

/** The columns just beside the frame, at its edges, where the names that are seen leave room. */
function pinned(
  scene: Scene,
  layout: Layout,
  first: number | undefined,
  last: number | undefined,
  { measure }: Stage,
): HTMLElement[] {
  const frame = frameOf(layout);
  const [left, right] = beside(layout.columnX, frame);
  const { columns } = layout.folding;
  const reach =
    layout.angle === 0
      ? PINNED / 2
      : lengthIn(namesStripOf(scene, layout), layout.angle) * Math.SQRT1_2;
  const pin = (index: number | null, side: "left" | "right") => {
    if (index === null) return [];
    const words = columns[index].label;
    const width = Math.min(PINNED, measure(words)) + 24;
    const free =
      side === "left"
        ? (first ?? Number.POSITIVE_INFINITY) - reach - frame[0]
        : frame[1] - (last ?? Number.NEGATIVE_INFINITY) - (layout.angle === 0 ? reach : APART);
    if (free < width + APART) return [];
    return [
      h(
        "div",
        {
          class: `svr-pin svr-pin-${side}`,
          title: describe(scene, columns[index]),
          "data-pin": index,
        },
        side === "left" && "← ",
        h("span", { class: "svr-tail" }, nameOf(words)),
        side === "right" && " →",
      ),
    ];
  };
  return [...pin(left, "left"), ...pin(right, "right")];
}

/** The whole name of the column that the pointer is at beneath the axis. */
function pointedAt(view: View, stage: Stage): HTMLElement {
  const { state } = view;
  const element = h("div", { class: "svr-column-name", hidden: true, "data-svr": "column" });
  const under = columnUnder(view, stage);
  view.watch(() => {
    const [layout, scene, index] = [stage.layout.value, state.scene.value, under.value];
    element.hidden = !layout || !scene || index === null;
    if (!layout || !scene || index === null) return;
    const column = layout.folding.columns[index];
    const { name, maps, module } = column;
    const label = module === null ? scene.maps[maps[0]].label : name;
    const [words, ...more] = describe(scene, column).split("\n");
    const said = [label === name ? "" : label, words].filter(Boolean);
    fill(
      element,
      ...said.map((each) => nameOf(each)),
      h("span", { class: "svr-soft" }, more.join(" ")),
    );
    const [low, high] = frameOf(layout);
    const half = element.offsetWidth / 2;
    const at = Math.max(low + half, Math.min(high - half, layout.columnX[index]));
    element.style.left = `${Math.max(half, at)}px`;
  });
  return element;
}

/** The column nearest to the pointer while that is in the strip beneath the axis. */
function columnUnder(view: View, stage: Stage): ReadonlySignal<number | null> {
  const under = signal<number | null>(null);
  view.listen(stage.element, "pointermove", (event) => {
    const [layout, scene] = [stage.layout.peek(), view.state.scene.peek()];
    const box = stage.element.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (!layout || !scene || event.buttons > 0) return;
    const isBelow = y >= layout.size.height - stripOf(scene, layout);
    under.value = isBelow && x >= AXIS_WIDTH / 2 ? nearest(layout, x) : null;
  });
  view.listen(stage.element, "pointerleave", () => {
    under.value = null;
  });
  return under;
}

function nearest({ columnX: x }: Layout, at: number): number | null {
  let found: number | null = null;
  for (let index = 0; index < x.length; index++) {
    if (found === null || Math.abs(x[index] - at) < Math.abs(x[found] - at)) found = index;
  }
  return found;
}

/** "64", or how many are shown of those there are. */
const neuronsOf = ({ neurons, rank }: LinearMap) =>
  neurons === rank ? count(neurons) : `${count(neurons)} of ${count(rank)}`;

/** The same; of a folded module how many columns it has. */
const contentOf = ({ maps }: Scene, column: Column) =>
  column.module === null ? neuronsOf(maps[column.maps[0]]) : `${count(column.maps.length)} columns`;

function describe({ maps }: Scene, column: Column): string {
  const map = maps[column.maps[0]];
  if (column.module !== null) {
    const neurons = column.maps.reduce((sum, at) => sum + maps[at].neurons, 0);
    const held = `${count(column.maps.length)} columns, ${count(neurons)} spectral neurons`;
    return `${column.name}\n${held}; a click unfolds them`;
  }
  const kernel = map.kernel.length > 0 ? ` × ${map.kernel.join(" × ")}` : "";
  const rank =
    map.neurons === map.rank
      ? `${count(map.rank)} spectral neurons`
      : `rank ${count(map.neurons)} of ${count(map.rank)}`;
  return `${map.name}\n${map.kind}, ${map.out} × ${map.in}${kernel}, ${rank}`;
}
