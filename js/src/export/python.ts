// The present view as Python statements that bring it back. Pure: text out.

import type { Host, PublicTraits } from "../wire/host.js";

/** What a person has set, apart from the threshold. */
export const VIEW_TRAITS = [
  "null",
  "y_scale",
  "colour",
  "selected",
  "selected_link",
  "folded",
  "panes",
  "camera",
] as const satisfies readonly (keyof PublicTraits)[];

type ViewTrait = (typeof VIEW_TRAITS)[number];

export function viewAsPython(
  host: Pick<Host, "get">,
  widget = "widget",
  traits: readonly ViewTrait[] = VIEW_TRAITS,
): string {
  const level = `${host.get("threshold_mode")}=${literal(host.get("threshold"))}`;
  return `${widget}.set_threshold(${level})\n${traitsAsPython(host, widget, traits)}`;
}

/** Statements that set some traits of a widget. */
const traitsAsPython = (
  host: Pick<Host, "get">,
  widget: string,
  traits: readonly ViewTrait[],
): string => traits.map((name) => `${widget}.${name} = ${literal(host.get(name))}\n`).join("");

/** What each network of a comparison has of its own; of what is selected the others follow the base. */
const OWN_TRAITS = ["selected_link", "folded", "camera"] as const satisfies readonly ViewTrait[];

/** The view of a comparison, which is called `both`. */
export function comparisonAsPython(
  sides: readonly Pick<Host, "get">[],
  own: { readonly view: string; readonly least: number },
): string {
  const [base, ...others] = sides;
  const rest = others.map((side, at) => traitsAsPython(side, `both.sides[${at + 1}]`, OWN_TRAITS));
  return (
    `both.view = ${literal(own.view)}\nboth.least = ${literal(own.least)}\n` +
    viewAsPython(base, "both.left") +
    rest.join("")
  );
}

/** A value of a trait as a Python expression; lists within lists are pairs there, so tuples. */
export function literal(value: unknown, inside = false): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number" || typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) {
    const items = value.map((item) => literal(item, true)).join(", ");
    return inside ? `(${items}${value.length === 1 ? "," : ""})` : `[${items}]`;
  }
  const entries = Object.entries(value as object);
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}: ${literal(item, true)}`).join(", ")}}`;
}
