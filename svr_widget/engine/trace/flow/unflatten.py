"""Channels of an output that is unflattened: features regrouped as channels x positions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from svr_widget.engine.maps.links import Layout
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.flow import Carrier


def rows(label: Tensor, dims: Collection[int]) -> Tensor:
    """``label`` as ``[location, n]``: one row an element of ``dims``, columns the other dims."""
    stored = labels.core(label)
    inside = [dim for dim in range(stored.dim()) if dim in dims]
    outside = [dim for dim in range(stored.dim()) if dim not in dims]
    count = prod(stored.shape[dim] for dim in inside)
    return stored.permute(*inside, *outside).reshape(count, -1)


def distinct_rows(table: Tensor) -> Tensor:
    """The different rows of ``table`` that hold a label, in order of their first occurrence."""
    table = table[(table != labels.NONE).any(dim=1)]
    _, inverse = torch.unique(table, dim=0, return_inverse=True)
    first = torch.full((int(inverse.max()) + 1 if len(inverse) else 0,), len(table))
    first.scatter_reduce_(0, inverse, torch.arange(len(table)), "amin")
    return table[first.sort().values]


def partition(label: Tensor, dims: Collection[int]) -> Layout | None:
    """How the labels along ``dims`` group into coarser channels.

    Returns:
        The layout in which a channel is what lies along ``dims`` at one place of the other
        dimensions; ``None`` where these channels share a feature or differ in extent.
    """
    index = distinct_rows(distinct_rows(rows(label, dims)).T)
    if index.numel() == 0 or bool((index == labels.NONE).any()):
        return None
    if len(torch.unique(index)) != index.numel():
        return None
    held = labels.core(label) != labels.NONE
    extents = [int(held.movedim(dim, 0).flatten(1).any(1).sum()) for dim in sorted(dims)]
    kernel = tuple(extent for extent in extents if extent > 1)
    return Layout(index, kernel if prod(kernel) == index.shape[1] else (index.shape[1],))


def coarse(carrier: Carrier, dims: Collection[int], single: bool = False) -> Carrier | None:
    """``carrier`` constant along ``dims``, its features regrouped where they vary there.

    ``None`` where the features along ``dims`` are no positions of an unflattened output: where
    channels would overlap, or (unless ``single``) all features would fall into one channel.
    """
    one = labels.collapse(carrier.label, sorted(dims))
    if one is not None:
        return replace(carrier, label=one.expand(carrier.label.shape))
    if carrier.layout is not None or carrier.attended is not None:
        return None
    layout = partition(carrier.label, dims)
    if layout is None or (layout.index.shape[0] == 1 and not single):
        return None
    channel = torch.full((int(layout.index.max()) + 1,), labels.NONE)
    channel[layout.index] = torch.arange(len(layout.index)).unsqueeze(1).expand_as(layout.index)
    stored = labels.core(carrier.label)
    renamed = torch.where(stored == labels.NONE, stored, channel[stored.clamp(min=0)])
    label = labels.collapse(labels.canonical(renamed.expand(carrier.label.shape)), sorted(dims))
    if label is None:
        return None
    return replace(carrier, label=label.expand(carrier.label.shape), layout=layout)
