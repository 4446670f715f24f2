"""Who speaks to whom: the links of a network as a matrix of its maps or modules."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, SymLogNorm, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.folding import Group, folded_links, label_of, modules_of
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold, cut_of
from svr_widget.engine.maps.labels import labels_of
from svr_widget.engine.significance.multiple_testing import exceeds_chance
from svr_widget.plot.canvas import axes_on, figure_of
from svr_widget.plot.themes import MEDIUM, RULE, SMALL, Theme, theme_of
from svr_widget.plot.words import level_of, titles

_MOST_NAMES = 40
"""Where there are more rows, every second, third... is named."""

_FEW = 0.16
"""The share of ink of a link on which nothing is beyond chance; no link is paper."""


def links(
    svr: SpectralGraph,
    *,
    folded: Iterable[str] | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "light",
    size: tuple[float, float] = (5.0, 4.6),
    title: str | None = None,
    **threshold: Unpack[Threshold],
) -> Figure:
    """What each map or folded module (rows) reads from each (columns), beyond chance."""
    theme = theme_of(theme)
    svr.check_linked('plot("links")')
    if all(link.by_construction for link in svr.links.values()):
        raise SVRError(
            f"{svr.title} has no links" + (" but those by construction" if svr.links else "")
        )
    found = folded_links(svr, folded, **threshold)
    _, cut = cut_of(svr, threshold)
    axes = axes_on(ax, theme, size)
    beyond = np.maximum(found.significant - found.expected, 0.0)
    shown = np.ma.masked_where(found.links == 0, beyond)
    most = float(beyond.max())
    image = axes.imshow(
        shown,
        cmap=_colours(theme),
        norm=SymLogNorm(1.0, vmin=0.0, vmax=max(most, 1.0)),
        interpolation="nearest",
    )
    names = _names(svr, found.groups)
    step = -(-len(names) // _MOST_NAMES)
    places = np.arange(0, len(names), step)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(places, names[::step])
        for label in axis.get_ticklabels():
            label.set(**theme.text(SMALL))
    for label in axes.get_xticklabels():
        label.set(rotation=90)
    axes.set_xlabel("from: what is written", labelpad=4, **theme.text(MEDIUM, soft=True))
    axes.set_ylabel("to: who reads it", labelpad=6, **theme.text(MEDIUM, soft=True))
    if len(names) <= _MOST_NAMES:
        axes.set_xticks(np.arange(len(names) - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(len(names) - 1) + 0.5, minor=True)
        axes.grid(which="minor", color=theme.paper, linewidth=RULE)
        axes.tick_params(which="minor", length=0)
    scale = axes.inset_axes((1.04, 0.0, 0.025, 0.5))
    bar = figure_of(axes).colorbar(image, cax=scale)
    theme.dress(scale)
    scale.yaxis.set_ticks_position("right")
    bar.formatter = FuncFormatter(lambda value, _: f"{value:,.3g}")
    bar.set_ticks(_ticks(max(most, 1.0)))
    bar.ax.minorticks_off()
    for label in scale.get_yticklabels():
        label.set(**theme.text(SMALL, soft=True))
    scale.yaxis.set_label_position("right")
    scale.set_ylabel("edges beyond chance", **theme.text(SMALL, soft=True))
    joined = int((found.links > 0).sum())
    clear = sum(
        exceeds_chance(cut.mode, int(many), float(by_chance))
        for many, by_chance in zip(found.significant.flat, found.expected.flat, strict=True)
    )
    says = f"{level_of(cut)} · more than chance in {clear} of {joined} cells"
    titles(axes, theme, "Links" if title is None else title, says)
    return figure_of(axes)


def _colours(theme: Theme) -> LinearSegmentedColormap:
    """From a faint grey to ink."""
    return LinearSegmentedColormap.from_list("links", [to_hex(theme.ramp(_FEW)), theme.ink])


def _ticks(most: float) -> list[float]:
    """0, the powers of ten below the most, and the most."""
    powers = [10.0**power for power in range(int(np.log10(most)) + 1)]
    return [0.0, *(power for power in powers if power < most / 2), round(most, 1)]


def _names(svr: SpectralGraph, groups: Iterable[Group]) -> list[str]:
    """What the picture calls columns and modules: without what all share."""
    labels = labels_of({name: svr.maps[column.map] for name, column in svr.columns.items()})
    known = {module.name: label_of(module, labels) for module in modules_of(list(svr.columns))}
    return [labels.of.get(name) or known[name] for name, _ in groups]
