// The pane of the table: the edges and the neurons as rows, for those who read rather than look.

import { computed, signal } from "@preact/signals-core";
import { count } from "../../logic/format.js";
import {
  edgeRows,
  FIRST,
  type Kind,
  neuronRows,
  sorted,
  tabSeparated,
} from "../../logic/tableRows.js";
import { copyText } from "../kit/clipboard.js";
import { fill, h, segmented } from "../kit/dom.js";
import type { View } from "../view.js";
import { tableGrid } from "./tableGrid.js";

const NONE = new Uint32Array();

export function tablePane(view: View) {
  const { state } = view;
  const kind = signal<Kind>("edges");
  const sorting = { edges: signal(FIRST.edges), neurons: signal(FIRST.neurons) };
  const map = signal<number | null>(null);
  const touching = signal(false);

  const rows = computed<Uint32Array>(() => {
    const scene = state.scene.value;
    const cut = state.cut.value;
    if (!scene || !cut || !state.panes.value.includes("table")) return NONE;
    const mask = touching.value ? (state.selectedMask.value ?? new Uint8Array(1)) : null;
    const found =
      kind.value === "edges" ? edgeRows(scene, cut, mask) : neuronRows(scene, map.value, mask);
    return sorted(scene, state.law.value, kind.value, found, sorting[kind.value].value);
  });

  const choice = segmented(
    "rows",
    [
      ["edges", "Edges", "The significant edges at the threshold"],
      ["neurons", "Neurons", "The spectral neurons"],
    ],
    (chosen) => (kind.value = chosen),
  );
  const maps = h("select", { "aria-label": "map" });
  const only = h("button", { type: "button", class: "svr-toggle" }, "selected");
  only.title = "Only what is selected, and the edges that touch it";
  const copy = h("button", { type: "button", class: "svr-tool" }, "copy");
  copy.title = "Copy all these rows as tab-separated values";
  const empty = h("p", { class: "svr-soft" });
  const list = tableGrid(view, { kind, rows, sorting }, () => void copyAll());
  const total = h("span", { class: "svr-soft", role: "status", "data-svr": "rows" });
  view.watch(() => {
    const scene = state.scene.value;
    map.value = null;
    const names = scene?.maps.map(({ name }, index) => option(index, name)) ?? [];
    fill(maps, option("", "all maps"), ...names);
  });
  view.watch(() => {
    choice.show(kind.value);
    maps.hidden = kind.value === "edges";
    maps.value = String(map.value ?? "");
    only.setAttribute("aria-pressed", String(touching.value));
  });
  view.watch(() => {
    const scene = state.scene.value;
    const shown = rows.value.length;
    const words = `${count(shown)} ${kind.value}`;
    const cut = state.cut.value;
    const missing =
      scene && cut && kind.value === "edges" && !touching.value ? cut.significant - cut.drawn : 0;
    total.textContent = missing > 0 ? `${words} of ${count(cut?.significant ?? 0)}` : words;
    copy.disabled = shown === 0;
    empty.hidden = shown > 0;
    empty.textContent = whyEmpty(kind.value, touching.value, state.selectedMask.value !== null);
    list.hidden = shown === 0;
  });
  view.listen(maps, "change", () => (map.value = maps.value === "" ? null : Number(maps.value)));
  view.listen(only, "click", () => (touching.value = !touching.peek()));
  const copyAll = async () => {
    const scene = state.scene.peek();
    if (!scene) return;
    const text = tabSeparated(scene, state.law.peek(), kind.peek(), rows.peek());
    const copied = await copyText(text, body);
    total.textContent = copied ? `${count(rows.peek().length)} rows copied` : "not allowed to copy";
  };
  view.listen(copy, "click", () => void copyAll());

  const body = h(
    "div",
    { class: "svr-table" },
    h(
      "div",
      { class: "svr-pane-tools" },
      choice.element,
      maps,
      only,
      h("span", { class: "svr-grow" }),
      total,
      copy,
    ),
    empty,
    list,
  );
  return { body };
}

function whyEmpty(kind: Kind, touching: boolean, isSelected: boolean): string {
  if (touching && !isSelected) return "Nothing is selected.";
  if (kind === "neurons") return touching ? "No neuron of this map is selected." : "No neurons.";
  return touching ? "What is selected has no significant edge." : "No edge is significant.";
}

const option = (value: number | string, name: string) =>
  h("option", { value }, `\u2068${name}\u2069`);
