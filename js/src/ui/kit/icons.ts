// Small pictures for buttons, 16 x 16, drawn in the colour of the text.

import type { View } from "../view.js";
import { h, s } from "./dom.js";

const PATHS = {
  back: "M9.5 3.5 5 8l4.5 4.5",
  forward: "M6.5 3.5 11 8l-4.5 4.5",
  lasso:
    "M8 2.5c3.3 0 6 1.8 6 4s-2.7 4-6 4-6-1.8-6-4 2.7-4 6-4ZM5 10c-1.4.3-2 1.3-1.3 2.2.6.9 2.2.8 2.3 2.3",
  more: "M2.5 8a.5.5 0 1 0 1 0 .5.5 0 1 0-1 0M7.5 8a.5.5 0 1 0 1 0 .5.5 0 1 0-1 0M12.5 8a.5.5 0 1 0 1 0 .5.5 0 1 0-1 0",
  next: "M4.5 3.5 9 8l-4.5 4.5M11.5 3.5v9",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  play: "M5 3.2v9.6L12.6 8Z",
  previous: "M11.5 3.5 7 8l4.5 4.5M4.5 3.5v9",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.3 10.3 14 14",
  whole: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
} as const;

export function icon(name: keyof typeof PATHS): SVGElement {
  return s(
    "svg",
    { class: "svr-drawn", width: 16, height: 16, viewBox: "0 0 16 16", "aria-hidden": true },
    s("path", { d: PATHS[name] }),
  );
}

/** A button that shows an icon; its name, with the key for it, is its tip. */
export function iconButton(
  view: View,
  name: keyof typeof PATHS,
  label: string,
  key: string,
  run: () => void,
): HTMLButtonElement {
  const button = h(
    "button",
    {
      type: "button",
      class: "svr-tool svr-icon",
      "aria-label": label,
      title: key === "" ? label : `${label} (${key})`,
    },
    icon(name),
  );
  view.listen(button, "click", run);
  return button;
}
