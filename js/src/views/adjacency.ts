// The pane of one link's adjacency matrix: consumer's neurons down, producer's across.

import { signal } from "@preact/signals-core";
import {
  type Adjacency,
  adjacencyOfSentEdges,
  internalWords,
  readAdjacency,
  shapeOf,
} from "../adjacency.js";
import { count, significant } from "../format.js";
import { entered, type Scene } from "../scene.js";
import { fill, h, nameOf } from "./dom.js";
import { matrix } from "./matrix.js";
import type { View } from "./view.js";

/** Cells a side: as many as the pane has device pixels. */
const MOST_CELLS = 560;
const KEPT = 32;
/** After so long without an answer the pane says that it waits, and shows what it has. */
const PATIENCE = 4000;
const NO_ANSWER = "Python does not answer: only the edges that were sent are shown.";

export function adjacencyPane(view: View) {
  const { state } = view;
  const shown = signal<Adjacency | null>(null);
  const trouble = signal("");
  const cache = new Map<number, Adjacency>();
  const caption = h("div", { class: "svr-caption", "data-svr": "internal" });
  const cell = h("div", { class: "svr-caption svr-soft svr-cell", "data-svr": "cell" });
  const message = h("div", { class: "svr-caption svr-soft", role: "status" });

  let waiting: ReturnType<typeof setTimeout> | undefined;
  view.signal.addEventListener("abort", () => clearTimeout(waiting), { once: true });
  let scene: Scene | null = null;
  let asked: number | null = null;
  view.watch(() => {
    const link = state.link.value;
    if (state.scene.value !== scene) {
      scene = state.scene.value;
      cache.clear();
      asked = null;
    }
    if (!scene || link === null || !state.panes.value.includes("adjacency")) return;
    if (asked === link) return;
    asked = link;
    trouble.value = "";
    const known = cache.get(link);
    shown.value = known ?? null;
    if (!known) request(scene, link);
  });

  function request(from: Scene, link: number): void {
    const [rows, columns] = shapeOf(from, from.links[link]);
    const current = () => state.scene.peek() === from && asked === link && !view.signal.aborted;
    const standIn = view.guard((words: string) => {
      if (!current() || shown.peek()?.complete) return;
      shown.value = adjacencyOfSentEdges(from, link, MOST_CELLS);
      trouble.value = words;
    });
    clearTimeout(waiting);
    waiting = setTimeout(() => standIn(NO_ANSWER), PATIENCE);
    const question = {
      kind: "adjacency",
      link,
      rows: [0, rows],
      cols: [0, columns],
      max: [Math.min(rows, MOST_CELLS), Math.min(columns, MOST_CELLS)],
    };
    view
      .ask(question)
      .then(({ buffers }) => {
        const adjacency = readAdjacency(buffers[0]);
        if (state.scene.peek() !== from) return;
        cache.set(link, adjacency);
        if (cache.size > KEPT) cache.delete(cache.keys().next().value as number);
        if (!current()) return;
        clearTimeout(waiting);
        trouble.value = "";
        shown.value = adjacency;
      })
      .catch((error: Error) => standIn(error.message));
  }

  view.watch(() => {
    const adjacency = shown.value;
    const internal = adjacency?.internal;
    fill(caption, internal ? internalWords(internal) : "");
    message.textContent = trouble.value || (adjacency ? "" : "Asking Python …");
  });
  view.watch(() => {
    const hover = state.hover.value;
    const at = state.scene.value;
    const adjacency = shown.value;
    if (!at || !adjacency) return fill(cell);
    const { producer, consumer } = at.links[adjacency.link];
    const end = (map: number, k: number) => [nameOf(at.maps[map].name), ` · ${count(k)}`];
    if (hover?.kind === "edge" && hover.link === adjacency.link) {
      const weight = `: ${significant(hover.weight, 2)}`;
      fill(cell, ...end(producer, hover.m), " → ", ...end(consumer, hover.n), weight);
    } else fill(cell, `largest entry ${significant(adjacency.max, 2)}`);
  });

  return { head: heading(view), body: h("div", {}, matrix(view, shown), caption, cell, message) };
}

function heading(view: View): HTMLElement {
  const { state } = view;
  const choice = h("select", { "aria-label": "link" });
  const previous = h(
    "button",
    { type: "button", class: "svr-tool", "aria-label": "previous link" },
    "‹",
  );
  const next = h("button", { type: "button", class: "svr-tool", "aria-label": "next link" }, "›");
  view.watch(() => {
    const scene = state.scene.value;
    if (!scene) return;
    const isolated = (name: string) => `\u2068${name}\u2069`;
    fill(
      choice,
      ...scene.links.map((link, index) => {
        const from = isolated(scene.maps[link.producer].name);
        const to = isolated(entered(scene.maps[link.consumer].name, link));
        return h("option", { value: index }, `${from} → ${to}`);
      }),
    );
    choice.value = String(state.link.peek() ?? "");
  });
  view.watch(() => {
    const link = state.link.value;
    const last = (state.scene.value?.links.length ?? 0) - 1;
    choice.value = String(link ?? "");
    previous.disabled = link === null || link <= 0;
    next.disabled = link === null || link >= last;
  });
  view.listen(choice, "change", () => state.chooseLink(Number(choice.value)));
  view.listen(previous, "click", () => state.chooseLink((state.link.peek() ?? 0) - 1));
  view.listen(next, "click", () => state.chooseLink((state.link.peek() ?? 0) + 1));
  return h("div", { class: "svr-choice" }, choice, previous, next);
}
