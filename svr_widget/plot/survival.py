"""The survival function of a link's entries beside the laws of chance (Figures 10 and 11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator
from numpy.typing import NDArray

from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold, cut_of
from svr_widget.engine.maps.links import LinkKey, TestKey
from svr_widget.engine.significance.entries import LinkTests
from svr_widget.engine.significance.multiple_testing import Cut, exceeds_chance
from svr_widget.engine.significance.nulls import Kind
from svr_widget.plot.canvas import axes_on, figure_of
from svr_widget.plot.themes import MEDIUM, RULE, SMALL, Theme, family, theme_of
from svr_widget.plot.words import arrow, level_of, titles

Floats = NDArray[np.float64]
_POINTS = 600


def survival(
    svr: SpectralGraph,
    link: LinkKey,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "light",
    size: tuple[float, float] = (4.8, 3.4),
    title: str | None = None,
    **threshold: Unpack[Threshold],
) -> Figure:
    """How often entries reach a weight, and how often they would by chance."""
    theme, made = theme_of(theme), svr.adjacency(link).link.by_construction
    if made:
        raise SVRError(
            f"the link {arrow(link)} is by construction: one tensor at both ends, which no test "
            "asks about; plot('adjacency', link) shows its matrix"
        )
    cut = cut_of(svr, threshold)[1]
    parts = {kind: svr.adjacency(link).tests(kind) for kind in get_args(Kind)}
    weights = np.sort(np.concatenate([np.empty(0), *(part.weights for part in parts["exact"])]))
    if not weights.size:
        raise SVRError(f"the link {arrow(link)} has no entry to test: it joins null neurons only")
    axes = axes_on(ax, theme, size)
    axes.set_yscale("log")
    theme.dress(axes)
    grid = 1.06 * float(weights[-1]) * np.linspace(0, 1, _POINTS) ** 2  # steep at 0
    share = 1 - np.arange(weights.size) / weights.size
    axes.step(weights, share, where="pre", color=theme.ink, lw=1.3, zorder=4, label="entries")
    exact, paper = (_chance(parts[kind], grid) for kind in ("exact", "chi2"))
    axes.plot(grid, exact, color=theme.accent, lw=1.0, zorder=3, label="chance, exact law")
    hue, dashes = theme.hue("convolution"), (0, (4, 2))
    axes.plot(grid, paper, color=hue, lw=1.0, ls=dashes, zorder=2, label="chance, the paper's χ²")
    counts = [cut.counts[link, part] for part in range(len(parts["exact"]))]
    if len(counts) == 1 and counts[0]:
        axes.axvline(cut.weight[link, 0], color=theme.soft, lw=RULE, zorder=1)
    axes.set_xlim(0, grid[-1])
    axes.set_ylim(0.4 / weights.size, 1.6)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.yaxis.set_major_locator(LogLocator(numticks=6))
    axes.grid(color=theme.rule, linewidth=RULE, zorder=0)
    axes.set_axisbelow(True)
    axes.set_xlabel("weight", labelpad=4, **theme.text(MEDIUM, soft=True))
    axes.set_ylabel(
        "share of entries at least as large", labelpad=6, **theme.text(MEDIUM, soft=True)
    )
    axes.legend(
        loc="upper right",
        frameon=False,
        prop={"family": family(), "size": SMALL},
        labelcolor=theme.soft,
        handlelength=1.8,
    )
    found = _counted(cut, link, parts["exact"])
    titles(axes, theme, arrow(link) if title is None else title, found)
    return figure_of(axes)


def _counted(cut: Cut[TestKey], link: LinkKey, parts: Sequence[LinkTests]) -> str:
    """How many entries reach the threshold, and where that is so, that they are chance's."""
    keys = [(link, place) for place in range(len(parts))]
    found, tests = sum(cut.counts[key] for key in keys), sum(part.weights.size for part in parts)
    by_chance = sum(
        part.weights.size * 10.0 ** cut.log10_p[key] for key, part in zip(keys, parts, strict=True)
    )
    counted = f"{found:,} of {tests:,}"
    if not found or exceeds_chance(cut.mode, found, by_chance):
        return f"{counted} entries significant at {level_of(cut)}"
    return f"{counted} at {level_of(cut)}, chance alone {by_chance:,.0f}"


def _chance(parts: Sequence[LinkTests], grid: Floats) -> Floats:
    """How often an entry reaches each weight under chance, over all entries of the link."""
    total = sum(part.weights.size for part in parts)
    tails = (part.weights.size / total * np.exp(part.law.logsf(grid)) for part in parts)
    return np.asarray(sum(tails))
