"""Internal dimensions of the links (3.2): how much of each layer the next one uses."""

from __future__ import annotations

from collections.abc import Callable

import bqplot as bq
import ipywidgets
import numpy as np

from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.maps.links import LinkKey
from svr_widget.svr import SVR
from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.charts.style import (
    ACCENT,
    GREY,
    Chart,
    axis,
    dot,
    figure,
    round_ticks,
    shortened,
)

BLOCK_P = 0.05
# A graph of more links than this is shown in parts: the links into one map.
MOST = 24
_ROW, _AROUND, _LEAST, _TALLEST = 18, 36, 100, 240
_NAME, _SIGN = 11, 6.2  # signs of a map's name; pixels of a sign


class Dimensions:
    """A row for each link with its ``d_in`` and ``d_out``; hollow where chance gives as clear ones.

    Args:
        choose: called with the link whose dot is clicked.

    Attributes:
        chart: the figure with its words.
        figure: the ``bqplot.Figure``.
        links: keys of the links that are shown, in the order of the rows.
    """

    def __init__(self, choose: Callable[[LinkKey], None]) -> None:
        self.links: list[LinkKey] = []
        self._choose = choose
        self._counts, self._rows = bq.LinearScale(), bq.LinearScale(reverse=True)
        self._count_axis = axis(self._counts, tick_format="~s")
        self._row_axis = axis(self._rows, vertical=True)
        # Dots, not bars: bqplot 0.13 draws no grouped bars on today's numpy.
        self.d_in, self.d_out = (
            bq.Scatter(
                x=[],
                y=[],
                scales={"x": self._counts, "y": self._rows},
                stroke=colour,
                marker=marker,
                default_size=40,
                stroke_width=1.5,
            )
            for colour, marker in ((GREY, "circle"), (ACCENT, "diamond"))
        )
        for dots in (self.d_in, self.d_out):
            dots.on_element_click(self._clicked)
        self.figure = figure(
            [self.d_in, self.d_out],
            [self._count_axis, self._row_axis],
        )
        # Many rows scroll.
        shelf = ipywidgets.Box(
            [self.figure], layout={"max_height": f"{_TALLEST}px", "overflow": "hidden auto"}
        )
        self.chart = Chart(["<b>Internal dimensions</b>"], shelf)

    @with_own_settings
    def show(self, svr: SVR, link: LinkKey) -> None:
        """Show all links, or those that enter the same map as this one where they are many."""
        every = [key for key, each in svr.links.items() if not each.by_construction]
        entered = svr.links[link].consumer
        some = [key for key in every if svr.links[key].consumer == entered]
        shown = every if len(every) <= MOST else some
        if shown == self.links:
            return
        self.links = shown
        found = [svr.internal_dimensions(key) for key in shown]
        clear = [one.p_value is None or one.p_value < BLOCK_P for one in found]
        rows = np.arange(len(shown), dtype=np.float64)
        for dots, side, colour in ((self.d_in, "d_in", GREY), (self.d_out, "d_out", ACCENT)):
            with dots.hold_sync():
                dots.x = np.array([getattr(one, side) for one in found], np.float64)
                dots.y = rows
                dots.colors = [colour if certain else "transparent" for certain in clear]
        names = [_name(key, None if shown is every else entered) for key in shown]
        most = max((max(one.d_in, one.d_out) for one in found), default=1) or 1
        self._counts.min, self._counts.max = -0.03 * most, 1.03 * most
        self._count_axis.tick_values = round_ticks(most, whole=True)
        self._rows.min, self._rows.max = -0.6, len(shown) - 0.4
        with self._row_axis.hold_sync():
            self._row_axis.tick_values = rows
            self._row_axis.tick_labels = dict(enumerate(names))
        left = int(12 + _SIGN * max(map(len, names)))
        self.figure.fig_margin = {**self.figure.fig_margin, "left": left}
        self.figure.layout.height = f"{max(_LEAST, _AROUND + _ROW * len(shown))}px"
        into = "" if shown is every else f"into {shortened(entered, 24)}: "
        self.chart.explain(
            f"{into}neurons of a link's block",
            dot("d_in, of the producer", GREY),
            dot("d_out, of the consumer", ACCENT, "diamond"),
            dot(f"no block, p ≥ {BLOCK_P}", GREY, hollow=True),
        )

    def forget(self) -> None:
        """Show anew whatever is shown next."""
        self.links = []

    def close(self) -> None:
        """Let go of the widget and close the models."""
        for dots in (self.d_in, self.d_out):
            dots.on_element_click(self._clicked, remove=True)
        close_parts(self.chart)
        self.chart.close()

    def _clicked(self, _: object, event: dict[str, dict[str, int]]) -> None:
        self._choose(self.links[event["data"]["index"]])


def _name(key: LinkKey, entered: str | None) -> str:
    """A link in few signs: both ends, or the producer where all enter one map."""
    number = f" ({key[2]})" if len(key) > 2 else ""
    if entered is None:
        return f"{shortened(key[0], _NAME)} → {shortened(key[1], _NAME)}{number}"
    side = key[1].removeprefix(entered)  # of a product of queries and keys, which of them reads
    return f"{shortened(key[0], 2 * _NAME - len(side))} {side}{number}".rstrip()
