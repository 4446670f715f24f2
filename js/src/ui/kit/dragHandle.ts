// A rule between two parts that can be dragged, or moved with the arrow keys, to share out the room.

import type { View } from "../view.js";
import { h } from "./dom.js";

export interface Slide {
  readonly label: string;
  /** Which way the rule itself runs. */
  readonly runs: "vertical" | "horizontal";
  /** Pixels by which the value grows when the pointer moves one pixel right or down. */
  readonly direction: 1 | -1;
  value(): number;
  range(): readonly [number, number];
  set(value: number): void;
  /** Back to what it was before anybody touched it. */
  reset(): void;
}

const STEP = 16;

export function dragHandle(view: View, slide: Slide): HTMLElement {
  const vertical = slide.runs === "vertical";
  const element = h("div", {
    class: "svr-handle",
    role: "separator",
    tabindex: 0,
    "aria-orientation": slide.runs,
    "aria-label": slide.label,
    title: "Drag to resize; double-click to reset",
  });
  const move = (value: number) => {
    const [low, high] = slide.range();
    slide.set(Math.round(Math.max(low, Math.min(Math.max(low, high), value))));
    describe();
  };
  const describe = () => {
    const [low, high] = slide.range();
    element.setAttribute("aria-valuemin", String(Math.round(low)));
    element.setAttribute("aria-valuemax", String(Math.round(Math.max(low, high))));
    element.setAttribute("aria-valuenow", String(Math.round(slide.value())));
  };
  let press: { at: number; value: number } | null = null;
  const along = (event: PointerEvent) => (vertical ? event.clientX : event.clientY);
  view.listen(element, "focus", describe);
  view.listen(element, "pointerdown", (event) => {
    if (event.button !== 0) return;
    press = { at: along(event), value: slide.value() };
    element.setPointerCapture(event.pointerId);
  });
  view.listen(element, "pointermove", (event) => {
    if (press) move(press.value + slide.direction * (along(event) - press.at));
  });
  for (const type of ["pointerup", "pointercancel"] as const) {
    view.listen(element, type, () => {
      press = null;
    });
  }
  view.listen(element, "dblclick", () => {
    slide.reset();
    describe();
  });
  view.listen(element, "keydown", (event) => {
    const forwards = vertical ? "ArrowRight" : "ArrowDown";
    const backwards = vertical ? "ArrowLeft" : "ArrowUp";
    const [low, high] = slide.range();
    if (event.key === forwards) move(slide.value() + slide.direction * STEP);
    else if (event.key === backwards) move(slide.value() - slide.direction * STEP);
    else if (event.key === "Home") move(low);
    else if (event.key === "End") move(high);
    else return;
    event.preventDefault();
  });
  describe();
  return element;
}
