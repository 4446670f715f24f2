"""One drawn widget, read as a person reads it: by its axes, its labels and its pixels."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.lab import WIDGET, Notebook

SINGULAR_VALUES = "{name: widget.svr[name].S.tolist() for name in widget.svr.maps}"
GRAPH = '[data-svr="graph"]'

# Where the axes say that things are, in CSS pixels of the canvas.
READ_AXES = """(root) => {
  const canvas = root.querySelector('[data-svr="graph"]').getBoundingClientRect();
  const middle = (element) => {
    const box = element.getBoundingClientRect();
    return [(box.left + box.right) / 2 - canvas.left, (box.top + box.bottom) / 2 - canvas.top];
  };
  const ticks = [...root.querySelectorAll(".svr-ticks span")];
  const columns = [...root.querySelectorAll(".svr-columns [data-map]")];
  return {
    ticks: ticks.map((tick) => [parseFloat(tick.textContent), parseFloat(tick.style.top)]),
    columns: columns.map((column) => [Number(column.dataset.map), middle(column)[0]]),
  };
}"""


@dataclass(frozen=True)
class Axes:
    """What the labels say: a linear scale of singular values, and the place of each column."""

    slope: float
    offset: float
    columns: dict[int, float]

    def point(self, column: int, singular_value: float) -> tuple[float, float]:
        """Where a neuron must stand, in CSS pixels of the canvas."""
        return self.columns[column], self.slope * singular_value + self.offset


def axes_of(root: Locator) -> Axes:
    """What the axes' labels of a widget say, whether or not its picture is there."""
    read = root.evaluate(READ_AXES)
    values, places = np.array(read["ticks"]).T
    slope, offset = np.polyfit(values, places, 1)
    return Axes(slope, offset, {int(column): x for column, x in read["columns"]})


def decoded(data: str) -> np.ndarray:
    """The pixels of a picture in base64, uint8 ``[height, width, 4]``."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))


class Picture:
    """A widget on a page."""

    def __init__(self, root: Locator) -> None:
        self.root = root
        self.canvas = root.locator(GRAPH)
        self.slider = root.get_by_role("slider", name="threshold")
        self.tooltip = root.locator('[data-svr="tooltip"]')
        expect(root.locator('[data-svr="significant"]')).not_to_have_text("")

    def axes(self) -> Axes:
        """Read the axes' labels."""
        return axes_of(self.root)

    def pixels(self) -> np.ndarray:
        """The canvas's own pixels, uint8 ``[height, width, 4]``, once all is drawn."""
        self.settle()
        data = self.canvas.evaluate("(canvas) => canvas.toDataURL('image/png').split(',')[1]")
        return decoded(data)

    def ink(self) -> int:
        """How many pixels of the transparent canvas carry something."""
        return int((self.pixels()[..., 3] > 0).sum())

    def count(self, name: str) -> float:
        """A number of the line beneath the picture: shown, significant or expected."""
        return float(self.root.locator(f'[data-svr="{name}"]').get_attribute("data-value") or "nan")

    def set_slider(self, share: float) -> None:
        """Put the threshold's slider at a share of its length, as dragging it would."""
        self.slider.evaluate(
            """(slider, share) => {
              slider.value = Math.round(share * Number(slider.max));
              slider.dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            share,
        )
        self.settle()

    def settle(self) -> None:
        """Wait until what was asked for is painted; large graphs take several frames."""
        self.root.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        expect(self.canvas).to_have_attribute("data-painted", "true")

    def hover(self, x: float, y: float) -> None:
        """Move the pointer to a place of the canvas."""
        self.canvas.hover(position={"x": x, "y": y})
        self.settle()


def picture_of(notebook: Notebook, nth: int = 0) -> Picture:
    """The widget on a notebook's page."""
    return Picture(notebook.page.locator(WIDGET).nth(nth))


def neuron_places(notebook: Notebook, picture: Picture) -> dict[str, list[tuple[float, float]]]:
    """Where the axes say that every neuron stands, from the engine's singular values."""
    axes = picture.axes()
    values = notebook.python(SINGULAR_VALUES)
    return {
        name: [axes.point(column, s) for s in singular]
        for column, (name, singular) in enumerate(values.items())
    }


def darkness_along(
    pixels: np.ndarray, start: tuple[float, float], end: tuple[float, float]
) -> np.ndarray:
    """Opacity 0..255 of the canvas along the middle half of a line, the largest within a pixel."""
    share = np.linspace(0.25, 0.75, 41)
    xs = start[0] + share * (end[0] - start[0])
    ys = start[1] + share * (end[1] - start[1])
    found = []
    for x, y in zip(xs, ys, strict=True):
        row, column = round(y), round(x)
        found.append(pixels[row - 1 : row + 2, column - 1 : column + 2, 3].max())
    return np.array(found)
