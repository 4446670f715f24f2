"""Threshold and pan to updated picture in Chromium without a GPU, beside others that draw edges.

Run with ``python -m tests.benchmarks.painting``. All is timed in turn, in one browser: from the
event to the first frame that answers it, to the task after the last frame, and the longest time in
between that the page answered nothing else, its longest task. Beside it stand a stroke an edge on a
2D canvas, sigma.js and plotly (a trace an edge). Where those draw fewer edges (``peers.MOST``),
their time is scaled up by the edges.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import torch
from playwright.sync_api import Page

from svr_widget import SVRWidget
from tests.benchmarks.peers import MOST, Peer, bundle_sigma, opened
from tests.browser import plain_page
from tests.browser.lab import WIDGET, chromium
from tests.browser.picture import Picture

ROUNDS = 7
# Width of three square maps, and the level at which chance draws so many of their edges.
SIZES = {"10 thousand": (256, 0.0763), "100 thousand": (512, 0.191), "1 million": (1024, 0.477)}
# At a million edges the others are not even asked.
MOST_WIDTH_BESIDE = 1024
STEP, JUMP, PAN = "a step", "a jump", "a pan"
# Of fewer edges the page paints a picture itself, and the workers' own stands as it was.
FEW = 25_000
Times = list[list[float]]

# What is painted by now, and `longest`: the longest time that the page answered nothing else.
WATCH = """
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
"""
TIME_A_CHANGE = (
    """async ({ threshold, camera }) => {
  const graph = document.querySelector('[data-svr="graph"]');
  const slider = document.querySelector('[aria-label="threshold"]');
"""
    + WATCH
    + """  // The first pixels that are new, wherever they were painted.
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
)

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


def measure(page: Page, peers: dict[str, Peer]) -> tuple[int, dict[str, Times], dict[str, Times]]:
    """Edges drawn, our times of every change in milliseconds, and those of what stands beside."""
    picture = Picture(page.locator(WIDGET))
    picture.settle()
    drawn = int(picture.count("shown"))
    share = picture.slider.evaluate("(slider) => slider.value / slider.max")
    strict = strict_share(picture, share) if drawn > FEW else 0.0
    ours: dict[str, Times] = {STEP: [], JUMP: [], PAN: []}
    beside: dict[str, Times] = {name: [] for name in ("a stroke an edge", *peers)}
    for turn in range(ROUNDS):
        ours[STEP].append(page.evaluate(TIME_A_CHANGE, {"threshold": share - 0.005}))
        page.evaluate(TIME_A_CHANGE, {"threshold": strict})
        ours[JUMP].append(page.evaluate(TIME_A_CHANGE, {"threshold": share}))
        camera = {"camera": [1, 0.5 + 0.02 * (turn % 2 + 1), 0.5]}
        ours[PAN].append(page.evaluate(TIME_A_CHANGE, camera))
        beside["a stroke an edge"].append([page.evaluate(TIME_STROKES, drawn)])
        for name, peer in peers.items():
            times = [peer.step(), peer.pan(turn)]
            # Where it draws fewer edges, its time an edge counts for the others.
            beside[name].append([time * drawn / peer.count for time in times])
    return drawn, ours, beside


def strict_share(picture: Picture, loose: float) -> float:
    """Where on the slider a few more than ``FEW`` edges are drawn; it is put back."""
    low, high = 0.0, loose
    for _ in range(8):
        middle = 0.5 * (low + high)
        picture.set_slider(middle)
        if picture.count("shown") > FEW:
            high = middle
        else:
            low = middle
    picture.set_slider(loose)
    return high


def medians(times: Times) -> list[float]:
    return [statistics.median(column) for column in zip(*times, strict=True)]


def main() -> None:
    """Print medians in milliseconds and their ratios for each number of edges."""
    write = sys.stdout.write
    bundle_sigma()
    write(
        "| edges drawn | change | first answer, ms | whole | longest task "
        "| a stroke an edge | sigma.js | plotly | whole to stroke | to sigma.js | to plotly |\n"
    )
    write("| --- " * 11 + "|\n")
    with chromium() as browser, tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        for width, p in SIZES.values():
            generator = torch.Generator().manual_seed(0)
            weights = [torch.randn(width, width, generator=generator) for _ in range(3)]
            widget = SVRWidget(weights, p=p, max_edges=1_200_000, panes=[])
            widget.wait()
            page = browser.new_page(viewport={"width": 1232, "height": 760})
            state = plain_page.widget_state(widget)
            page.goto(plain_page.write(folder / f"{width}.html", state))
            names = [name for name in MOST if width < MOST_WIDTH_BESIDE]
            peers = {
                name: stack.enter_context(opened(browser, folder, name, widget)) for name in names
            }
            drawn, ours, beside = measure(page, peers)
            stroke = medians(beside["a stroke an edge"])[0]
            for change, place in ((STEP, 0), (JUMP, None), (PAN, 1)):
                first, whole, longest = medians(ours[change])
                theirs = [
                    None if name not in peers or place is None else medians(beside[name])[place]
                    for name in ("sigma.js", "plotly")
                ]
                cells = [f"{first:.0f}", f"{whole:.0f}", f"{longest:.0f}", f"{stroke:.0f}"]
                cells += ["" if time is None else f"{time:.0f}" for time in theirs]
                cells += [
                    "" if time is None else f"{whole / time:.2g}" for time in (stroke, *theirs)
                ]
                write(f"| {drawn:,} | {change} | {' | '.join(cells)} |\n")
            sys.stdout.flush()
            stack.close()
            page.close()


if __name__ == "__main__":
    main()
