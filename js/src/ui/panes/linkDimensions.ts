// The internal dimensions of all links, asked for one after the other while somebody wants to see
// them; of a graph of many links that would take too long.

import { type ReadonlySignal, signal } from "@preact/signals-core";
import { type InternalDimensions, readInternal } from "../../logic/matrices.js";
import { columnsOf } from "../../wire/links/columns.js";
import type { Scene } from "../../wire/scene.js";
import type { View } from "../view.js";

/** Each takes the whole matrix of a link. */
export const MOST_ASKED = 256;

export const askedLinks = ({ links }: Scene): number[] =>
  [...columnsOf(links).tested].filter((link) => columnsOf(links).tests[link] > 0);

export interface LinkDimensions {
  /** Those that are known, by link. */
  readonly known: ReadonlySignal<ReadonlyMap<number, InternalDimensions>>;
  /** What there is to say while they come, or why they do not. */
  readonly message: ReadonlySignal<string>;
}

export function linkDimensions(view: View, isWanted: ReadonlySignal<boolean>): LinkDimensions {
  const { state } = view;
  const known = signal<ReadonlyMap<number, InternalDimensions>>(new Map());
  const message = signal("");
  let of: Scene | null = null;
  let running = false;
  const run = async (scene: Scene) => {
    running = true;
    const links = askedLinks(scene).filter((link) => !known.peek().has(link));
    try {
      for (const [done, link] of links.entries()) {
        if (!isWanted.peek() || state.scene.peek() !== scene || view.signal.aborted) return;
        message.value = `asking Python: ${done} of ${links.length} links`;
        const answer = await view.ask({ kind: "internal", link, matrix: "adjacency" });
        if (state.scene.peek() !== scene) return;
        known.value = new Map(known.peek()).set(link, readInternal(answer.buffers[0]));
      }
      message.value = "";
    } catch (error) {
      message.value = (error as Error).message;
    } finally {
      running = false;
    }
  };
  view.watch(() => {
    const { value: scene } = state.scene;
    const wanted = isWanted.value;
    if (scene !== of) {
      of = scene;
      known.value = new Map();
      message.value = "";
    }
    if (!scene || !wanted || running) return;
    if (askedLinks(scene).length > MOST_ASKED) {
      message.value = `internal dimensions are asked for link by link: not for more than ${MOST_ASKED}`;
      return;
    }
    void run(scene);
  });
  return { known, message };
}

/** The neurons of the block, as one number: the root of d_out times d_in; 0 where chance has as many. */
export function blockOf({ d_out, d_in, p_value }: InternalDimensions): number {
  return p_value !== null && p_value >= 0.05 ? 0 : Math.sqrt(d_out * d_in);
}
