"""Copies of a model's large weights, let go once the neurons hold what they held."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.read_only import array_of, plain, read_only
from svr_widget.engine.maps.stored import Handle, StoredTensor, in_memory

LARGE = 1 << 22
"""Bytes from which on a copy is worth letting go."""


class LetGoError(SVRError):
    """A weight is neither kept nor what the model has now, nor that of a map's own neurons."""


class Copy(Handle):
    """The weight of a map at the moment when it was read, whatever training does to it later.

    Once the map is decomposed, and every product that it is a factor of, a copy is a second form of
    the same numbers. After that they are read from the model again, where those are still the same
    to the bit, and are else what the neurons make of them: right to the rounding of float32.

    Args:
        name: the map's.
        values: a copy of the weight.
        again: reads the weight that the model has now.

    Attributes:
        shown: it is a map of the graph, beside products of it if there are any.
        products: those that it is a factor of and that are not decomposed.
    """

    elsewhere = False

    def __init__(self, name: str, values: Tensor, again: Callable[[], Tensor]) -> None:
        self.shown = False
        self.products: weakref.WeakSet[Factors] = weakref.WeakSet()
        self._values: Tensor | None = values
        self._name, self._again = name, again
        self._dtype, self._digest = values.dtype, b""
        self._of_neurons: Callable[[], Tensor] | None = None

    def decomposed(self, of_neurons: Callable[[], Tensor]) -> None:
        """Take note that the map is decomposed.

        Args:
            of_neurons: forms the weight of all of its neurons.
        """
        self._of_neurons = self._of_neurons or of_neurons
        self.let_go()

    def let_go(self) -> None:
        """Keep the copy no longer, unless it is still needed."""
        values = self._values
        needed = len(self.products) or (self.shown and self._of_neurons is None)
        if values is not None and not needed:
            self._digest = _digest(values)
            self._values = None

    def values(self) -> Tensor:
        """The weight; nobody may write to it.

        Raises:
            LetGoError: it is no more, and all that is known are products of it.
        """
        values = self._values  # another thread may let it go
        if values is not None:
            return values
        now: Tensor | None = None
        with suppress(SVRError, AttributeError):  # it has none any more, or one that is not finite
            now = self._again()
        if now is not None and _digest(now) == self._digest:
            return now
        if self._of_neurons is None:
            raise LetGoError(
                f"the weight of {self._name!r} changed after the heads that it is part of were "
                "decomposed, which is all that is kept of it: make an SVR of the model as it is "
                "now, or make both before training goes on"
            )
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
    copy = Copy(linear.name, factors[0], lambda: again().factors[0])
    return replace(linear, factors=(StoredTensor(factors[0].to("meta"), copy),))


def kept(weight: Tensor) -> Tensor:
    """A weight that stays as it is, whoever lets the copy go."""
    copy = _behind(weight)
    return weight if copy is None else copy()


def copy_of(linear: LinearMap) -> Copy | None:
    """The copy that is all of a map's weight; None where it is none, or a part of it."""
    return _behind(linear.factors[0]) if len(linear.factors) == 1 else None


class Factors:
    """The factors of a product, parts of copies that can be let go.

    Once it is decomposed they are those of the copies, where these can still be had, and are else
    made of its neurons: others, with the same product.

    Args:
        parts: the factors.
        copies: what they are parts of.
    """

    def __init__(self, parts: Sequence[Tensor], copies: Sequence[Copy]) -> None:
        self._parts, self._copies = tuple(parts), tuple(copies)
        self._of_neurons: Callable[[], Sequence[Tensor]] | None = None
        for copy in self._copies:
            copy.products.add(self)

    def decomposed(self, of_neurons: Callable[[], Sequence[Tensor]]) -> None:
        """Take note that the product is decomposed.

        Args:
            of_neurons: forms factors of the same shapes of its neurons.
        """
        self._of_neurons = self._of_neurons or of_neurons
        for copy in self._copies:
            copy.products.discard(self)
            copy.let_go()

    def values(self) -> tuple[Tensor, ...]:
        """The factors, which belong together: those of the copies or those of the neurons.

        Raises:
            LetGoError: it is not decomposed, and a copy is no more.
        """
        try:
            return tuple(map(in_memory, self._parts))
        except LetGoError:
            if self._of_neurons is None:
                raise
        made = zip(self._of_neurons(), self._parts, strict=True)
        return tuple(factor.to(part.dtype) for factor, part in made)


@dataclass(frozen=True, eq=False)
class _Reads:
    """Reads one of the factors of a product."""

    factors: Factors
    place: int

    def __call__(self) -> Tensor:
        return self.factors.values()[self.place]


def factors_of(parts: tuple[Tensor, ...], wholes: Sequence[LinearMap]) -> tuple[Tensor, ...]:
    """The factors of a product, which the copies behind them can be let go for.

    Args:
        parts: parts of the weights of maps.
        wholes: those maps.
    """
    copies = [copy for copy in map(copy_of, wholes) if copy is not None]
    if not copies:
        return parts
    factors = Factors(parts, copies)
    return tuple(
        StoredTensor(part.to("meta"), _Reads(factors, at), whole=False)
        for at, part in enumerate(parts)
    )


def factors_behind(linear: LinearMap) -> Factors | None:
    """The factors of a product that are parts of copies; None where it is none of such."""
    read = linear.factors[0].reads if isinstance(linear.factors[0], StoredTensor) else None
    return read.factors if isinstance(read, _Reads) else None


def _behind(weight: Tensor) -> Copy | None:
    read = weight.reads if isinstance(weight, StoredTensor) else None
    return read if isinstance(read, Copy) else None


def _digest(weight: Tensor) -> bytes:
    entries = np.ascontiguousarray(array_of(plain(weight)))
    return hashlib.blake2b(entries.data, digest_size=16).digest()
