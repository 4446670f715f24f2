// A line of tools that never wraps. What has no room in it stands in a panel behind a button, the
// tools that are needed least first.

import { h, uniqueId } from "../kit/dom.js";
import { iconButton } from "../kit/icons.js";
import type { View } from "../view.js";

/** Something on the line. */
export interface Tool {
  readonly element: HTMLElement;
  /** What it is called in the panel. */
  readonly label: string;
  /** Tools of a lower rank leave the line first. */
  readonly rank: number;
}

/** Pixels that the title keeps, if it has as many, or this share of a wide line. */
const TITLE = 160;
const TITLE_SHARE = 0.3;
const GAP = 8;
const PADDING = 16;

/** What stands at the beginning of the line, shortened in its middle where it has to be. */
export interface Title {
  readonly element: HTMLElement;
  /** Pixels that the whole of it takes. */
  width(): number;
  show(room: number): void;
}

/** The line: a title that may be shortened, what always stays, and the tools, in their order. */
export function toolLine(
  view: View,
  title: Title,
  stays: HTMLElement,
  tools: readonly Tool[],
): HTMLElement {
  const id = uniqueId("svr-more");
  // It takes the focus where what is pressed in it does not, else it would close beneath the press.
  const panel = h("div", {
    id,
    class: "svr-more",
    role: "group",
    "aria-label": "more tools",
    tabindex: -1,
  });
  const button = iconButton(view, "more", "more tools", "", () => open(panel.hidden === true));
  const holder = h("div", { class: "svr-more-holder" }, button, panel);
  button.setAttribute("aria-controls", id);
  const rows = tools.map(({ label }) =>
    h("div", { class: "svr-more-row", hidden: true }, h("span", { class: "svr-soft" }, label)),
  );
  panel.append(...rows);
  const line = h(
    "div",
    { class: "svr-bar svr-toolbar" },
    title.element,
    h("span", { class: "svr-grow" }),
    stays,
    ...tools.map(({ element }) => element),
    holder,
  );

  const open = (opened: boolean) => {
    panel.hidden = !opened;
    button.setAttribute("aria-expanded", String(opened));
  };
  open(false);
  view.listen(holder, "focusout", (event) => {
    if (!holder.contains(event.relatedTarget as Node | null)) open(false);
  });
  view.listen(holder, "keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden || event.defaultPrevented) return;
    open(false);
    button.focus();
    event.preventDefault();
    event.stopPropagation();
  });

  const isOut = (index: number) => rows[index].contains(tools[index].element);
  const widths = tools.map(() => 0);
  const wanted = (element: HTMLElement, width = element.offsetWidth) =>
    width > 0 ? width + GAP : 0;
  const fit = () => {
    const room = line.clientWidth - PADDING;
    if (room <= 0) return;
    for (const [index, { element }] of tools.entries()) {
      if (!isOut(index)) widths[index] = element.offsetWidth;
    }
    const sum = (from: readonly number[]) => from.reduce((total, width) => total + width, 0);
    const kept = Math.min(title.width(), Math.max(TITLE, TITLE_SHARE * room));
    const needed = (outside: ReadonlySet<number>) =>
      kept +
      GAP +
      wanted(stays) +
      sum(tools.map(({ element }, at) => (outside.has(at) ? 0 : wanted(element, widths[at])))) +
      (outside.size > 0 ? 24 + GAP : 0);
    const out = new Set<number>();
    const leaving = [...tools.keys()].sort((a, b) => tools[a].rank - tools[b].rank);
    for (const index of leaving) {
      if (needed(out) <= room) break;
      out.add(index);
    }
    for (const [index, { element }] of tools.entries()) {
      rows[index].hidden = !out.has(index);
      if (out.has(index) === isOut(index)) continue;
      if (out.has(index)) rows[index].append(element);
      else {
        const next = tools.findIndex((_, at) => at > index && !isOut(at));
        line.insertBefore(element, next < 0 ? holder : tools[next].element);
      }
    }
    title.show(Math.max(48, room - needed(out) + kept));
    holder.hidden = out.size === 0;
    if (out.size === 0) open(false);
  };
  // Whatever is shown or renamed on the line may need more room, or less.
  const resizes = new ResizeObserver(view.guard(fit));
  for (const element of [line, title.element, stays, ...tools.map(({ element }) => element)]) {
    resizes.observe(element);
  }
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });
  return line;
}
