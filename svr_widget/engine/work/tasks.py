"""One map to decompose: what that needs and nothing else, so that it can be sent anywhere."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.decompose import (
    Decomposition,
    Flattening,
    decompose,
    decompose_product,
)
from svr_widget.engine.decompose.decomposition import Normals
from svr_widget.engine.decompose.preview import COUNT, Preview, preview
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.read_only import plain
from svr_widget.engine.maps.stored import Handle, read_elsewhere, values_of
from svr_widget.engine.work import records
from svr_widget.engine.work.tensor_json import order_of, ordered

VERSION = 1
"""Of how decompositions are computed and kept: with another one every map has another name.

Versions of PyTorch, NumPy and LAPACK are no part of it: what they change is below the error that a
decomposition's own certificate states.
"""


@dataclass(frozen=True, eq=False)
class Task:
    """A map to decompose.

    Attributes:
        name: of the map, for messages.
        weights: the weight ``[out, in/groups, *kernel]``, or the two matrices of a product; each
            a tensor, or a handle that whoever does the task reads it with.
        shapes: of the weights.
        double: whether one of them is of float64.
        groups, normals, method, rank, seed: as ``decompose`` takes them.
        device: where it is computed, by its name.
    """

    name: str
    weights: tuple[Tensor | Handle, ...]
    shapes: tuple[tuple[int, ...], ...]
    double: bool
    groups: int
    normals: Normals
    method: Flattening
    rank: int | None
    seed: int
    device: str = "cpu"

    def read(self) -> tuple[Tensor, ...]:
        """The weights, which are not to be written to; stored ones are read from their file."""
        return tuple(
            weight.values() if isinstance(weight, Handle) else plain(values_of(weight))
            for weight in self.weights
        )

    def decompose(self, weights: Sequence[Tensor]) -> Decomposition:
        """The spectral neurons of the weights, which are those that ``read`` gives."""
        device = torch.device(self.device)
        if len(weights) > 1:
            left, right = weights
            return decompose_product(
                left,
                right,
                self.method,
                self.rank,
                normals=self.normals,
                seed=self.seed,
                device=device,
            )
        return decompose(
            weights[0],
            self.groups,
            self.method,
            self.rank,
            normals=self.normals,
            seed=self.seed,
            device=device,
        )

    def preview(self, weights: Sequence[Tensor]) -> Preview:
        """The leading singular values of a weight that is no product of two."""
        (weight,) = weights
        count = min(COUNT, self.rank or COUNT)
        return preview(
            weight, self.groups, self.method, count, normals=self.normals, seed=self.seed
        )

    def content(self, weights: Sequence[Tensor]) -> str:
        """A name for what ``decompose`` gives: equal for equal content and settings, 40 digits."""
        tensors = [*weights, *(each for each in self.normals if each is not None)]
        settings: dict[str, Any] = {
            "version": [VERSION, records.VERSION],
            "method": self.method,
            "rank": self.rank,
            "seed": self.seed,
            "groups": self.groups,
            "normals": [each is not None for each in self.normals],
            "tensors": [[str(each.dtype), list(each.shape)] for each in tensors],
        }
        kind = torch.device(self.device).type
        if kind != "cpu":  # whose drivers differ in the last bits
            settings["device"] = kind
        digest = hashlib.blake2b(json.dumps(settings).encode(), digest_size=20)
        for each in tensors:
            digest.update(array(each).data)
        return digest.hexdigest()

    def to_send(self, weights: Sequence[Tensor], *, by_handle: bool = True) -> Task:
        """The same with these weights, or with handles where others can read them as well."""
        handles = tuple(map(read_elsewhere, self.weights)) if by_handle else ()
        known = [handle for handle in handles if handle is not None]
        readable = len(known) == len(self.weights)
        return replace(self, weights=tuple(known) if readable else tuple(weights))

    @property
    def by_handle(self) -> bool:
        """Whether whoever does it reads the weights from their files."""
        return all(isinstance(weight, Handle) for weight in self.weights)

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (
            Task,
            {each.name: _packed(getattr(self, each.name)) for each in fields(self)},
        )


def task_of(
    linear: LinearMap, method: Flattening, rank: int | None, seed: int, device: str = "cpu"
) -> Task:
    """The task to decompose a map.

    With one kernel position both methods flatten to one matrix, which is decomposed by ``"svr"``.

    Raises:
        SVRError: the map's weight is not known.
    """
    linear.check_known()
    if linear.positions == 1:
        method = "svr"
    factors = linear.factors
    return Task(
        linear.name,
        factors,
        tuple(tuple(each.shape) for each in factors),
        any(each.dtype == torch.float64 for each in factors),
        linear.groups,
        linear.normals,
        method,
        rank,
        seed,
        device,
    )


def array(tensor: Tensor) -> NDArray[Any]:
    """The entries of a tensor one after the other, in its own memory where they are kept so."""
    return np.ascontiguousarray(plain(tensor).detach().numpy())


@dataclass(frozen=True, eq=False)
class Sent:
    """A decomposition on its way to another process."""

    neurons: Decomposition

    def __reduce__(self) -> tuple[Any, ...]:
        values = {each.name: getattr(self.neurons, each.name) for each in fields(self.neurons)}
        return _received, (Sent, {name: _packed(each) for name, each in values.items()})


class _Packed(NamedTuple):
    """A tensor as an array of its entries one after the other, and the order of its dimensions.

    PyTorch pickles a tensor for another process by moving it, the caller's own, to shared memory.
    """

    entries: NDArray[Any]
    order: list[int]


def _packed(value: Any) -> Any:
    if isinstance(value, Tensor):
        held = plain(value)
        order = order_of(held)
        return _Packed(array(held.permute(order)), order)
    return tuple(map(_packed, value)) if type(value) is tuple else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, _Packed):
        entries, order = value
        own = entries if entries.flags.writeable else entries.copy()
        return ordered(torch.from_numpy(own), order)
    return tuple(map(_unpacked, value)) if type(value) is tuple else value


def _received(kind: type[Task] | type[Sent], values: dict[str, Any]) -> Task | Sent:
    """What pickles of these describe."""
    known = {name: _unpacked(each) for name, each in values.items()}
    return Task(**known) if kind is Task else Sent(Decomposition(**known))


def derived(content: str, what: str) -> str:
    """A name for what is made of a decomposition of that name."""
    return hashlib.blake2b(f"{content} {what}".encode(), digest_size=20).hexdigest()
