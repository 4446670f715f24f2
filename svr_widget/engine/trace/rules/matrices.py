"""Which matrices of a parameter stand in a weight, read off the elements that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from svr_widget.engine.maps.parts import Matrix
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.flow import Flow


class Operand(NamedTuple):
    """The factor of a product that is made of parameters alone, and the other one.

    Attributes:
        weight: the factor.
        outputs: which of its dimensions holds the result's channels, counted from the end.
        inputs: which is summed over.
        read: the other factor.
        read_dim: its dimension that is summed over, counted from the end.
        write_dim: the dimension of the result that holds the channels, counted from the end.
    """

    weight: Flow
    outputs: int
    inputs: int
    read: Flow
    read_dim: int
    write_dim: int


class Matrices(NamedTuple):
    """What of a parameter stands in a weight.

    Attributes:
        name: of the parameter.
        places: the matrices, and at which positions of a batch each is; None for everywhere.
        written: int64, which output channel each feature of the result is, or NONE.
        read: int64, which input channel each feature that is summed over is, or NONE.
    """

    name: str
    places: Sequence[tuple[Matrix, Tensor | None]]
    written: Tensor
    read: Tensor


def table_along(along: Sequence[Tensor], sizes: Sequence[int], side: int) -> Tensor | None:
    """int64: which channel of a matrix each feature along a side of a weight is, or NONE.

    Args:
        along: the labels of the parameter's dimensions that lie along it.
        sizes: the extents of these dimensions.
        side: the dimension of the weight.
    """
    total: Tensor | None = None
    for label, size in zip(along, sizes, strict=True):
        one = labels.collapse(label, [d for d in range(label.dim()) if d != side])
        if one is None:
            return None
        one = one.flatten()
        total = one if total is None else torch.where(total < 0, total, total * size + one)
    assert total is not None
    known = total[total != labels.NONE]
    return total if len(torch.unique(known)) == len(known) else None


def varying_along(label: Tensor) -> frozenset[int]:
    """The dimensions along which different labels lie; absent ones do not count."""
    varying = labels.varying_dims(label)
    return frozenset(dim for dim in varying if labels.collapse(label, [dim]) is None)


def is_rectangle(label: Tensor, written: Tensor, read: Tensor, outputs: int, inputs: int) -> bool:
    """Whether a weight holds the parameter wherever its rows and its columns both do."""
    ndim = label.dim()
    rows = (written != labels.NONE).view([-1 if d == outputs else 1 for d in range(ndim)])
    columns = (read != labels.NONE).view([-1 if d == inputs else 1 for d in range(ndim)])
    held = labels.core(label) != labels.NONE
    if bool(rows.all()) and bool(columns.all()):
        return bool(held.all())
    return bool((held == (rows & columns)).all())
