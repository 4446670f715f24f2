"""Coordinates in the hyperplane of channels that a layer norm confines representations to.

Decomposed as they are, such weights would have one singular value of mere rounding, which no driver
could tell from a small one. In an orthonormal basis of the hyperplane it does not arise.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _reflected(tensor: Tensor, normal: Tensor) -> Tensor:
    """``tensor`` ``[channels, ...]`` under the reflection that exchanges ``normal`` and ``e_0``."""
    direction = normal.double() / normal.double().norm()
    mirror = direction.clone()
    mirror[0] += 1.0 if direction[0] >= 0 else -1.0
    mirror /= mirror.norm()
    flat = tensor.double().reshape(len(tensor), -1)
    flat = flat - 2 * torch.outer(mirror, mirror @ flat)
    return flat.reshape(tensor.shape)


def inside(tensor: Tensor, normal: Tensor) -> Tensor:
    """Coordinates ``[channels - 1, ...]`` of what is orthogonal to ``normal`` along dimension 0."""
    return _reflected(tensor, normal)[1:].to(tensor.dtype)


def outside(coordinates: Tensor, normal: Tensor) -> Tensor:
    """The inverse of ``inside``: ``[channels, ...]``."""
    padded = torch.cat([torch.zeros_like(coordinates[:1]), coordinates])
    return _reflected(padded, normal).to(coordinates.dtype)
