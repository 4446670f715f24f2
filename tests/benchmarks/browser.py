"""Slider to updated picture in Chromium without a GPU, beside a stroke an edge on a 2D canvas.

Run with ``python -m tests.benchmarks.browser``. Both are timed in turn on one page, from the event
to the task after the frame was painted; large graphs are painted over several frames, the
strongest edges first.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import torch

from svr_widget import SVRWidget
from tests.browser import plain_page
from tests.browser.lab import WIDGET, chromium
from tests.browser.picture import Picture

ROUNDS = 15
SIZES = {"20 thousand": (256, 0.153), "100 thousand": (512, 0.191)}

TIME_A_CHANGE = """async (share) => {
  const slider = document.querySelector('[aria-label="threshold"]');
  const painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = done;
    channel.port2.postMessage(0);
  }));
  await painted();
  const start = performance.now();
  slider.value = Math.round(share * Number(slider.max));
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  await painted();
  const first = performance.now() - start;
  while (document.querySelector('[data-svr="graph"]').dataset.painted !== "true") await painted();
  return [first, performance.now() - start];
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


def main() -> None:
    """Print medians in milliseconds and their ratio for each number of edges."""
    write = sys.stdout.write
    write(
        "| edges drawn | a step, ms | from nothing: first frame | whole "
        "| a stroke an edge | ratio |\n"
    )
    write("| --- | --- | --- | --- | --- | --- |\n")
    with chromium() as browser, tempfile.TemporaryDirectory() as folder:
        for width, p in SIZES.values():
            generator = torch.Generator().manual_seed(0)
            weights = [torch.randn(width, width, generator=generator) for _ in range(3)]
            widget = SVRWidget(weights, p=p, max_edges=200_000)
            page = browser.new_page(viewport={"width": 1232, "height": 700})
            state = plain_page.widget_state(widget)
            page.goto(plain_page.write(Path(folder) / f"{width}.html", state))
            picture = Picture(page.locator(WIDGET))
            drawn = int(picture.count("shown"))
            share = picture.slider.evaluate("(slider) => slider.value / slider.max")
            steps, firsts, wholes, strokes = [], [], [], []
            for turn in range(ROUNDS):
                steps.append(page.evaluate(TIME_A_CHANGE, share - 0.005 * (turn % 2))[1])
                page.evaluate(TIME_A_CHANGE, 0)
                first, whole = page.evaluate(TIME_A_CHANGE, share)
                firsts.append(first)
                wholes.append(whole)
                strokes.append(page.evaluate(TIME_STROKES, drawn))
            figures = [statistics.median(times) for times in (steps, firsts, wholes, strokes)]
            cells = " | ".join(f"{figure:.1f}" for figure in figures)
            write(f"| {drawn:,} | {cells} | {figures[2] / figures[3]:.2f} |\n")
            page.close()


if __name__ == "__main__":
    main()
