// Links by construction, in words: one tensor at both ends, so that nothing there is a finding. Pure.

import type { Scene } from "../wire/scene.js";
import { count } from "./format.js";

/** What stands on their bands. */
export const TIED = "tied weights";

export const TIED_MEANING =
  "one tensor at both ends of a link, plain at one and transposed at the other: its edges are there by construction, outside the tests";

/** Why a link is no test. */
export function byConstruction({ maps, links }: Scene, index: number): string {
  const { producer, through } = links[index];
  const isIdentity =
    maps[producer].kernel.length === 0 && !through.some((step) => step.endsWith(", folded"));
  const what = isIdentity ? "the identity by construction" : "alike by construction";
  return `one tensor at both ends: ${what}; outside the tests`;
}

/** "1 link by construction", counted apart from what is tested; empty where there is none. */
export function constructedLinks({ links }: Scene): string {
  const many = links.filter((link) => link.by_construction).length;
  return many === 0 ? "" : `${count(many)} ${many === 1 ? "link" : "links"} by construction`;
}
