"""The singular values of one map, with the edge of noise; brushing selects neurons."""

from __future__ import annotations

from collections.abc import Callable

import bqplot as bq
import numpy as np

from svr_widget.engine.decompose.marchenko_pastur import marchenko_pastur_edges
from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.svr import SVR
from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.charts.style import ACCENT, GREY, PALE, axis, colour_of, figure, shortened


class Spectrum:
    """Singular values over their rank (2.2); the line is the Marchenko-Pastur edge of noise.

    Args:
        choose: called with the neurons that the brush covers, and with none when it is cleared.

    Attributes:
        figure: the ``bqplot.Figure``.
        map: name of the map that is shown.
    """

    def __init__(self, choose: Callable[[list[tuple[str, int]]], None]) -> None:
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
            default_size=18,
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
        self._words = bq.Label(
            x=[],
            y=[],
            text=["edge of noise"],
            scales=scales,
            colors=[GREY],
            default_size=11,
            font_weight="normal",
            align="end",
            y_offset=-8,
        )
        self._brush = bq.interacts.BrushIntervalSelector(
            scale=x, marks=[self._values], color=ACCENT
        )
        self.figure = figure(
            "",
            [self._edge, self._values, self._words],
            [axis(x, "rank k"), axis(self._heights, "singular value", vertical=True)],
            interaction=self._brush,
        )
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
            # Above the line there is room for its name.
            self._heights.max = 1.1 * max(edge, *self._values.y[:1]) or 1.0
            self._edge.x = [0, max(len(neurons) - 1, 1)] if noise else []
            self._edge.y = [edge, edge] if noise else []
        with self._words.hold_sync():
            self._words.x, self._words.y = self._edge.x[-1:], self._edge.y[-1:]
        self.figure.title = f"{shortened(name, 26)}: spectrum"

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
        close_parts(self.figure)
        self.figure.close()

    def _brushed(self, change: dict[str, object]) -> None:
        span = change["new"]
        if span is None or not len(span):  # type: ignore[arg-type]  # bqplot gives an array
            chosen = []
        else:
            low, high = sorted(float(end) for end in span)  # type: ignore[attr-defined]
            inside = range(max(0, int(np.ceil(low))), int(np.floor(high)) + 1)
            chosen = [(self.map, k) for k in inside if k < len(self._values.x)]
        self._choose(chosen)
