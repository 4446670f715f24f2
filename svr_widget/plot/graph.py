"""The graph of spectral neurons, as in Figures 2, 5a, 12 and 13 of the paper."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Literal, Unpack, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold
from svr_widget.engine.significance.intensity_null import CERTAIN
from svr_widget.engine.significance.multiple_testing import LEVELS
from svr_widget.plot import edges
from svr_widget.plot.canvas import axes_on, figure_of
from svr_widget.plot.columns import Heights, Places, YScale, heights, places
from svr_widget.plot.themes import LARGE, MEDIUM, RULE, SMALL, Theme, theme_of
from svr_widget.plot.words import level_of

Colour = Literal["paper", "chance"]
"""What the hue tells: the paper's intensity, or how sure it is that chance does not do it."""

MOST_EDGES = 20_000
_DOT, _NULL_DOT, _RIM = 9.0, 2.0, 0.6  # areas within their rims in square points; their width
_BRACKET_ROW = 12.0  # points
_FDR = LEVELS["fdr"].default
TIED = "tied weights"
"""What stands on the band of a link by construction."""


def graph(
    svr: SpectralGraph,
    *,
    ax: Axes | None = None,
    theme: str | Theme = "light",
    size: tuple[float, float] = (7.2, 4.2),
    y_scale: YScale = "linear",
    colour: Colour = "paper",
    folded: Iterable[str] | None = None,
    max_edges: int = MOST_EDGES,
    title: str | None = None,
    **threshold: Unpack[Threshold],
) -> Figure:
    """Columns are maps or modules, heights singular values, lines edges (see ``SVR.plot``)."""
    if max_edges < 1:
        raise SVRError(f"max_edges = {max_edges}: at least one edge")
    if colour not in get_args(Colour):
        raise SVRError(f"colour must be 'paper' or 'chance', got {colour!r}")
    theme, up, across = theme_of(theme), heights(svr, y_scale), places(svr, folded)
    found = edges.chosen(svr, threshold, max_edges)
    axes = axes_on(ax, theme, size)
    _axis(axes, up, theme)
    tall = axes.get_window_extent().height * 72 / figure_of(axes).dpi
    if any(sent == read for sent, read in edges.linked(svr, found, across)):
        up = up.with_room(edges.LOOP_ROOM / tall)
    for drawn in edges.link_bands(svr, found, across, up, theme, axes):
        axes.add_collection(drawn, autolim=False)
    axes.add_collection(edges.collection(svr, found, across, up, theme, tall), autolim=False)
    bands, middles = edges.bands(svr, across, up, theme)
    axes.add_collection(bands, autolim=False)
    for middle in middles:
        axes.annotate(
            TIED,
            middle,
            (0, 3),
            textcoords="offset points",
            annotation_clip=False,
            ha="center",
            va="bottom",
            path_effects=[withStroke(linewidth=3, foreground=theme.paper)],
            **theme.text(SMALL, soft=True),
        )
    _neurons(svr, axes, across, up, theme, colour)
    axes.set_xlim(-0.35, max(across.x, default=0.0) + 0.35)
    axes.set_ylim(*up.limits)
    columns = list(svr.columns)
    sizes = [
        f"{len(held):,} columns" if is_folded else f"{len(svr[columns[held[0]]]):,}"
        for _, held, is_folded in across.seen.columns
    ]
    _names(axes, across, sizes, theme)
    _brackets(axes, across, theme)
    shared = f"  {across.shared}*" if across.shared else ""
    named = axes.set_title(
        svr.title + shared if title is None else title,
        loc="left",
        fontweight="bold",
        pad=18,
        **theme.text(LARGE),
    )
    counted = "no link is known"
    if not svr.unlinked:
        certain = svr.significance(threshold.get("null")).cut(fdr=_FDR).significant
        inside = sum(
            len(m)
            for key, (m, _, _) in found.links.items()
            if edges.shape_of(across, *svr.ends(key)) is None
        )
        counted = _counts(found, certain, len(middles), inside)
    said = axes.set_title(counted, loc="right", pad=18, **theme.text(SMALL, soft=True))
    if named.get_window_extent().x1 > said.get_window_extent().x0:  # one above the other then
        named.set(text=f"{named.get_text()}\n", va="bottom")
    _legend(svr, axes, theme, found, colour)
    return figure_of(axes)


def _axis(axes: Axes, up: Heights, theme: Theme) -> None:
    if up.logarithmic:
        axes.set_yscale("log")
        theme.dress(axes)  # a new scale brings its own ticks
    elif up.ticks:
        axes.set_yticks(list(up.ticks), list(up.ticks.values()))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_ylabel(up.label, labelpad=6, **theme.text(MEDIUM, soft=True))
    axes.grid(axis="y", color=theme.rule, linewidth=RULE, zorder=0)
    axes.set_axisbelow(True)


def _neurons(
    svr: SpectralGraph,
    axes: Axes,
    across: Places,
    up: Heights,
    theme: Theme,
    colour: Colour,
) -> None:
    """Weak ones first, so that large singular values lie on top."""
    x, y, fills, rims, areas = [], [], [], [], []
    for name, column in svr.columns.items():
        null = svr[name].null.numpy()
        x.append(np.full(len(null), across.x[across.of[name]]))
        y.append(up.y[name])
        kind = svr.maps[column.map].kind
        intensity = svr.intensity(name)
        unknown = np.isnan(intensity)[:, None]
        shades = theme.shades(kind, intensity if colour == "paper" else _certainty(svr, name))
        fills.append(np.where(unknown, to_rgb(theme.paper), shades))
        rims.append(np.where(unknown, to_rgb(theme.hue(kind)), shades))
        areas.append(np.where(null, _NULL_DOT, _DOT))
    places = np.concatenate(x)
    dots = axes.scatter(
        places[::-1],
        np.concatenate(y)[::-1],
        s=np.concatenate(areas)[::-1],
        c=np.concatenate(fills)[::-1],
        linewidths=_RIM,
        zorder=3,
        rasterized=len(places) > edges.MANY,
    )
    dots.set(edgecolor=np.concatenate(rims)[::-1], in_layout=False)


def _certainty(svr: SpectralGraph, name: str) -> NDArray[np.float64]:
    """How sure it is that chance does not do it, from 0 to 1; 1 for a last map, as in the paper."""
    adjusted = svr.intensity_p_values(name, adjusted=True)
    if not svr.feeds(name):
        return np.ones_like(adjusted)
    share = np.log(np.nan_to_num(adjusted, nan=1.0)) / np.log(CERTAIN)
    return np.asarray(np.clip(share, 0.0, 1.0))


def _names(axes: Axes, across: Places, sizes: list[str], theme: Theme) -> None:
    """The names beneath the columns and how large each is; turned where they are long."""
    names = [column.label for column in across.seen.columns]
    axes.set_xticks(across.x, names)
    labels = axes.get_xticklabels()
    for label in labels:
        label.set(**theme.text(SMALL))
    if not _fit(axes, labels, across.x):
        for label in labels:
            label.set(rotation=45, ha="right", va="top", rotation_mode="anchor")
        _thin_out(axes, labels, across.x)
        return
    beneath = [f"{name}\n{size}" for name, size in zip(names, sizes, strict=True)]
    axes.set_xticks(across.x, beneath, linespacing=1.4)
    if not _fit(axes, axes.get_xticklabels(), across.x):
        axes.set_xticks(across.x, names)


def _brackets(axes: Axes, across: Places, theme: Theme) -> None:
    """The modules that are open, beneath the names of their columns, each row below the last."""
    if not across.seen.brackets:
        return
    figure = figure_of(axes)
    bottom = axes.get_window_extent().y0
    lowest = min(label.get_window_extent().y0 for label in axes.get_xticklabels())
    beneath = (bottom - lowest) * 72 / figure.dpi
    for words, first, last, row in across.seen.brackets:
        down = -(beneath + 6 + _BRACKET_ROW * row) / 72
        beside = ScaledTranslation(0, down, figure.dpi_scale_trans)
        left, right = across.x[first] - 0.3, across.x[last] + 0.3
        line = Line2D([left, right], [0, 0], color=theme.soft, lw=RULE, clip_on=False)
        line.set_transform(axes.get_xaxis_transform() + beside)
        axes.add_artist(line)
        label = axes.annotate(
            words,
            ((left + right) / 2, 0),
            (0, down * 72 - 2),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            annotation_clip=False,
            ha="center",
            va="top",
            **theme.text(SMALL, soft=True),
        )
        ends = axes.transData.transform([(left, 0.0), (right, 0.0)])[:, 0]
        while words and label.get_window_extent().width > ends[1] - ends[0]:
            words = words[:-1]
            label.set_text(f"{words}…" if words else "")


def _thin_out(axes: Axes, labels: list[Text], at: list[float]) -> None:
    """Leave out names that would lie on the one before."""
    line = 1.5 * SMALL * figure_of(axes).dpi / 72
    taken = -np.inf
    across = axes.transData.transform([(each, 0.0) for each in at])[:, 0]
    for label, x in zip(labels, across, strict=True):
        if x < taken:
            label.set_visible(False)
        else:
            taken = x + line


def _fit(axes: Axes, labels: list[Text], at: list[float]) -> bool:
    """Whether the labels stand side by side with room between them."""
    figure = figure_of(axes)
    widths = [label.get_window_extent().width for label in labels]
    x = axes.transData.transform([(place, 0.0) for place in at])[:, 0]
    order = np.argsort(x)
    room = np.diff(x[order])
    needed = [(widths[a] + widths[b]) / 2 for a, b in pairwise(order)]
    return bool((np.array(needed) + 4 * figure.dpi / 72 <= room).all())


def _counts(found: edges.DrawnEdges, certain: int, constructed: int, inside: int) -> str:
    cut = found.cut
    drawn = f"{found.drawn:,}"
    if found.drawn < cut.significant:
        drawn += f" strongest of {cut.significant:,}"
    expected = f"{cut.expected:,.0f}" if cut.expected >= 10 else f"{cut.expected:.2g}"
    noun = "edge" if found.drawn == 1 else "edges"
    said = f"{drawn} {noun} at {level_of(cut)} · "
    if cut.beyond_chance or not cut.significant:
        said += f"{expected} expected by chance"
    else:
        said += f"no more than chance gives ({expected})"
        if certain:
            said += f", {certain:,} at FDR {_FDR:g}"
    if inside:
        said += f" · {inside:,} within modules"
    if constructed:
        said += f" · {constructed:,} link{'s'[: constructed > 1]} by construction"
    return said


def _legend(
    svr: SpectralGraph, axes: Axes, theme: Theme, found: edges.DrawnEdges, colour: Colour
) -> None:
    """The kinds that occur, and what the weakest and the strongest edge are, above the columns."""
    kinds = dict.fromkeys(svr.maps[column.map].kind for column in svr.columns.values())
    dots = [_dot(kind, theme.hue(kind)) for kind in kinds]
    if svr.unlinked:
        dots.append(_dot("no link is known", theme.paper, theme.soft))
    else:
        grey = "near its random baseline" if colour == "paper" else "no more than chance"
        dots.append(_dot(grey, theme.neutral))
    dots += _weights(svr, found, theme)
    axes.legend(
        handles=dots,
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=len(dots),
        frameon=False,
        borderpad=0,
        borderaxespad=0.4,
        handlelength=1.2,
        handletextpad=0.4,
        columnspacing=1.2,
        prop={"family": theme.text()["fontfamily"], "size": SMALL},
        labelcolor=theme.soft,
    )


def _weights(svr: SpectralGraph, found: edges.DrawnEdges, theme: Theme) -> list[Line2D]:
    """Lines as dark as the weakest and the strongest edge that are drawn, with their weights."""
    drawn = [(weight, key) for key, (_, _, weight) in found.links.items() if len(weight)]
    if not drawn:
        return []
    weakest = min((weight.min(), key) for weight, key in drawn)
    strongest = max((weight.max(), key) for weight, key in drawn)
    lines = []
    for words, (weight, key) in zip(("edge weight ", ""), (weakest, strongest), strict=True):
        dark = edges.opacity_of(svr, key, found.links[key][2], np.array([weight]))
        label = f"{words}{weight:.2g}"
        lines.append(Line2D([], [], color=theme.ink, alpha=float(dark[0]), lw=1.4, label=label))
    return lines[:1] if weakest == strongest else lines


def _dot(label: str, fill: str, rim: str | None = None) -> Line2D:
    return Line2D(
        [],
        [],
        marker="o",
        linestyle="",
        markersize=3.6 - _RIM,
        markeredgewidth=_RIM,
        markerfacecolor=fill,
        markeredgecolor=rim or fill,
        label=label,
    )
