// What the widget opens on, and what is left to it to choose: the link with most beyond chance, and the
// scale of the vertical axis.

import { computed, type ReadonlySignal } from "@preact/signals-core";
import { scaleOf } from "../geometry/layout.js";
import { type Cut, cutAtLevel, foremostLink } from "../logic/threshold.js";
import { CONTRACT } from "../wire/contract.js";
import { findLink } from "../wire/links/names.js";
import type { Law, Scene, YScale } from "../wire/scene.js";
import { sameColumns } from "../wire/timeline.js";
import type { PublicSignals } from "./traits.js";

export function openingOf(
  traits: PublicSignals,
  scene: ReadonlySignal<Scene | null>,
  law: ReadonlySignal<Law>,
) {
  /** At the widget's own level, whatever the slider says: what is worth opening on. */
  const opening = computed<Cut | null>(() => {
    const { value } = scene;
    return value && cutAtLevel(value, law.value, "fdr", CONTRACT.levels.fdr.default);
  });

  let chosen: { readonly scene: Scene; readonly scale: YScale } | null = null;
  /** The vertical axis, chosen where it is left to the widget; checkpoints of one network share it. */
  const scale = computed<YScale>(() => {
    const { value } = scene;
    const wanted = traits.y_scale.value;
    if (wanted !== "auto" || !value) return wanted;
    if (!chosen || (chosen.scene !== value && !sameColumns(chosen.scene, value))) {
      chosen = { scene: value, scale: scaleOf(value) };
    }
    return chosen.scale;
  });

  /** The link with most that is beyond chance, or with the strongest edge; null without links. */
  let last: { readonly scene: Scene; readonly link: number | null } | null = null;
  const foremost = computed<number | null>(() => {
    const { value } = scene;
    if (!value || !opening.value) return null;
    // From checkpoint to checkpoint one goes on looking at the same link.
    const same =
      last && last.scene.links.length === value.links.length && sameColumns(last.scene, value);
    last = { scene: value, link: same && last ? last.link : foremostLink(value, opening.value) };
    return last.link;
  });
  /** The same, where anything is beyond chance. */
  const found = computed<number | null>(() => (opening.value?.significant ? foremost.value : null));
  /** The link in the adjacency pane: the chosen one, else the foremost. */
  const link = computed<number | null>(() => {
    const { value } = scene;
    const key = traits.selected_link.value;
    return (value && key && findLink(value, key)) ?? foremost.value;
  });

  return { opening, scale, found, link };
}
