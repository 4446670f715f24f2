"""Threshold and pan to updated picture in Chromium without a GPU, beside a stroke an edge.

Run with ``python -m tests.benchmarks.browser``. All is timed in turn on one page: from the event to
the first frame that answers it, to the task after the last frame, and the longest time in between
that the page answered nothing else.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import torch
from playwright.sync_api import Page

from svr_widget import SVRWidget
from tests.browser import plain_page
from tests.browser.lab import WIDGET, chromium
from tests.browser.picture import Picture

ROUNDS = 7
# Width of three square maps, and the level at which chance draws so many of their edges.
SIZES = {"10 thousand": (256, 0.0763), "100 thousand": (512, 0.191), "1 million": (1024, 0.477)}

TIME_A_CHANGE = """async ({ threshold, camera }) => {
  const graph = document.querySelector('[data-svr="graph"]');
  const slider = document.querySelector('[aria-label="threshold"]');
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  }));
  await painted();
  let [last, longest] = [performance.now(), 0];
  const pulse = new MessageChannel();
  pulse.port1.onmessage = () => {
    const now = performance.now();
    [longest, last] = [Math.max(longest, now - last), now];
    pulse.port2.postMessage(0);
  };
  pulse.port2.postMessage(0);
  // The first pixels that are new, wherever they were painted.
  const { prototype } = CanvasRenderingContext2D;
  const { putImageData } = prototype;
  const answered = new Promise((done) => {
    prototype.putImageData = function (...values) {
      putImageData.apply(this, values);
      prototype.putImageData = putImageData;
      done(painted());
    };
  });
  const start = performance.now();
  if (camera) window.model.set("camera", camera);
  else {
    slider.value = Math.round(threshold * Number(slider.max));
    slider.dispatchEvent(new Event("input", { bubbles: true }));
  }
  await answered;
  const first = performance.now() - start;
  while (graph.dataset.painted !== "true") await painted();
  const whole = performance.now() - start;
  pulse.port1.close();
  return [first, whole, longest];
}"""

TIME_STROKES = """async (count) => {
  const graph = document.querySelector('[data-svr="graph"]');
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [graph.width, graph.height];
  const context = canvas.getContext("2d");
  const start = performance.now();
  context.strokeStyle = "rgba(0, 0, 0, 0.2)";
  for (let i = 0; i < count; i++) {
    context.beginPath();
    const [left, from, to] = [(i % 2) * 0.5, ((i * 7919) % 997) / 997, ((i * 104729) % 991) / 991];
    context.moveTo(left * canvas.width, from * canvas.height);
    context.lineTo((left + 0.5) * canvas.width, to * canvas.height);
    context.stroke();
  }
  context.getImageData(0, 0, 1, 1);
  return performance.now() - start;
}"""


def measure(page: Page) -> tuple[int, dict[str, list[list[float]]], list[float]]:
    """Edges drawn, the three times of every change in milliseconds, and those of the strokes."""
    picture = Picture(page.locator(WIDGET))
    picture.settle()
    drawn = int(picture.count("shown"))
    share = picture.slider.evaluate("(slider) => slider.value / slider.max")
    times: dict[str, list[list[float]]] = {"a step": [], "none and back": [], "a full redraw": []}
    strokes = []
    for turn in range(ROUNDS):
        times["a step"].append(page.evaluate(TIME_A_CHANGE, {"threshold": share - 0.005}))
        page.evaluate(TIME_A_CHANGE, {"threshold": 0})
        times["none and back"].append(page.evaluate(TIME_A_CHANGE, {"threshold": share}))
        camera = {"camera": [1, 0.5 + 0.02 * (turn % 2 + 1), 0.5]}
        times["a full redraw"].append(page.evaluate(TIME_A_CHANGE, camera))
        strokes.append(page.evaluate(TIME_STROKES, drawn))
    return drawn, times, strokes


def main() -> None:
    """Print medians in milliseconds and their ratio for each number of edges."""
    write = sys.stdout.write
    write(
        "| edges drawn | change | first answer, ms | whole | page busy "
        "| a stroke an edge | ratio |\n"
    )
    write("| --- | --- | --- | --- | --- | --- | --- |\n")
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        for width, p in SIZES.values():
            generator = torch.Generator().manual_seed(0)
            weights = [torch.randn(width, width, generator=generator) for _ in range(3)]
            widget = SVRWidget(weights, p=p, max_edges=1_200_000, panes=[])
            widget.wait()
            page = browser.new_page(viewport={"width": 1232, "height": 760})
            state = plain_page.widget_state(widget)
            page.goto(plain_page.write(Path(folder) / f"{width}.html", state))
            drawn, times, strokes = measure(page)
            beside = statistics.median(strokes)
            for change, found in times.items():
                first, whole, busy = (
                    statistics.median(column) for column in zip(*found, strict=True)
                )
                write(
                    f"| {drawn:,} | {change} | {first:.0f} | {whole:.0f} | {busy:.0f} "
                    f"| {beside:.0f} | {whole / beside:.2f} |\n"
                )
            page.close()


if __name__ == "__main__":
    main()
