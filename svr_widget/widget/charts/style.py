"""What the figures have in common: colours that are legible on light and dark, thin axes.

Words stand around a figure, not in it: bqplot cuts titles and lays legends over what it draws.
"""

from __future__ import annotations

import html
import math
from typing import Any

import bqplot as bq
import ipywidgets
import numpy as np

# Okabe-Ito hues and greys with enough contrast on both white and JupyterLab's dark paper.
GREY = "#7d8790"
RULE = "#7d879040"
ACCENT = "#3d84e6"
KINDS = {
    "linear": "#2b8cc4",
    "convolution": "#e0701a",
    "transposed convolution": "#e0701a",
    "embedding": "#c96ba3",
    "attention": "#12a07a",
}
OTHER = "#8d7bc0"
PALE = 0.45  # the opacity of what is not selected
TICKS = 5
"""About how many numbers an axis has: in the narrowest figure they stand apart."""

CSS = """
.svr-charts { gap: 16px 24px; align-items: start; align-content: start; overflow: hidden; }
.svr-chart { min-width: 0; overflow: hidden; }
.svr-chart-head { flex-flow: row wrap; gap: 0 2px; align-items: center; overflow: hidden; }
.svr-chart-head > * { margin: 0; width: auto; max-width: 100%; }
.svr-chart-head .widget-html-content { line-height: 24px; font-size: 12px; }
.svr-chart-head .widget-dropdown { height: 24px; min-width: 0; }
.svr-chart-head select {
  height: 24px; padding: 0 20px 0 6px; border: 0; border-radius: 4px; appearance: none;
  field-sizing: content; max-width: 100%; text-overflow: ellipsis; box-shadow: none;
  color: var(--jp-ui-font-color1, inherit); font-size: 12px; font-weight: 600;
  background:
    linear-gradient(45deg, transparent 50%, #7d8790 50%) calc(100% - 10px) 11px / 4px 4px no-repeat,
    linear-gradient(-45deg, transparent 50%, #7d8790 50%) calc(100% - 6px) 11px / 4px 4px no-repeat;
}
.svr-chart-head select:hover { background-color: var(--jp-layout-color2, #7d879020); }
.svr-chart-head select:focus-visible { outline: 2px solid #3d84e6; outline-offset: -2px; }
.svr-chart-words { color: var(--jp-ui-font-color2, #5a646e); font-size: 12px; line-height: 16px; }
.svr-chart-words > span { display: inline-block; margin-inline-end: 12px; }
.svr-chart-words i {
  display: inline-block; width: 9px; height: 9px; margin-inline-end: 5px; border-radius: 50%;
  box-sizing: border-box;
}
.svr-chart-words i.line { width: 16px; height: 0; border-radius: 0; vertical-align: 3px; }
.svr-chart-words i.diamond { width: 8px; height: 8px; border-radius: 0; transform: rotate(45deg); }
.svr-chart .bqplot { min-width: 0 !important; }
.svr-dashboard { display: flex; flex-wrap: wrap; gap: 16px; overflow: hidden; }
.svr-dashboard > * { flex: 3 1 640px; min-width: 0; width: auto; margin: 0; }
.svr-dashboard > .svr-charts { flex: 1 1 300px; }
"""


def axis(scale: bq.Scale, vertical: bool = False, **options: Any) -> bq.Axis:
    """An axis, thin and grey; what it measures is said above the figure."""
    return bq.Axis(
        scale=scale,
        orientation="vertical" if vertical else "horizontal",
        grid_color=RULE,
        color=GREY,
        tick_style={"fill": GREY, "font-size": "11px"},
        **options,
    )


def figure(marks: list[bq.Mark], axes: list[bq.Axis], **options: Any) -> bq.Figure:
    """A figure without paper of its own, so that it stands on the host's."""
    return bq.Figure(
        marks=marks,
        axes=axes,
        background_style={"fill": "transparent"},
        fig_margin={"top": 8, "bottom": 24, "left": 40, "right": 16},
        animation_duration=0,
        display_toolbar=False,
        padding_x=0.02,
        padding_y=0.04,
        layout={"width": "100%", "height": "176px", "min_width": "0"},
        **options,
    )


class Chart(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
    """A figure beneath its name, its menus and what its marks mean."""

    def __init__(self, head: list[Any], drawn: ipywidgets.Widget) -> None:
        self._words = ipywidgets.HTML()
        parts = [ipywidgets.HTML(part) if isinstance(part, str) else part for part in head]
        self._head = ipywidgets.HBox(parts)
        self._head.add_class("svr-chart-head")
        super().__init__([self._head, self._words, drawn])
        self.add_class("svr-chart")

    def explain(self, *words: str) -> None:
        """Say what the axes and the marks mean; ``words`` are HTML."""
        spans = "".join(f"<span>{each}</span>" for each in words)
        self._words.value = f"<div class='svr-chart-words'>{spans}</div>"


def dot(words: str, colour: str, shape: str = "", *, hollow: bool = False) -> str:
    """A mark and what it means, as HTML."""
    fill = "transparent" if hollow else colour
    look = f"background:{fill};border:1.5px solid {colour}"
    return f"<i class='{shape}' style='{look}'></i>{html.escape(words)}"


def line(words: str, colour: str, style: str) -> str:
    """A line and what it means, as HTML."""
    return f"<i class='line' style='border-top:2px {style} {colour}'></i>{html.escape(words)}"


def round_ticks(last: float, *, whole: bool = False) -> np.ndarray[Any, np.dtype[np.float64]]:
    """About ``TICKS`` round numbers from 0 to ``last``; bqplot's own are round or few, not both."""
    rough = max(last / TICKS, 1.0 if whole else 1e-300)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * lead for lead in (1, 2, 5, 10) if power * lead >= rough * (1 - 1e-9))
    return np.arange(math.floor(last / step * (1 + 1e-9)) + 1, dtype=np.float64) * step


def shortened(name: str, most: int) -> str:
    """A name that fits, its telling end kept."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def colour_of(kind: str) -> str:
    """The hue of a kind of map, as in the graph."""
    return KINDS.get(kind, OTHER)
