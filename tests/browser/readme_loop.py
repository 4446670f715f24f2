"""``make pictures``: the README's moving picture, of a real page that a script drives.

The threshold is drawn along its curve, a neuron is pointed at, and a click keeps the path through
it. The page is an exported one, so nothing moves but what the script moves.
"""

from __future__ import annotations

import io
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from playwright.sync_api import Page

from svr_widget import SVRWidget
from tests.browser.lab import REPOSITORY, WIDGET, chromium
from tests.browser.picture import Picture
from tests.browser.readme_pictures import NETWORKS

PATH = REPOSITORY / "notebooks" / "pictures" / "loop.webp"
SIZE = {"width": 912, "height": 700}
STEP = 90  # milliseconds of a frame in which something moves

STILL = "* { transition: none !important; animation: none !important; caret-color: transparent; }"
POINTER = """() => {
  const pointer = document.createElement("div");
  pointer.id = "pointer";
  pointer.innerHTML = `<svg width="17" height="25" viewBox="0 0 17 25"><path d="M1 1v19l4.6-4.3
    3 7.2 3.4-1.5-3-7H15.5Z" fill="#111" stroke="#fff" stroke-width="1.6"/></svg>`;
  pointer.style.cssText = "position:fixed;left:0;top:0;z-index:9;pointer-events:none";
  document.body.append(pointer);
  document.addEventListener("pointermove", ({ clientX, clientY }) => {
    pointer.style.transform = `translate(${clientX - 1}px, ${clientY - 1}px)`;
  }, { capture: true });
}"""


@dataclass
class Film:
    """Frames of a page, each with the time for which it stands."""

    page: Page
    picture: Picture
    frames: list[Image.Image] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    at: tuple[float, float] = (0.0, 0.0)

    def shot(self, time: int = STEP) -> None:
        """One more frame; one that is as the last only makes that longer."""
        self.picture.settle()
        taken = Image.open(io.BytesIO(self.picture.root.screenshot(animations="disabled")))
        taken = taken.convert("RGB")
        if self.frames and taken.tobytes() == self.frames[-1].tobytes():
            self.times[-1] += time
            return
        self.frames.append(taken)
        self.times.append(time)

    def move(self, to: tuple[float, float], steps: int) -> None:
        """Move the pointer there, slowly at both ends."""
        start = self.at
        for step in range(1, steps + 1):
            share = step / steps
            eased = share * share * (3 - 2 * share)
            self.at = (
                start[0] + (to[0] - start[0]) * eased,
                start[1] + (to[1] - start[1]) * eased,
            )
            self.page.mouse.move(*self.at)
            self.shot()

    def save(self, path: Path) -> None:
        """Write the loop as an animated WebP."""
        first, *rest = self.frames
        first.save(
            path, save_all=True, append_images=rest, duration=self.times, loop=0,
            quality=82, method=6, minimize_size=True,
        )  # fmt: skip


def trained() -> SVRWidget:
    """The network of the other pictures, trained here, in the widget."""
    made: dict[str, object] = {}
    torch.set_num_threads(1)  # the order of sums is part of the picture
    exec(NETWORKS + "model = fit(mlp(), 40)", made)
    return SVRWidget(made["model"], example_inputs=made["images"][:1], height=560, tour=False)  # type: ignore[index]


def play(film: Film, widget: SVRWidget) -> None:
    """What is seen: strict and loose thresholds, a neuron pointed at, its path kept."""
    picture, page = film.picture, film.page
    graph, curve = picture.canvas.bounding_box(), page.locator(".svr-curve").bounding_box()
    knob = page.locator("circle.svr-cut").bounding_box()
    assert graph
    assert curve
    assert knob
    x, y = knob["x"] + knob["width"] / 2, knob["y"] + knob["height"] / 2
    film.at = (x + 40, y - 90)
    page.mouse.move(*film.at)
    film.shot(900)
    film.move((x, y), 5)
    page.mouse.down()
    film.move((curve["x"] + 0.45 * curve["width"], y), 10)
    film.shot(500)
    film.move((curve["x"] + 0.93 * curve["width"], y), 14)
    film.shot(500)
    film.move((x, y), 8)
    page.mouse.up()
    strongest = widget.svr.super_feature().iloc[1]
    column = list(widget.svr.columns).index(strongest["map"])
    left, top = picture.axes().point(column, float(widget.svr[strongest["map"]].S[strongest["k"]]))
    film.move((graph["x"] + left, graph["y"] + top), 9)
    film.shot(1500)
    page.mouse.down()
    page.mouse.up()
    film.shot(400)
    film.move((graph["x"] + left + 60, graph["y"] + graph["height"] * 0.55), 5)
    film.shot(2000)


def record(path: Path = PATH) -> None:
    """Train, export, drive and write."""
    widget = trained()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        exported = Path(folder) / "page.html"
        widget.to_html(exported)
        context = browser.new_context(viewport=SIZE, reduced_motion="reduce", bypass_csp=True)
        page = context.new_page()
        page.goto(exported.as_uri())
        page.add_style_tag(content=STILL)
        page.evaluate(POINTER)
        film = Film(page, Picture(page.locator(WIDGET)))
        play(film, widget)
        film.save(path)


if __name__ == "__main__":
    record()
