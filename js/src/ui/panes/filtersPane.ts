// The pane of filters: between the selected neurons of a link, and those of one neuron.

import { count, decimalsOf, fixed, significant } from "../../logic/format.js";
import type { Palette } from "../../paint/palette.js";
import { scaleOf } from "../../paint/signedColours.js";
import { CONTRACT } from "../../wire/contract.js";
import { endOf, withoutLinks } from "../../wire/links/names.js";
import {
  type EffectiveFilters,
  neuronOf,
  neuronsWithFilters,
  readFilters,
  readVectors,
  type Side,
} from "../../wire/pictures/filters.js";
import type { Scene } from "../../wire/scene.js";
import { type Child, fill, h, nameOf } from "../kit/dom.js";
import { resource } from "../status/resource.js";
import { statusOf } from "../status/status.js";
import type { View } from "../view.js";
import { barLegend, bars, picture, signedLegend } from "./pictures.js";

export function filtersPane(view: View) {
  const { state } = view;
  const open = () => state.scene.value !== null && state.panes.value.includes("filters");
  const chosen = () => {
    const scene = state.scene.value;
    const link = scene?.links[state.link.value ?? -1];
    if (!scene || !link) return null;
    const of = (map: number) =>
      neuronsWithFilters(map, scene.maps[map].neurons, state.selectedNeurons.value);
    return { rows: of(link.consumer), columns: of(link.producer) };
  };
  const between = resource(
    view,
    () => {
      const shown = open() ? chosen() : null;
      const link = state.link.value;
      if (!shown || link === null) return null;
      return { kind: "filters", link, rows: shown.rows.shown, columns: shown.columns.shown };
    },
    ({ buffers }) => readFilters(buffers[0]),
  );
  const focus = () =>
    neuronOf(state.scene.value?.links[state.link.value ?? -1], state.selectedNeurons.value);
  const own = resource(
    view,
    () => {
      const neuron = open() ? focus() : null;
      if (!neuron) return null;
      return {
        kind: "vectors",
        column: neuron.map,
        k: neuron.k,
        most: CONTRACT.filters.most_channels,
      };
    },
    ({ buffers }) => readVectors(buffers[0]),
  );

  const edges = h("div", { class: "svr-section", "data-svr": "effective" });
  const neuron = h("div", { class: "svr-section", "data-svr": "vectors" });
  view.watch(() => {
    const scene = state.scene.value;
    const palette = view.palette.value;
    const found = between.value.value;
    const which = chosen();
    if (!scene || !palette || !which) {
      return fill(edges, h("p", { class: "svr-soft" }, withoutLinks(scene)));
    }
    const link = scene.links[state.link.value ?? 0];
    const title = h(
      "div",
      { class: "svr-section-title" },
      nameOf(scene.maps[link.producer].name),
      " → ",
      nameOf(endOf(scene, state.link.value ?? 0)),
    );
    const leftOut = which.rows.leftOut + which.columns.leftOut;
    fill(
      edges,
      ...(found ? [title, effective(view, scene, found, palette)] : []),
      leftOut > 0 &&
        h("p", { class: "svr-soft" }, `${count(leftOut)} more selected neurons are left out`),
    );
  });
  view.watch(() => {
    const scene = state.scene.value;
    const palette = view.palette.value;
    const at = focus();
    const found = own.value.value;
    if (!scene || !palette || !at || !found) return fill(neuron);
    const name = scene.maps[at.map].name;
    fill(
      neuron,
      h("div", { class: "svr-section-title" }, nameOf(name, { title: name }), ` · ${count(at.k)}`),
      ...side("V", "reads", found.V, palette),
      ...side("U", "emits", found.U, palette),
    );
  });
  const body = h(
    "div",
    { class: "svr-filters", tabindex: 0, role: "group", "aria-label": "filters" },
    statusOf(view, [between, own]),
    edges,
    neuron,
  );
  return { body };
}

/** A table: the consumer's neurons down, the producer's across. */
function effective(view: View, scene: Scene, found: EffectiveFilters, palette: Palette): Child {
  const { rows, columns, kernel, filters } = found;
  const { producer, consumer } = scene.links[view.state.link.peek() ?? 0];
  const scale = Math.max(...filters.map(scaleOf), 0);
  const decimals = Math.max(0, decimalsOf(scale) - 1);
  const single = kernel.every((length) => length === 1);
  const cell = (n: number, m: number, values: Float32Array) => {
    const norm = values.reduce((sum, value) => sum + value * value, 0);
    const words = `${count(m)} → ${count(n)}: weight ${significant(norm, 2)}`;
    const drawn = picture(values, single ? [1, 1] : kernel, scale, palette, words);
    drawn.title = words;
    const number = single && h("div", { class: "svr-soft" }, fixed(values[0], decimals));
    const cell = h("td", {}, drawn, number);
    view.listen(cell, "pointerenter", () => {
      const link = view.state.link.peek() ?? 0;
      view.state.hover.value = {
        kind: "edge",
        link,
        m,
        n,
        weight: norm,
        edge: null,
        from: "filters",
      };
    });
    view.listen(cell, "pointerleave", () => {
      view.state.hover.value = null;
    });
    return cell;
  };
  const [from, to] = [scene.maps[producer].name, scene.maps[consumer].name];
  const names = `${to} by ${from}`;
  return h(
    "div",
    {},
    h(
      "table",
      { class: "svr-effective", "aria-label": `effective filters, ${names}` },
      h(
        "tr",
        {},
        h("td", { colspan: 2 }),
        h("th", { colspan: columns.length, scope: "colgroup" }, "neurons of ", nameOf(from)),
      ),
      h(
        "tr",
        {},
        h("td", { colspan: 2 }),
        ...columns.map((m) => h("th", { scope: "col" }, count(m))),
      ),
      ...rows.map((n, i) =>
        h(
          "tr",
          {},
          i === 0 &&
            h(
              "th",
              { rowspan: rows.length, scope: "rowgroup", class: "svr-upright" },
              h("span", {}, "neurons of ", nameOf(to)),
            ),
          h("th", { scope: "row" }, count(n)),
          ...columns.map((m, j) => cell(n, m, filters[i * columns.length + j])),
        ),
      ),
    ),
    signedLegend(scale, palette),
  );
}

/** One side of a neuron: pictures where it has a kernel, else bars. */
function side(name: string, verb: string, of: Side, palette: Palette): Child[] {
  const { kernel, filters, channels, total } = of;
  const shown = channels.length;
  const words =
    shown < total
      ? `${count(shown)} of ${count(total)} channels, strongest first`
      : `${count(total)} channels, strongest first`;
  const scale = Math.max(...filters.map(scaleOf), 0);
  const title = (index: number) =>
    `channel ${count(channels[index])}: ${significant(kernel.length === 0 ? filters[index][0] : norm(filters[index]), 3)}`;
  const drawn =
    kernel.length === 0
      ? bars(
          filters.map(([value]) => value),
          scale,
          palette,
          `${name}, ${words}`,
          title,
        )
      : h(
          "div",
          { class: "svr-thumbs" },
          ...filters.map((values, index) => {
            const drawn = picture(values, kernel, scale, palette, title(index));
            drawn.title = title(index);
            return drawn;
          }),
        );
  return [
    h(
      "div",
      { class: "svr-side-title" },
      h("b", {}, name),
      ` ${verb} `,
      h("span", { class: "svr-soft" }, words),
    ),
    drawn,
    kernel.length === 0 ? barLegend(scale) : signedLegend(scale, palette),
  ];
}

const norm = (values: Float32Array) =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
