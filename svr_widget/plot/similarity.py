"""How like a reference the spectral images of a map are (Figures 6 and 14)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.plot.canvas import axes_on, figure_of
from svr_widget.plot.themes import MEDIUM, RULE, Theme, theme_of
from svr_widget.plot.words import titles


def similarity(
    svr: SpectralGraph,
    name: str,
    *,
    found: pd.DataFrame,
    ax: Axes | None = None,
    theme: str | Theme = "light",
    size: tuple[float, float] = (4.8, 3.2),
    title: str | None = None,
) -> Figure:
    """The mean of each neuron's image, between two standard errors, and the largest by name."""
    theme = theme_of(theme)
    rows = found[found["map"] == name]
    if rows.empty:
        raise SVRError(f"no similarity of {name!r} is given{nearest_name(name, found['map'])}")
    neurons, mean = rows["neuron"].to_numpy(), rows["mean"].to_numpy()
    n = int(rows["n"].iloc[0])
    error = np.nan_to_num(rows["sd"].to_numpy() / np.sqrt(n))
    axes = axes_on(ax, theme, size)
    hue = theme.hue(svr.maps[name].kind)
    axes.fill_between(
        neurons, mean - 2 * error, mean + 2 * error, color=hue, alpha=0.25, linewidth=0, zorder=2
    )
    axes.plot(neurons, mean, color=hue, linewidth=1.0, zorder=3)
    best = int(mean.argmax())
    axes.scatter(neurons[best], mean[best], s=16, color=theme.accent, linewidths=0, zorder=4)
    axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.grid(axis="y", color=theme.rule, linewidth=RULE, zorder=0)
    axes.set_axisbelow(True)
    axes.set_xlabel("neuron", labelpad=4, **theme.text(MEDIUM, soft=True))
    axes.set_ylabel("cosine similarity", labelpad=6, **theme.text(MEDIUM, soft=True))
    inputs = "1 input" if n == 1 else f"{n:,} inputs · band: 2 standard errors"
    says = f"largest: neuron {neurons[best]}, {mean[best]:.2f} · {inputs}"
    titles(axes, theme, name if title is None else title, says)
    return figure_of(axes)
