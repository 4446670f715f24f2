// Where the pane of matrices has its numbers from: Python, or without it the edges that were sent.

import { computed, type ReadonlySignal, signal } from "@preact/signals-core";
import {
  type Facts,
  factsOfSentEdges,
  type InternalDimensions,
  readCoarseTile,
  readFacts,
  readInternal,
  readTile,
  tileOfSentEdges,
} from "../../logic/matrices.js";
import { createTiles, type Place, type Tile } from "../../logic/tiles.js";
import { testsOf } from "../../wire/links/names.js";
import type { Matrix } from "../../wire/requests.js";
import type { View } from "../view.js";
import type { ShownMatrix } from "./matrix.js";

export interface MatrixData {
  readonly shown: ReadonlySignal<ShownMatrix | null>;
  readonly internal: ReadonlySignal<InternalDimensions | null>;
  /** Why something is missing; empty where nothing is. */
  readonly trouble: ReadonlySignal<string>;
  readonly news: ReadonlySignal<number>;
}

/** Asks Python for the chosen matrix as long as the pane is open; without it, the edges sent. */
export function matrixData(view: View, which: ReadonlySignal<Matrix>): MatrixData {
  const { state } = view;
  const shown = signal<ShownMatrix | null>(null);
  const internal = signal<InternalDimensions | null>(null);
  const refused = signal("");
  const torn = signal("");
  const news = signal(0);
  const facts = signal<Facts | null>(null);
  let asked: readonly unknown[] = [];

  view.watch(() => {
    const scene = state.scene.value;
    const link = state.link.value;
    if (!scene || link === null || !state.panes.value.includes("adjacency")) return;
    if (scene.links[link].by_construction) {
      asked = [];
      facts.value = null;
      internal.value = null;
      refused.value = "";
      return;
    }
    const wanted = [scene, link, which.value];
    if (wanted.every((part, index) => part === asked[index])) return;
    asked = wanted;
    facts.value = null;
    internal.value = null;
    refused.value = "";
    const about = { link, matrix: which.value };
    const current = () => asked === wanted && !view.signal.aborted;
    const receive =
      <T>(use: (value: T) => void) =>
      (value: T) => {
        if (current()) view.guard(use)(value);
      };
    view.ask({ kind: "matrix", ...about }).then(
      receive(({ buffers }) => {
        facts.value = readFacts(buffers[0], link, about.matrix);
        // Of null neurons, whose vectors are arbitrary, no internal block means anything.
        if (about.matrix === "output" || testsOf(scene, link) === 0) return;
        view.ask({ kind: "internal", ...about }).then(
          receive((answer) => (internal.value = readInternal(answer.buffers[0]))),
          receive((error: Error) => (refused.value = error.message)),
        );
      }),
      receive((error: Error) => {
        refused.value = error.message;
        if (about.matrix === "adjacency") facts.value = factsOfSentEdges(scene, link);
      }),
    );
  });
  view.watch(() => {
    const scene = state.scene.value;
    const link = state.link.value;
    const silent = view.silent.value && facts.peek() === null;
    if (link !== null && scene?.links[link].by_construction) return;
    if (scene && link !== null && silent && which.value === "adjacency") {
      facts.value = factsOfSentEdges(scene, link);
    }
  });
  view.watch(() => {
    const scene = state.scene.value;
    const law = state.law.value;
    shown.peek()?.tiles.close();
    torn.value = "";
    if (!facts.value || !scene) {
      shown.value = null;
      return;
    }
    const { link, which: matrix, shape, max, steps, complete } = facts.value;
    const fetch = async (place: Place): Promise<Tile> => {
      if (!complete) return tileOfSentEdges(scene, link, law, place);
      const { steps: cell, at: tile } = place;
      const { buffers } = await view.ask({ kind: "tile", link, matrix, law, steps: cell, tile });
      if (steps === null) return readTile(buffers[0]);
      const sent = matrix === "adjacency" ? tileOfSentEdges(scene, link, law, place) : null;
      return readCoarseTile(buffers[0], max, sent);
    };
    const tiles = createTiles(shape, fetch, (error) => {
      torn.value = error?.message ?? "";
      news.value += 1;
    });
    shown.value = { facts: facts.value, tiles };
  });
  view.signal.addEventListener("abort", () => shown.peek()?.tiles.close(), { once: true });
  const trouble = computed(() => refused.value || torn.value);
  return { shown, internal, trouble, news };
}
