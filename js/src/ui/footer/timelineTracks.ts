// The leading singular values of one column over the checkpoints, above the slider and in line with
// it; a click goes to the checkpoint there.

import { css, kindColour } from "../../paint/palette.js";
import type { Playback } from "../../state/playback.js";
import { track } from "../../wire/timeline.js";
import { fill, h, s } from "../kit/dom.js";
import type { View } from "../view.js";

const HEIGHT = 48;
const PAD = 4;
/** Half the thumb of the slider and its margin: where its first and last place are. */
const INSET = 11;

/** `column` reads signals. */
export function timelineTracks(view: View, playback: Playback, column: () => number): HTMLElement {
  const drawing = s("svg", { height: HEIGHT, "aria-hidden": true });
  const element = h("div", { class: "svr-tracks", "data-svr": "tracks" }, drawing);
  let width = 0;
  const draw = () => {
    const history = playback.history.value;
    const palette = view.palette.value;
    const scene = view.state.scene.value;
    if (!history || !palette || !scene || width <= 2 * INSET) return fill(drawing);
    const at = column();
    const many = history.steps.length;
    const x = (place: number) =>
      INSET + (many > 1 ? place / (many - 1) : 0.5) * (width - 2 * INSET);
    const lines = Array.from({ length: history.perColumn }, (_, k) => track(history, at, k));
    const largest = Math.max(...lines.flat().filter((value) => !Number.isNaN(value)), 0);
    const y = (value: number) => HEIGHT - PAD - (value / (largest || 1)) * (HEIGHT - 3 * PAD);
    const colour = css(kindColour(palette, scene.maps[at]?.kind ?? "other"));
    const now = playback.place.value;
    drawing.setAttribute("width", String(width));
    fill(
      drawing as unknown as HTMLElement,
      s("line", {
        class: "svr-base",
        x1: INSET,
        x2: width - INSET,
        y1: HEIGHT - PAD,
        y2: HEIGHT - PAD,
      }),
      now >= 0 && s("line", { class: "svr-now", x1: x(now), x2: x(now), y1: 0, y2: HEIGHT }),
      ...lines.map((values, k) => {
        const points = values.flatMap((value, place) =>
          Number.isNaN(value) ? [] : [`${x(place).toFixed(1)},${y(value).toFixed(1)}`],
        );
        return s("polyline", {
          points: points.join(" "),
          stroke: colour,
          "stroke-opacity": 1 - (0.65 * k) / Math.max(1, lines.length - 1),
        });
      }),
      ...(now >= 0
        ? lines
            .filter((values) => !Number.isNaN(values[now]))
            .map((values) => s("circle", { cx: x(now), cy: y(values[now]), r: 2, fill: colour }))
        : []),
    );
  };
  view.watch(draw);
  const resizes = new ResizeObserver(
    view.guard(() => {
      if (width === element.clientWidth) return;
      width = element.clientWidth;
      draw();
    }),
  );
  resizes.observe(element);
  view.signal.addEventListener("abort", () => resizes.disconnect(), { once: true });

  const go = (event: PointerEvent) => {
    const many = playback.history.peek()?.steps.length ?? 0;
    const box = element.getBoundingClientRect();
    const share = (event.clientX - box.left - INSET) / Math.max(1, box.width - 2 * INSET);
    if (many > 1) playback.seek(Math.round(share * (many - 1)));
  };
  let held = false;
  view.listen(element, "pointerdown", (event) => {
    if (event.button !== 0) return;
    held = true;
    element.setPointerCapture(event.pointerId);
    go(event);
  });
  view.listen(element, "pointermove", (event) => {
    if (held) go(event);
  });
  for (const end of ["pointerup", "pointercancel"] as const) {
    view.listen(element, end, () => (held = false));
  }
  return element;
}
