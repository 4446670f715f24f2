// The wheel over a picture: with a key or after a click it zooms, else it belongs to the page.

import type { View } from "../view.js";

/** Pixels of wheel that double the size. */
const DOUBLING = 240;

/** Calls `zoom` with the factor by which a turn of the wheel enlarges what is seen. */
export function followWheel(
  view: View,
  canvas: HTMLCanvasElement,
  zoom: (factor: number, event: WheelEvent) => void,
): void {
  view.listen(
    canvas,
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey && !canvas.matches(":focus")) return;
      event.preventDefault();
      const pixels = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
      zoom(2 ** ((-event.deltaY * pixels) / DOUBLING), event);
    },
    { passive: false },
  );
}
