"""The internal dimensions of every link (paper, 3.2 and Figure 4)."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.adjacency import Method
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.plot.canvas import axes_on, figure_of
from svr_widget.plot.themes import MEDIUM, RULE, SMALL, Theme, family, theme_of
from svr_widget.plot.words import arrow, titles

CLEAR = 0.05
"""Blocks with a larger p-value are drawn pale."""

_PALE, _APART = 0.25, 0.14


def dimensions(
    svr: SpectralGraph,
    *,
    method: Method | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "light",
    size: tuple[float, float] = (5.2, 3.2),
    title: str | None = None,
) -> Figure:
    """``d_in`` and ``d_out`` of each link on the neurons that there are."""
    theme = theme_of(theme)
    svr.check_linked('plot("dimensions")')
    if not svr.links:
        raise SVRError(f"{svr.title} has no links, and so no internal dimensions")
    axes = axes_on(ax, theme, size)
    matrices = [svr.adjacency(link, method) for link in svr.links]
    found = [matrix.internal_dimensions() for matrix in matrices]
    clear = np.array([one.p_value is None or one.p_value < CLEAR for one in found])
    places = np.arange(len(found))
    sides = (
        ("d_in", -_APART, theme.soft, "o", "$d_{in}$, of the producer", 1),
        ("d_out", _APART, theme.accent, "s", "$d_{out}$, of the consumer", 0),
    )
    for side, shift, colour, marker, label, axis in sides:
        have = [matrix.shape[axis] for matrix in matrices]
        axes.vlines(places + shift, 0, have, color=theme.rule, linewidth=3, zorder=1)
        used = np.array([getattr(one, side) for one in found])
        for shown, alpha in ((clear, 1.0), (~clear, _PALE)):
            axes.scatter(
                places[shown] + shift,
                used[shown],
                s=16,
                marker=marker,
                color=colour,
                alpha=alpha,
                linewidths=0,
                zorder=3,
                label=label if alpha == 1 else None,
            )
    axes.vlines([], 0, 1, color=theme.rule, linewidth=3, label="neurons there are")
    axes.set_xlim(-0.5, len(found) - 0.5)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="y", color=theme.rule, linewidth=RULE, zorder=0)
    axes.set_axisbelow(True)
    axes.set_xticks(places, [arrow(link) for link in svr.links])
    turned = len(found) > 4
    for name in axes.get_xticklabels():
        name.set(**theme.text(SMALL))
        if turned:
            name.set(rotation=45, ha="right", va="top", rotation_mode="anchor")
    axes.set_ylabel("neurons", labelpad=6, **theme.text(MEDIUM, soft=True))
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(1, 1),
        frameon=False,
        prop={"family": family(), "size": SMALL},
        labelcolor=theme.soft,
        handlelength=1,
    )
    said = f"{int(clear.sum())} of {len(found)} links have a block beyond chance"
    pale = "" if clear.all() else f" · pale: p ≥ {CLEAR:g}"
    titles(axes, theme, "Internal dimensions" if title is None else title, said + pale)
    return figure_of(axes)
