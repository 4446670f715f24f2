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

export function viewAsPython(host: Pick<Host, "get">): string {
  const level = `${host.get("threshold_mode")}=${literal(host.get("threshold"))}`;
  const rest = VIEW_TRAITS.map((name) => `widget.${name} = ${literal(host.get(name))}`);
  return [`widget.set_threshold(${level})`, ...rest, ""].join("\n");
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
