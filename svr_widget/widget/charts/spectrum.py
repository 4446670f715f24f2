"""The singular values of one map, with the edge of noise; brushing selects neurons."""

from __future__ import annotations

from collections.abc import Callable

import bqplot as bq
import ipywidgets
import numpy as np

from svr_widget.engine.decompose.marchenko_pastur import marchenko_pastur_edges
from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.svr import SVR
from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.charts.style import (
    ACCENT,
    GREY,
    PALE,
    Chart,
    axis,
    colour_of,
    dot,
    figure,
    line,
    round_ticks,
)


class Spectrum:
    """Singular values over their rank (2.2); the line is the Marchenko-Pastur edge of noise.

    Args:
        choose: called with the neurons that the brush covers, and with none when it is cleared.
        menu: of the maps, to stand in the head.

    Attributes:
        chart: the figure with its words.
        figure: the ``bqplot.Figure``.
        map: name of the map that is shown.
    """

    def __init__(
        self, choose: Callable[[list[tuple[str, int]]], None], menu: ipywidgets.Widget
    ) -> None:
        self.map = ""
        self._choose = choose
        x, self._heights = bq.LinearScale(), bq.LinearScale(min=0.0)
        self._hues = bq.ColorScale(min=0.0, max=1.0, colors=[GREY, ACCENT])
        scales = {"x": x, "y": self._heights}
        self._values = bq.Scatter(
            x=[],
            y=[],
            color=[],
            scales={**scales, "color": self._hues},
            default_size=24,
            stroke_width=0,
            marker="circle",
        )
        self._edge = bq.Lines(
            x=[],
            y=[],
            scales=scales,
            colors=[GREY],
            line_style="dashed",
            stroke_width=1.5,
        )
        self._brush = bq.interacts.BrushIntervalSelector(
            scale=x, marks=[self._values], color=ACCENT
        )
        self._ranks, self._sizes = axis(x), axis(self._heights, vertical=True)
        self.figure = figure(
            [self._edge, self._values],
            [self._ranks, self._sizes],
            interaction=self._brush,
        )
        self.chart = Chart(["<b>Spectrum of</b>", menu], self.figure)
        self._brush.observe(self._brushed, "selected")

    @with_own_settings
    def show(self, svr: SVR, name: str) -> None:
        """Show the map of this name."""
        if name == self.map:
            return
        neurons, linear = svr[name], svr.maps[svr.columns[name].map]
        self.map = name
        self._hues.colors = [colour_of(linear.kind), ACCENT]
        with self._values.hold_sync():
            self._values.x = np.arange(len(neurons))
            self._values.y = neurons.S.numpy()
            self._values.color = np.zeros(len(neurons))
        noise = linear.product_of is None and neurons.energy > 0
        with self._edge.hold_sync():
            edge = marchenko_pastur_edges(neurons)[1] if noise else 0.0
            self._heights.max = 1.05 * max(edge, *self._values.y[:1]) or 1.0
            self._edge.x = [0, max(len(neurons) - 1, 1)] if noise else []
            self._edge.y = [edge, edge] if noise else []
        self._ranks.tick_values = round_ticks(max(len(neurons) - 1, 1), whole=True)
        self._sizes.tick_values = round_ticks(self._heights.max)
        self.chart.explain(
            dot("singular value over its rank", self._hues.colors[0]),
            *([line("edge of noise", GREY, "dashed")] if noise else []),
            "drag to select",
        )

    def forget(self) -> None:
        """Show anew whatever is shown next."""
        self.map = ""

    def mark(self, chosen: list[int]) -> None:
        """Mark the neurons of the map that are selected."""
        marked = np.zeros(len(self._values.x))
        marked[chosen] = 1.0
        with self._values.hold_sync():
            self._values.color = marked
            self._values.opacities = [1.0 if k else PALE for k in marked] if chosen else [1.0]

    def close(self) -> None:
        """Let go of the widget and close the models."""
        self._brush.unobserve(self._brushed, "selected")
        close_parts(self.chart)
        self.chart.close()

    def _brushed(self, change: dict[str, object]) -> None:
        span = change["new"]
        if span is None or not len(span):  # type: ignore[arg-type]  # bqplot gives an array
            chosen = []
        else:
            low, high = sorted(float(end) for end in span)  # type: ignore[attr-defined]
            inside = range(max(0, int(np.ceil(low))), int(np.floor(high)) + 1)
            chosen = [(self.map, k) for k in inside if k < len(self._values.x)]
        self._choose(chosen)
