"""Internal dimensions of the links (3.2): how much of each layer the next one uses."""

from __future__ import annotations

from collections.abc import Callable

import bqplot as bq
import numpy as np

from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.maps.links import LinkKey
from svr_widget.svr import SVR
from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.charts.style import ACCENT, GREY, PALE, axis, figure, shortened

BLOCK_P = 0.05
# A graph of more links than this is shown in parts: the links into one map.
MOST = 64


class Dimensions:
    """Dots for ``d_in`` and ``d_out`` of each link; pale where chance gives a block as clear.

    Args:
        choose: called with the link whose dot is clicked.

    Attributes:
        figure: the ``bqplot.Figure``.
        links: keys of the links that are shown, in the order of the dots.
    """

    def __init__(self, choose: Callable[[LinkKey], None]) -> None:
        self.links: list[LinkKey] = []
        self._choose = choose
        x, y = bq.LinearScale(), bq.LinearScale(min=0.0)
        self._x_axis = axis(x, "link", tick_format="d")
        # Dots, not bars: bqplot 0.13 draws no grouped bars on today's numpy.
        self.d_in, self.d_out = (
            bq.Scatter(
                x=[],
                y=[],
                scales={"x": x, "y": y},
                colors=[colour],
                marker=marker,
                default_size=44,
                stroke_width=0,
                labels=[label],
                display_legend=True,
            )
            for colour, marker, label in (
                (GREY, "circle", "d_in (from)"),
                (ACCENT, "diamond", "d_out (to)"),
            )
        )
        for dots in (self.d_in, self.d_out):
            dots.on_element_click(self._clicked)
        self.figure = figure(
            f"internal dimensions; pale: p ≥ {BLOCK_P}",
            [self.d_in, self.d_out],
            [self._x_axis, axis(y, "neurons", vertical=True)],
            legend_location="top-right",
        )

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
        for dots, side in ((self.d_in, "d_in"), (self.d_out, "d_out")):
            with dots.hold_sync():
                dots.x = np.arange(len(shown), dtype=np.float64)
                dots.y = np.array([getattr(one, side) for one in found], np.float64)
                dots.opacities = [1.0 if certain else PALE for certain in clear]
        self._x_axis.tick_values = np.arange(0.0, len(shown), 1 + len(shown) // 8)
        self._x_axis.label = "link" if shown == every else f"link into {shortened(entered, 24)}"

    def forget(self) -> None:
        """Show anew whatever is shown next."""
        self.links = []

    def close(self) -> None:
        """Let go of the widget and close the models."""
        for dots in (self.d_in, self.d_out):
            dots.on_element_click(self._clicked, remove=True)
        close_parts(self.figure)
        self.figure.close()

    def _clicked(self, _: object, event: dict[str, dict[str, int]]) -> None:
        self._choose(self.links[event["data"]["index"]])
