"""Spectral images: what neurons of a map make of inputs (paper, 5.1 and Figure 5b)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.analysis.activations.activations import Filters, form_of_inputs
from svr_widget.engine.analysis.activations.hooks import placed_example
from svr_widget.engine.decompose import Flattening
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.model.images import taken
from svr_widget.plot.canvas import axes_on, figure_of
from svr_widget.plot.themes import SMALL, Theme, theme_of
from svr_widget.plot.words import titles

Floats = NDArray[np.float64]

_TILE = 0.94  # of a cell; the rest is paper
_TONE = 0.75  # small numbers are most of an image: this exponent keeps them apart from zero
_INCHES = 1.1  # a tile's width


def images(
    svr: SpectralGraph,
    name: str,
    *,
    inputs: Any,
    neurons: Sequence[int] = (0, 1, -1),
    method: Flattening | None = None,
    ax: Axes | None = None,
    theme: str | Theme = "light",
    size: tuple[float, float] | None = None,
    title: str | None = None,
) -> Figure:
    """A row an input: itself, where it is an image, and the images of the neurons, signed."""
    theme = theme_of(theme)
    found = taken(inputs, form_of_inputs(svr))
    svr.add_note(found.note)
    batch = torch.as_tensor(found.batch)
    shown = _of(svr, name, batch, neurons, method)
    originals = _pictures(batch)
    columns = len(neurons) + (originals is not None)
    tall = shown.shape[2] / shown.shape[3]
    width = _INCHES * columns
    axes = axes_on(ax, theme, size or (width, 0.5 + _INCHES * tall * len(shown)))
    names = [f"neuron {k}" if k >= 0 else "last" if k == -1 else f"neuron {k}" for k in neurons]
    for row, tiles in enumerate(shown):
        if originals is not None:
            _tile(axes, originals[row], row, 0, tall, cmap="gray", vmin=0, vmax=1)
        for place, tile in enumerate(tiles, start=columns - len(neurons)):
            _tile(axes, tile, row, place, tall, cmap=theme.signed, vmin=-1, vmax=1)
    axes.set_xlim(0, columns)
    axes.set_ylim(tall * len(shown), 0)
    axes.set_aspect("equal")
    heads = ([] if originals is None else ["input"]) + names
    axes.set_xticks(np.arange(columns) + _TILE / 2, heads)
    axes.xaxis.tick_bottom()
    axes.set_yticks([])
    for label in axes.get_xticklabels():
        label.set(**theme.text(SMALL, soft=True))
    h, w = shown.shape[2:]
    titles(
        axes, theme, name if title is None else title, f"{h} × {w}, each by its largest magnitude"
    )
    return figure_of(axes)


def _of(
    svr: SpectralGraph, name: str, batch: Tensor, neurons: Sequence[int], method: Flattening | None
) -> Floats:
    """``[inputs, neurons, h, w]``, each image between -1 and 1, small magnitudes raised."""
    filters = Filters(svr, name, {name: neurons}, method)
    found: list[Tensor] = []
    missing = filters.run(
        placed_example(filters.model, batch),
        lambda _, __, arguments: found.append(filters[name](*arguments)),
    )
    filters.refuse(missing)
    y = found[0]
    if y.dim() != 4:
        raise SVRError(f"map {name!r} has no spectral images: its activations are {tuple(y.shape)}")
    values = y.double().cpu().numpy()
    largest = np.abs(values).max(axis=(2, 3), keepdims=True)
    share = values / np.where(largest > 0, largest, 1.0)
    return np.asarray(np.sign(share) * np.abs(share) ** _TONE)


def _pictures(batch: Tensor) -> list[Floats] | None:
    """Grey or coloured inputs with values from 0 to 1; None where they are no images."""
    if batch.dim() != 4 or batch.shape[1] not in (1, 3):
        return None
    pictures = batch.detach().double().cpu().movedim(1, -1).numpy()
    low, high = (f(pictures, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    scaled = (pictures - low) / np.where(high > low, high - low, 1.0)
    return [picture.squeeze(-1) if picture.shape[-1] == 1 else picture for picture in scaled]


def _tile(axes: Axes, tile: Floats, row: int, column: int, tall: float, **look: Any) -> None:
    extent = (column, column + _TILE, tall * (row + _TILE), tall * row)
    axes.imshow(tile, extent=extent, interpolation="nearest", **look)
