"""How many entries of a link reach a weight, against the laws of chance (Figures 10 and 11)."""

from __future__ import annotations

from typing import Any, get_args

import bqplot as bq
import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.maps.links import LinkKey
from svr_widget.engine.significance.entries import LinkTests
from svr_widget.engine.significance.nulls import Kind
from svr_widget.svr import SVR
from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.charts.style import ACCENT, GREY, TICKS, Chart, axis, figure, line

POINTS = 160
# From the strongest weight the axis goes down by this factor: below it every law is near 1.
DECADES = 1000.0
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
NAMES: dict[Kind, str] = {"exact": "exact law", "chi2": "χ² law of the paper"}
STYLES: dict[Kind, str] = {"exact": "solid", "chi2": "dotted"}

Floats = NDArray[np.float64]


class Survival:
    """The survival function of a link's entries, and those of its laws, on logarithmic axes.

    Args:
        menus: of the link, to stand in the head.

    Attributes:
        chart: the figure with its words.
        figure: the ``bqplot.Figure``.
        link: key of the link that is shown.
    """

    def __init__(self, menus: list[Any]) -> None:
        self.link: LinkKey | None = None
        # Logarithms on linear scales: bqplot's own logarithmic axes write ticks over one another.
        x, y = bq.LinearScale(), bq.LinearScale(max=0.0)
        self._x, self._y = x, y
        scales = {"x": x, "y": y}
        self._entries = bq.Lines(
            x=[], y=[], scales=scales, colors=[ACCENT], stroke_width=2,
        )  # fmt: skip
        self._laws = {
            kind: bq.Lines(
                x=[], y=[], scales=scales, colors=[GREY], stroke_width=1.5,
                line_style=STYLES[kind],
            )
            for kind in get_args(Kind)
        }  # fmt: skip
        self.figure = figure(
            [*self._laws.values(), self._entries],
            [axis(x, **_decades(-9)), axis(y, vertical=True, **_decades(-9))],
        )
        self.chart = Chart(["<b>Entries of</b>", *menus], self.figure)
        self.chart.explain(
            line("share of entries that reach a weight", ACCENT, "solid"),
            *(line(NAMES[kind], GREY, STYLES[kind]) for kind in self._laws),
        )

    @with_own_settings
    def show(self, svr: SVR, link: LinkKey) -> None:
        """Show the link of this key."""
        if link == self.link:
            return
        self.link = link
        adjacency = svr.adjacency(link)
        weights, share = empirical(adjacency.tests())
        self._y.min = float(np.log10(share.min(initial=1.0) / 2))
        _set(self._entries, weights, share)
        for kind, curve in self._laws.items():
            tests = adjacency.tests(kind)
            grid, expected = by_chance(tests, weights, float(share.min(initial=1.0)) / 2)
            _set(curve, grid, expected)
            if grid.size:
                self._x.min = float(np.log10(grid[0]))
        for part in self.figure.axes:  # bqplot draws ticks beyond the end of an axis too
            lowest = np.ceil(part.scale.min or -9.0)
            part.tick_values = np.arange(lowest, 1.0, 1 + (-lowest) // (TICKS + 1))

    def forget(self) -> None:
        """Show anew whatever is shown next."""
        self.link = None

    def close(self) -> None:
        """Close the models."""
        close_parts(self.chart)
        self.chart.close()


def empirical(tests: tuple[LinkTests, ...]) -> tuple[Floats, Floats]:
    """Weights and the share of a link's tested entries that reach them, strongest first.

    At most ``POINTS`` of the entries, even in the logarithm of their number.
    """
    every = np.sort(np.concatenate([np.empty(0), *(part.weights for part in tests)]))[::-1]
    if not every.size:
        return every, every
    ranks = np.unique(np.geomspace(1, every.size, POINTS).round().astype(np.int64))
    found = every[ranks - 1]
    positive = found > 0
    return found[positive], ranks[positive] / every.size


def by_chance(
    tests: tuple[LinkTests, ...], weights: Floats, smallest: float
) -> tuple[Floats, Floats]:
    """Weights, and the share of entries that chance has at or above each, down to ``smallest``.

    A link whose entries follow several laws has their mean, weighted by the numbers of entries.
    """
    total = sum(part.weights.size for part in tests)
    if not total or not weights.size:
        return np.empty(0), np.empty(0)
    ends = [float(part.law.isf(min(1.0, smallest))) for part in tests if part.weights.size]
    top = min(1.0, max(float(weights.max()), *(end for end in ends if np.isfinite(end)), 1e-300))
    grid = np.geomspace(top / DECADES, top, POINTS)
    share = sum(np.exp(part.law.logsf(grid)) * part.weights.size for part in tests) / total
    seen = np.asarray(share >= smallest * (1 - 1e-9))
    return grid[seen], np.asarray(share)[seen]


def _set(line: Any, x: Floats, y: Floats) -> None:
    with line.hold_sync():
        line.x, line.y = np.log10(x), np.log10(y)


def _decades(lowest: int) -> dict[str, Any]:
    """Ticks at powers of ten, 1 and below, on an axis of logarithms."""
    powers = list(range(lowest, 1))
    words = {power: "10" + str(power).translate(RAISED) if power else "1" for power in powers}
    return {"tick_values": powers, "tick_labels": words}
