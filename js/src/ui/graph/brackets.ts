// The modules beneath the names of the columns: a bracket over what is open, whose name folds it as
// that of a folded one unfolds it; and all of them one level further in or out.

import { hasModulesInSight } from "../../geometry/columns.js";
import { shorten } from "../../geometry/labels.js";
import type { Layout } from "../../geometry/layout.js";
import { stepped } from "../../logic/folding.js";
import { count } from "../../logic/format.js";
import { fill, h, nameOf } from "../kit/dom.js";
import type { View } from "../view.js";
import { moveCamera } from "./pointer.js";
import { AXIS_WIDTH, BRACKET, namesStripOf, type Stage } from "./stage.js";

/** A bracket reaches so far beyond its columns, if there is room. */
const BEYOND = 8;
/** Names on brackets are in type of this size, beside that of other words. */
const SMALLER = 0.86;

/** `strip` holds the names of folded modules, too. */
export function brackets(view: View, stage: Stage, strip: HTMLElement): HTMLElement[] {
  const { state } = view;
  const element = h("div", { class: "svr-brackets", "data-svr": "brackets" });
  view.watch(() => {
    const [layout, scene] = [stage.layout.value, state.scene.value];
    if (!layout || !scene) return fill(element);
    const top = namesStripOf(scene, layout);
    const shown = layout.folding.brackets.flatMap(({ module, label, first, last, row }) => {
      const [left, right] = spanOf(layout, first, last);
      if (right < AXIS_WIDTH || left > layout.size.width) return [];
      const { name, maps } = scene.modules[module];
      const inside = [Math.max(left, AXIS_WIDTH - 4), Math.min(right, layout.size.width - 2)];
      const room = inside[1] - inside[0];
      return [
        h("i", { style: `left:${left}px; width:${right - left}px; top:${top + row * BRACKET}px` }),
        h(
          "button",
          {
            type: "button",
            style: `left:${inside[0]}px; width:${room}px; top:${top + row * BRACKET}px`,
            title: `${name}\n${count(maps.length)} columns; a click folds them`,
            "data-fold": module,
            "aria-expanded": "true",
            "aria-label": `${name}, ${count(maps.length)} columns`,
            tabindex: -1,
          },
          nameOf(shorten(label, room / SMALLER, stage.measure)),
        ),
      ];
    });
    fill(element, ...shown);
  });
  followFolds(view, stage, strip);
  return [element, levels(view, stage)];
}

/** From the first of its columns to the last, and a little beyond. */
function spanOf({ columnX }: Layout, first: number, last: number): [number, number] {
  const before = first > 0 ? (columnX[first] - columnX[first - 1]) / 2 - 2 : BEYOND;
  const after = last + 1 < columnX.length ? (columnX[last + 1] - columnX[last]) / 2 - 2 : BEYOND;
  return [columnX[first] - Math.min(BEYOND, before), columnX[last] + Math.min(BEYOND, after)];
}

/** All modules one level further out or in. */
function levels(view: View, stage: Stage): HTMLElement {
  const { state } = view;
  const button = (by: -1 | 1, words: string, title: string) => {
    const made = h(
      "button",
      { type: "button", class: "svr-tool", title, "aria-label": title },
      words,
    );
    view.listen(made, "click", () => state.stepFold(by));
    view.watch(() => {
      const [scene, folding] = [state.scene.value, state.folding.value];
      made.disabled = !scene || !folding || stepped(scene, folding, by) === null;
    });
    return made;
  };
  const element = h(
    "div",
    { class: "svr-levels", "data-svr": "levels", role: "group", "aria-label": "modules" },
    button(-1, "−", "fold all modules by one level (<)"),
    button(1, "+", "unfold all modules by one level (>)"),
  );
  view.watch(() => {
    const folding = stage.layout.value?.folding;
    element.hidden = !folding || !hasModulesInSight(folding);
  });
  return element;
}

/** Buttons of modules, folded or not: one of them is a stop of the Tab key, arrows go to the others. */
function followFolds(view: View, stage: Stage, strip: HTMLElement): void {
  const left = ({ style }: HTMLElement) => Number.parseFloat(style.left);
  const buttons = () =>
    [...strip.querySelectorAll<HTMLElement>("[data-fold]")].sort((a, b) => left(a) - left(b));
  const buttonOf = (target: EventTarget | null) =>
    (target as Element | null)?.closest<HTMLElement>("[data-fold]") ?? null;
  let stop: string | undefined;
  /** Whether the keyboard is at one of them, which may be made anew under it. */
  let isAt = false;
  view.watch(() => {
    stage.layout.value;
    view.state.matched.value;
    queueMicrotask(() => {
      const all = buttons();
      const tabbed = all.find(({ dataset }) => dataset.fold === stop) ?? all[0];
      if (!tabbed) return;
      tabbed.tabIndex = 0;
      const root = strip.getRootNode() as Document | ShadowRoot;
      if (isAt && root.activeElement !== tabbed) tabbed.focus({ preventScroll: true });
    });
  });
  const onFocus = (event: FocusEvent) => {
    const [target] = event.composedPath();
    isAt = target instanceof Node && strip.contains(target);
    if (!isAt) return;
    stop = buttonOf(target)?.dataset.fold ?? stop;
    for (const button of buttons()) button.tabIndex = button.dataset.fold === stop ? 0 : -1;
  };
  document.addEventListener("focusin", view.guard(onFocus), { signal: view.signal });
  view.listen(strip, "click", (event) => {
    const button = buttonOf(event.target);
    if (!button) return;
    stop = button.dataset.fold;
    toggleAt(view, stage, Number(stop));
  });
  view.listen(strip, "keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const all = buttons();
    const at = all.indexOf(event.target as HTMLElement);
    if (by === undefined || at < 0) return;
    event.preventDefault();
    all[at + by]?.focus();
  });
}

/** Folds a module or unfolds it, where it stands on the screen. */
export function toggleAt(view: View, stage: Stage, module: number): void {
  const scene = view.state.scene.peek();
  const before = stage.settled.peek();
  if (!scene || !before) return;
  view.state.toggleFold(module);
  const after = stage.settled.peek();
  const room = before.size.width - before.margins.left - before.margins.right;
  if (!after || (view.state.camera.peek() === null && after.plotWidth <= room + 1)) return;
  const { maps } = scene.modules[module];
  const middle = ({ x }: Layout) => maps.reduce((sum, map) => sum + x[map], 0) / maps.length;
  const { camera } = after;
  moveCamera(view, stage, { ...camera, x: camera.x + middle(before) - middle(after) });
}
