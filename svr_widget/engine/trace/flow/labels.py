"""Integer labels on a tensor's elements, kept as small as the dimensions they vary along.

A label tensor has the shape of the tensor that it describes; along every dimension where it is
constant its stride is 0, so the labels of ``[1, 512, 224, 224]`` features take 512 integers.
``NONE`` marks an element that carries nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakValueDictionary

import torch
from torch import Tensor

NONE = -1

_known: WeakValueDictionary[tuple[tuple[int, ...], tuple[int, ...], bytes], Tensor]
_known = WeakValueDictionary()


def core(label: Tensor) -> Tensor:
    """The stored part of ``label``: size 1 along each dimension where the stride is 0."""
    for dim, (size, stride) in enumerate(zip(label.shape, label.stride(), strict=True)):
        if stride == 0 and size > 1:
            label = label.narrow(dim, 0, 1)
    return label


def canonical(label: Tensor) -> Tensor:
    """The same labels with stride 0 along every dimension where they are constant.

    Equal ones are one tensor, so that what is done to one needs not be done to the others: all that
    a residual stream holds lies alike.
    """
    shape = label.shape
    if label.numel() == 0:
        return label
    stored = core(label)
    for dim, size in enumerate(stored.shape):
        if size > 1:
            first = stored.narrow(dim, 0, 1)
            if bool((stored == first).all()):
                stored = first
    stored = stored.clone(memory_format=torch.contiguous_format)
    key = tuple(shape), tuple(stored.shape), stored.numpy().tobytes()
    return _known.setdefault(key, stored.expand(shape))


def varying_dims(label: Tensor) -> frozenset[int]:
    """The dimensions along which a canonical label varies."""
    return frozenset(dim for dim, size in enumerate(core(label).shape) if size > 1)


def along(dim: int, shape: Sequence[int]) -> Tensor:
    """Labels ``0 .. shape[dim] - 1`` along ``dim``, constant elsewhere."""
    view = [1] * len(shape)
    view[dim] = shape[dim]
    return torch.arange(shape[dim]).view(view).expand(tuple(shape))


def grid_ids(shape: Sequence[int], dims: Sequence[int]) -> Tensor:
    """Row-major positions over ``dims``, constant elsewhere."""
    view = [size if dim in dims else 1 for dim, size in enumerate(shape)]
    count = int(torch.tensor(view).prod())
    return torch.arange(count).view(view).expand(tuple(shape))


def equal(left: Tensor, right: Tensor) -> bool:
    """Whether two canonical labels are the same."""
    if left is right:
        return True
    return left.shape == right.shape and torch.equal(core(left), core(right))


def collapse(label: Tensor, dims: Sequence[int]) -> Tensor | None:
    """One label for all elements along ``dims`` (each kept with size 1).

    Elements that carry nothing do not count. ``None`` where different labels meet.
    """
    if not dims:
        return label
    stored = core(label)
    kept = [1 if dim in dims else size for dim, size in enumerate(label.shape)]
    if all(stored.shape[dim] == 1 for dim in dims):  # it does not vary there
        return stored.expand(kept)
    one = stored.amax(tuple(dims), keepdim=True)
    if not bool(((stored == one) | (stored == NONE)).all()):
        return None
    return canonical(one.expand(kept))


def present(label: Tensor) -> Tensor:
    """The distinct labels that occur, ascending, without ``NONE``."""
    stored = core(label)
    found: Tensor = torch.unique(stored[stored != NONE])
    return found


def overlap(left: Tensor, right: Tensor) -> bool:
    """Whether some label occurs in both."""
    return bool(torch.isin(present(left), present(right)).any())


def concatenate(parts: Sequence[Tensor], dim: int) -> Tensor:
    """``torch.cat`` that stays small along the dimensions where every part is constant."""
    ndim = parts[0].dim()
    dim %= ndim
    shape = list(parts[0].shape)
    shape[dim] = sum(part.shape[dim] for part in parts)
    first = core(parts[0])
    if first.shape[dim] == 1 and all(torch.equal(core(part), first) for part in parts[1:]):
        return canonical(first.expand(shape))
    flat = [d for d in range(ndim) if d != dim and all(core(p).shape[d] == 1 for p in parts)]
    for d in flat:
        parts = [part.narrow(d, 0, 1) for part in parts]
    return canonical(torch.cat(list(parts), dim).expand(shape))
