"""Matrices of links and maps as images: Figures 3, 7 and 8 of the paper."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.analysis.near_kernels import GAP, block_masses, blocks_of, channel_blocks
from svr_widget.engine.decompose import Decomposition, Flattening
from svr_widget.engine.graph.adjacency import Adjacency, Method
from svr_widget.engine.graph.internal_dimensions import InternalDimensions
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.maps.links import LinkKey
from svr_widget.plot.canvas import axes_on, figure_of
from svr_widget.plot.themes import MEDIUM, Theme, theme_of
from svr_widget.plot.words import arrow, titles

Floats = NDArray[np.float64]

SIZE = (4.6, 4.6)
_TONE = 0.5  # small entries are most of a matrix: this exponent keeps them apart
_PIXELS = 1_200  # a matrix longer than this is pooled: each pixel shows its largest entry
_LINE = 0.8
_MARGIN, _GAP, _BAR = 0.1, 0.025, 0.022  # of the axes' own size


def adjacency(
    svr: SpectralGraph,
    link: LinkKey,
    *,
    method: Method | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "light",
    size: tuple[float, float] = SIZE,
    title: str | None = None,
) -> Figure:
    """The adjacency of a link, with its internal dimensions as a cross (Fig 3)."""
    theme, shown = theme_of(theme), svr.adjacency(link, method)
    axes = axes_on(ax, theme, size)
    dimensions = shown.internal_dimensions()
    _draw(
        axes,
        shown.dense(),
        theme,
        shown,
        svr,
        arrow(link) if title is None else title,
        _words(dimensions),
    )
    if dimensions.p_value is None or dimensions.p_value < 0.05:
        axes.axvline(dimensions.d_in - 0.5, color=theme.accent, linewidth=_LINE)
        axes.axhline(dimensions.d_out - 0.5, color=theme.accent, linewidth=_LINE)
    return figure_of(axes)


def cross(
    svr: SpectralGraph,
    link: LinkKey,
    *,
    ratio: float = GAP,
    ax: Axes | None = None,
    theme: str | Theme = "light",
    size: tuple[float, float] = SIZE,
    title: str | None = None,
) -> Figure:
    """``|V~^T U|`` of a link, its near-kernels parted by rules (Fig 7)."""
    theme, shown = theme_of(theme), svr.adjacency(link, "cross")
    axes = axes_on(ax, theme, size)
    name = arrow(link) if title is None else title
    _draw(axes, shown.signed().abs(), theme, shown, svr, name, r"$|\tilde{V}^{\,T} U|$")
    _rules(axes, theme, columns=blocks_of(shown.producer, ratio))
    _rules(axes, theme, rows=blocks_of(shown.consumer, ratio))
    return figure_of(axes)


def output(
    svr: SpectralGraph,
    name: str,
    *,
    ratio: float = GAP,
    sort: bool = False,
    method: Flattening | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "light",
    size: tuple[float, float] = SIZE,
    title: str | None = None,
) -> Figure:
    """``|U|`` of a map, its near-kernels parted by rules (Fig 8)."""
    theme, neurons = theme_of(theme), svr.decomposition(name, method)
    axes = axes_on(ax, theme, size)
    blocks = blocks_of(neurons, ratio)
    of_channel = channel_blocks(block_masses(neurons, blocks))
    U = _dense(neurons)
    order = np.argsort(np.where(of_channel < 0, len(blocks), of_channel), kind="stable")
    image = _image(axes, U[order] if sort else U, theme)
    axes.set_xlabel(f"neurons of {name}", labelpad=4, **theme.text(MEDIUM, soft=True))
    words = "its output channels" + (", by block" if sort else "")
    axes.set_ylabel(words, labelpad=6, **theme.text(MEDIUM, soft=True))
    _spectrum(axes, neurons, theme, theme.hue(svr.maps[name].kind), above=True)
    _bar(axes, image, theme, left=1 + _GAP)
    _rules(axes, theme, columns=blocks)
    ambiguous = int((of_channel < 0).sum())
    counts = [str(int((of_channel == place).sum())) for place in range(len(blocks))]
    mapped = f"{' / '.join(counts)} channels" + (f" · {ambiguous} ambiguous" if ambiguous else "")
    titles(axes, theme, name if title is None else title, f"$|U|$ · {mapped}", over=_MARGIN + _GAP)
    return figure_of(axes)


def _draw(
    axes: Axes,
    entries: Tensor,
    theme: Theme,
    shown: Adjacency,
    svr: SpectralGraph,
    title: str,
    says: str,
) -> None:
    """A matrix of a link with the singular values along its margins, and its titles."""
    image = _image(axes, entries.double().numpy(), theme)
    producer, consumer = svr.maps[shown.link.producer], svr.maps[shown.link.consumer]
    axes.set_xlabel(f"neurons of {producer.name}", labelpad=4, **theme.text(MEDIUM, soft=True))
    axes.set_ylabel(f"neurons of {consumer.name}", labelpad=6, **theme.text(MEDIUM, soft=True))
    _spectrum(axes, shown.producer, theme, theme.hue(producer.kind), above=True)
    _spectrum(axes, shown.consumer, theme, theme.hue(consumer.kind), above=False)
    _bar(axes, image, theme, left=1 + _MARGIN + 2 * _GAP)
    titles(axes, theme, title, says, over=_MARGIN + _GAP)


def _image(axes: Axes, entries: Floats, theme: Theme) -> AxesImage:
    """The entries as pixels, with a square-root tone."""
    rows, columns = entries.shape
    square = 1 / 3 < rows / columns < 3
    image = axes.imshow(
        _pooled(entries),
        cmap=theme.ramp,
        norm=PowerNorm(_TONE, 0, float(entries.max(initial=0.0)) or 1.0),
        extent=(-0.5, columns - 0.5, rows - 0.5, -0.5),
        aspect="equal" if square else "auto",
        interpolation="nearest",
    )
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    theme.frame(axes)
    return image


def _pooled(entries: Floats) -> Floats:
    """At most so many rows and columns: each entry the largest of a block."""
    for axis in (0, 1):
        size = math.ceil(entries.shape[axis] / _PIXELS)
        if size > 1:
            starts = np.arange(0, entries.shape[axis], size)
            entries = np.maximum.reduceat(entries, starts, axis=axis)
    return entries


def _spectrum(axes: Axes, neurons: Decomposition, theme: Theme, hue: str, *, above: bool) -> None:
    """The singular values along the top or the right-hand margin."""
    S = neurons.S.numpy()
    steps = np.arange(len(S) + 1) - 0.5
    if above:
        margin = axes.inset_axes((0, 1 + _GAP, 1, _MARGIN), sharex=axes)
    else:
        margin = axes.inset_axes((1 + _GAP, 0, _MARGIN, 1), sharey=axes)
    theme.dress(margin)
    margin.stairs(
        S,
        steps,
        fill=True,
        color=hue,
        alpha=0.85,
        orientation="vertical" if above else "horizontal",
    )
    margin.tick_params(labelbottom=False, labelleft=False)
    (margin.set_yticks if above else margin.set_xticks)([])
    (margin.set_ylim if above else margin.set_xlim)(0, float(S.max(initial=0.0)) or 1.0)


def _bar(axes: Axes, image: AxesImage, theme: Theme, left: float) -> None:
    """A short ramp of the entries, at the bottom on the right."""
    inset = axes.inset_axes((left, 0, _BAR, 0.3))
    top = image.get_clim()[1] or 1.0
    bar = figure_of(axes).colorbar(image, cax=inset)
    theme.dress(inset)
    bar.outline.set_visible(False)
    bar.set_ticks([0, top / 4, top])
    bar.formatter = FuncFormatter(lambda value, _: f"{value:.2g}")
    bar.minorticks_off()


def _rules(
    axes: Axes, theme: Theme, *, rows: list[slice] | None = None, columns: list[slice] | None = None
) -> None:
    """Rules between blocks."""
    for before, _ in pairwise(rows or []):
        axes.axhline(before.stop - 0.5, color=theme.accent, linewidth=_LINE)
    for before, _ in pairwise(columns or []):
        axes.axvline(before.stop - 0.5, color=theme.accent, linewidth=_LINE)


def _dense(neurons: Decomposition) -> Floats:
    """``|U|`` by output channel ``[out, M]``; over a kernel, the norm."""
    U = neurons.U.double().numpy()
    length = np.sqrt(np.square(U).reshape(U.shape[0], -1, U.shape[-1]).sum(axis=1))
    dense = np.zeros((neurons.group_count * U.shape[0], U.shape[-1]))
    groups = neurons.groups.numpy()
    for group in range(neurons.group_count):
        mine = np.flatnonzero(groups == group)
        dense[group * U.shape[0] : (group + 1) * U.shape[0], mine] = length[:, mine]
    return dense


def _words(dimensions: InternalDimensions) -> str:
    d_out, d_in, _, p_value, method = dimensions
    if (d_out, d_in) == (0, 0):
        return method
    if p_value is None:
        return f"internal dimensions {d_out} × {d_in}"
    p = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"
    if p_value >= 0.05:
        return f"no block beyond chance · {p}"
    return f"internal dimensions {d_out} × {d_in} · {p}"
