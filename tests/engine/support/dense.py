"""Representations of grouped maps with their groups' zeros written out."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from svr_widget.engine.decompose import Decomposition


def whole(vectors: Tensor, side: Decomposition) -> Tensor:
    """U or V of a decomposition as float64 ``[channels of all groups, z, M]``."""
    length, count = vectors.shape[0], vectors.shape[-1]
    positions = math.prod(vectors.shape[1:-1])
    full = torch.zeros(length * side.group_count, positions, count, dtype=torch.float64)
    for m in range(count):
        start = int(side.groups[m]) * length
        full[start : start + length, :, m] = vectors[..., m].double().reshape(length, -1)
    return full
