"""Copies of a model's large weights, let go once the neurons hold what they held."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np
from torch import Tensor

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.read_only import array_of, plain, read_only
from svr_widget.engine.maps.stored import Handle, StoredTensor

LARGE = 1 << 22
"""Bytes from which on a copy is worth letting go."""


class Copy(Handle):
    """The weight of a map at the moment when it was read, whatever training does to it later.

    Once the map is decomposed, a copy is a second form of the same numbers. After ``let_go`` they
    are read from the model again, where those are still the same to the bit, and are else what the
    neurons make of them: right to the rounding of float32.

    Args:
        values: a copy of the weight.
        again: reads the weight that the model has now.
    """

    elsewhere = False

    def __init__(self, values: Tensor, again: Callable[[], Tensor]) -> None:
        self._values: Tensor | None = values
        self._again, self._dtype = again, values.dtype
        self._digest = b""
        self._of_neurons: Callable[[], Tensor] | None = None

    def let_go(self, of_neurons: Callable[[], Tensor]) -> None:
        """Keep the copy no longer.

        Args:
            of_neurons: forms the weight of all of the map's neurons.
        """
        if self._values is not None:
            self._digest, self._of_neurons = _digest(self._values), of_neurons
            self._values = None

    def values(self) -> Tensor:
        """The weight; nobody may write to it."""
        values = self._values  # another thread may let it go
        if values is not None:
            return values
        assert self._of_neurons is not None
        now: Tensor | None = None
        with suppress(SVRError, AttributeError):  # it has none any more, or one that is not finite
            now = self._again()
        if now is not None and _digest(now) == self._digest:
            return now
        return self._of_neurons().to(self._dtype)

    def __call__(self) -> Tensor:
        """The weight, read-only: unlike what a file holds it takes no copy."""
        return read_only(self.values())


def copied(linear: LinearMap, again: Callable[[], LinearMap]) -> LinearMap:
    """A map whose copy of the weight can be let go, where that is large.

    Args:
        linear: the map.
        again: reads the map that the model has now.
    """
    factors = linear.factors
    if len(factors) > 1 or isinstance(factors[0], StoredTensor) or factors[0].nbytes < LARGE:
        return linear
    copy = Copy(factors[0], lambda: again().factors[0])
    return replace(linear, factors=(StoredTensor(factors[0].to("meta"), copy),))


def kept(weight: Tensor) -> Tensor:
    """A weight that stays as it is, whoever lets the copy go."""
    copy = _behind(weight)
    return weight if copy is None else copy()


def copy_of(linear: LinearMap) -> Copy | None:
    """The copy that is all of a map's weight; None where it is none, or a part of it."""
    return _behind(linear.factors[0]) if len(linear.factors) == 1 else None


def _behind(weight: Tensor) -> Copy | None:
    read = weight.reads if isinstance(weight, StoredTensor) else None
    return read if isinstance(read, Copy) else None


def _digest(weight: Tensor) -> bytes:
    entries = np.ascontiguousarray(array_of(plain(weight)))
    return hashlib.blake2b(entries.data, digest_size=16).digest()
