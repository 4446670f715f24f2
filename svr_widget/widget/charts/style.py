"""What the figures have in common: colours that are legible on light and dark, thin axes."""

from __future__ import annotations

from typing import Any

import bqplot as bq

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
PALE = 0.25  # the opacity of what is not selected, or not significant


def axis(scale: bq.Scale, label: str, vertical: bool = False, **options: Any) -> bq.Axis:
    """An axis with its title, thin and grey."""
    return bq.Axis(
        scale=scale,
        label=label,
        orientation="vertical" if vertical else "horizontal",
        grid_color=RULE,
        color=GREY,
        label_color=GREY,
        label_offset="44px" if vertical else "32px",
        tick_style={"fill": GREY, "font-size": "11px"},
        **options,
    )


def figure(title: str, marks: list[bq.Mark], axes: list[bq.Axis], **options: Any) -> bq.Figure:
    """A figure without paper of its own, so that it stands on the host's."""
    return bq.Figure(
        marks=marks,
        axes=axes,
        title=title,
        title_style={"fill": GREY, "font-size": "13px", "font-weight": "600"},
        background_style={"fill": "transparent"},
        legend_style={"fill": "transparent", "stroke": "transparent"},
        legend_text={"fill": GREY, "font-size": "11px"},
        fig_margin={"top": 36, "bottom": 48, "left": 60, "right": 16},
        animation_duration=0,
        padding_x=0.02,
        padding_y=0.04,
        layout={"width": "100%", "height": "280px", "min_width": "260px"},
        **options,
    )


def shortened(name: str, most: int) -> str:
    """A name that fits: bqplot cuts what is wider than its figure at both ends."""
    return name if len(name) <= most else f"…{name[1 - most :]}"


def colour_of(kind: str) -> str:
    """The hue of a kind of map, as in the graph."""
    return KINDS.get(kind, OTHER)
