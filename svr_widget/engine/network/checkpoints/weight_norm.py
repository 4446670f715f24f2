"""Weights kept as a direction and a length: weight norm, as ``g v / |v|``.

PyTorch keeps them as ``x.weight_v`` with ``x.weight_g``, or as ``original1`` with ``original0`` of
``x.parametrizations.weight``. The length runs along the dimensions in which it is as long as the
direction; over the others the norm is taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from svr_widget.engine.maps.names import paired
from svr_widget.engine.maps.stored import StoredTensor, in_memory

_DIRECTION = re.compile(
    r"(?P<module>.*?)(?P<form>(?P<own>weight\w*)_v|parametrizations\.(?P<name>\w+)\.original1)"
)


class _Parts(NamedTuple):
    """The names of a weight, and of what it is kept as."""

    weight: str
    direction: str
    length: str


def merged_norms(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of which directions and lengths have become one; it is computed when it is read."""
    of = {parts.direction: parts for parts in _parts(weights) if parts.weight not in weights}
    lengths = {parts.length for parts in of.values()}
    found: dict[str, Tensor] = {}
    for name, each in weights.items():  # whose order may be that of a chain
        if parts := of.get(name):
            found[parts.weight] = _product(weights[parts.length], each)
        elif name not in lengths:
            found[name] = each
    return found


def as_kept_by(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in the form in which a model keeps them: with weight norm, or without it.

    Args:
        weights: by name.
        own: what the model keeps, by name.
    """
    theirs, ours = list(_parts(weights)), list(_parts(own))
    if theirs and not ours:
        return merged_norms(weights)
    if theirs or not ours:
        return dict(weights)
    plain: dict[str, Tensor] = dict(own)
    for parts in ours:
        del plain[parts.length]
        plain[parts.weight] = plain.pop(parts.direction)
    shapes = [{name: each.shape for name, each in held.items()} for held in (plain, weights)]
    pairs = paired(*shapes).pairs
    found = dict(weights)
    for parts in ours:
        other = pairs.get(parts.weight)
        if other is None or weights[other].shape != own[parts.direction].shape:
            continue
        whole, length = found.pop(other), own[parts.length]
        before = other.removesuffix(parts.weight.rpartition(".")[2])
        last = len(parts.weight) - len(parts.weight.rpartition(".")[2])
        found[before + parts.direction[last:]] = whole
        found[before + parts.length[last:]] = _length(whole, length)
    return found


def _parts(weights: Mapping[str, Tensor]) -> Iterator[_Parts]:
    for name, direction in weights.items():
        match = _DIRECTION.fullmatch(name)
        if match is None or direction.ndim < 2 or not direction.is_floating_point():
            continue
        called = match["own"] or match["name"]
        length = f"{name[:-1]}0" if match["name"] else f"{name[:-1]}g"
        held = weights.get(length)
        if held is not None and _fits(held, direction):
            yield _Parts(f"{match['module']}{called}", name, length)


def _fits(length: Tensor, direction: Tensor) -> bool:
    """Whether it is one number, or one for each place along one dimension."""
    if length.numel() == 1:
        return length.ndim in (0, direction.ndim)
    along = [dim for dim, size in enumerate(length.shape) if size > 1]
    sizes = length.ndim == direction.ndim and length.shape[along[0]] == direction.shape[along[0]]
    return sizes and len(along) == 1


def _over(length: Tensor, direction: Tensor) -> tuple[int, ...]:
    """The dimensions over which the norm of a direction is taken."""
    if math.prod(length.shape) == 1:
        return tuple(range(direction.ndim))
    return tuple(dim for dim, size in enumerate(length.shape) if size == 1)


def _product(length: Tensor, direction: Tensor) -> StoredTensor:
    def read() -> Tensor:
        held = in_memory(direction)
        product: Tensor = held * (in_memory(length) / _norm(held, length))
        return product

    return StoredTensor(torch.empty(direction.shape, dtype=direction.dtype, device="meta"), read)


def _length(whole: Tensor, like: Tensor) -> Tensor:
    return _norm(in_memory(whole), like).reshape(like.shape)


def _norm(direction: Tensor, like: Tensor) -> Tensor:
    found: Tensor = torch.linalg.vector_norm(direction, dim=_over(like, direction), keepdim=True)
    return found
