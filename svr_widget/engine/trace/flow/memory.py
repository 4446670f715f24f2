"""What tensors over the same memory hold, once one of them is written to."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.flow import Carrier, Flow, Place, as_data, merged, mint


class Memory:
    """Which tensors look at the same memory: views of each other, and what stands in for them."""

    def __init__(self) -> None:
        self._of: dict[int, list[weakref.ref[Tensor]]] = {}

    def join(self, tensor: Tensor, like: Tensor | None = None) -> None:
        """Take note of a tensor, which looks at its own memory, or stands in for another one."""
        key = _address(tensor)
        if key is None:
            return
        group = self._group(key)
        if like is not None:
            self.join(like)
            other = _address(like)
            if other is not None and self._of[other] is not group:
                self._of[other].extend(group)
                group = self._of[other]
        if not any(ref() is tensor for ref in group):
            group.append(weakref.ref(tensor))
        self._of[key] = group

    def others(self, tensor: Tensor) -> Iterator[Tensor]:
        """The tensors over the same memory, but for this one."""
        key = _address(tensor)
        for ref in () if key is None else tuple(self._group(key)):
            other = ref()
            if other is not None and other is not tensor:
                yield other

    def _group(self, key: int) -> list[weakref.ref[Tensor]]:
        group = self._of.get(key, [])
        alive = [tensor for tensor in (ref() for ref in group) if tensor is not None]
        if not any(_address(tensor) == key for tensor in alive):
            return []  # an address that is used again
        group[:] = [ref for ref in group if ref() is not None]
        return group


def _address(tensor: Tensor) -> int | None:
    """What is equal for tensors over the same memory; None where there is none to speak of."""
    try:
        key: int = tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):  # sparse tensors, wrappers around others
        return None
    return key


def overwritten(flow: Flow, tensor: Tensor, written: Flow, target: Tensor) -> Flow | None:
    """What a tensor holds after another one over the same memory was written to.

    Args:
        flow: what it held.
        tensor: its shape and strides say where its elements lie.
        written: what the other one holds now.
        target: the other one.

    Returns:
        None where they have no element in common.
    """
    if _lies(tensor) == _lies(target):
        return written
    at = _found_at(tensor, target)
    if tensor.shape == target.shape and torch.equal(at.flatten(), torch.arange(at.numel())):
        return written
    inside = at >= 0
    if not bool(inside.any()):
        return None
    from_written = at.clamp(min=0)
    if bool(inside.all()):
        return _moved(written, lambda label: label.reshape(-1)[from_written], flow.shape)
    # Memory that is filled piece by piece is data.
    flow, written = as_data(flow), as_data(written)

    def new(label: Tensor) -> Tensor:
        return label.reshape(-1)[from_written]

    carriers: list[Carrier] = []
    remaining = list(written.carriers)
    for carrier in flow.carriers:
        label = labels.canonical(torch.where(inside, labels.NONE, carrier.label))
        kept = replace(carrier, label=label)
        match = next((c for c in remaining if joins(kept, c)), None)
        if match is not None:
            remaining.remove(match)
            label = labels.canonical(torch.where(inside, new(match.label), label))
            kept = replace(carrier.joined(match), label=label)
        carriers.append(kept)
    for carrier in remaining:
        label = torch.where(inside, new(carrier.label), labels.NONE)
        carriers.append(replace(carrier, label=labels.canonical(label)))
    held = _held(carriers)
    place = _joint(flow.place, written.place, inside, from_written) if held else None
    if held and place is None:
        place = mint(flow.shape, Flow(flow.shape, held).channel_dims())
    return Flow(
        flow.shape,
        held,
        flow.mixed | written.mixed,
        place,
        weights=flow.weights | written.weights,
        data=flow.data or written.data,
        computed=True,
    )


def joins(carrier: Carrier, other: Carrier) -> bool:
    """Whether channels beside each other count as one carrier's.

    They came the same way, or are different ones.
    """
    if not carrier.same_origin(other):
        return False
    same_way = carrier.through == other.through
    return same_way or not labels.overlap(carrier.label, other.label)


def _joint(ours: Place | None, theirs: Place | None, inside: Tensor, at: Tensor) -> Place | None:
    if ours is None or theirs is None:
        return None
    ids = torch.where(inside, theirs.ids.reshape(-1)[at], ours.ids)
    return Place(labels.canonical(ids), ours.grid if ours.grid == theirs.grid else None)


def _held(carriers: Sequence[Carrier]) -> tuple[Carrier, ...]:
    return merged(c for c in carriers if bool((labels.core(c.label) != labels.NONE).any()))


def _moved(flow: Flow, move: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Flow:
    carriers = [replace(c, label=labels.canonical(move(c.label))) for c in flow.carriers]
    place = flow.place and Place(labels.canonical(move(flow.place.ids)), flow.place.grid)
    later = flow.as_data
    return Flow(
        shape,
        _held(carriers),
        flow.mixed,
        place,
        weights=flow.weights,
        data=flow.data,
        computed=True,
        as_data=later and (lambda: _moved(later(), move, shape)),
    )


def _lies(tensor: Tensor) -> tuple[object, ...]:
    return tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


def _found_at(tensor: Tensor, target: Tensor) -> Tensor:
    """int64, the tensor's shape: which element of the target each of its elements is, or -1.

    A complex number is found at both of its parts.
    """
    unit = min(tensor.itemsize, target.itemsize)
    ours, theirs = (_elements(each) * (each.itemsize // unit) for each in (tensor, target))
    parts = target.itemsize // unit
    size = parts + max([int(part.max()) for part in (ours, theirs) if part.numel()], default=0)
    where = torch.full((size,), -1)
    for part in range(parts):
        where[theirs.flatten() + part] = torch.arange(theirs.numel())
    return where[ours]


def _elements(tensor: Tensor) -> Tensor:
    """int64, the tensor's shape: where in memory each element lies."""
    at = torch.tensor(tensor.storage_offset())
    for dim, (size, stride) in enumerate(zip(tensor.shape, tensor.stride(), strict=True)):
        view = [1] * tensor.dim()
        view[dim] = size
        at = at + (torch.arange(size) * stride).view(view)
    return at.expand(tuple(tensor.shape))
