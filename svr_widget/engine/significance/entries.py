"""Entries of one law under a cut: how many are significant, and from which weight on."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.significance.nulls import NullLaw
from svr_widget.engine.significance.tails import Floats

Counts = NDArray[np.int64]

# An inverted p-value is right to far better than this; entries nearer to it are compared directly.
_DOUBTFUL = 1e-9


class Cuts(NamedTuple):
    """Cuts in entries of one law and precision, which many links share.

    Attributes:
        log_p: natural logarithms of their p-values, ``[k]``.
        doubtful: the smallest entries that may be significant, as the law's inverse is rounded.
        sure: the smallest that are for sure.
    """

    log_p: Floats
    doubtful: NDArray[np.floating]
    sure: NDArray[np.floating]

    @classmethod
    def of(cls, law: NullLaw, log_p: Floats, dtype: np.dtype[np.floating]) -> Cuts:
        """The cuts at p-values in entries of a law, of ``dtype``."""
        weight = law.isf_log(log_p)
        above = np.nextafter(weight * (1 + _DOUBTFUL), np.inf)
        return cls(log_p, _at_least(weight * (1 - _DOUBTFUL), dtype), _at_least(above, dtype))


def _at_least(values: Floats, dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    """The smallest number of ``dtype`` that is not below each value."""
    cast = values.astype(dtype)
    return np.where(cast < values, np.nextafter(cast, np.array(np.inf, dtype)), cast)


def least_weights(
    law: NullLaw, log_p: Floats, dtype: np.dtype[np.floating]
) -> NDArray[np.floating]:
    """The smallest weight of ``dtype`` whose p-value is at most each cut, ``[k]``.

    Infinite where no entry has such a p-value.
    """
    cuts = Cuts.of(law, log_p, dtype)
    # Numbers that are not negative are ordered as the integers of their bits are.
    integers = np.dtype(f"i{dtype.itemsize}")
    low, high = (weights.view(integers).copy() for weights in (cuts.doubtful, cuts.sure))
    while (open_ := np.flatnonzero(low < high)).size:
        middle = low[open_] + (high[open_] - low[open_]) // 2
        reached = law.logsf(middle.view(dtype)) <= log_p[open_]
        high[open_[reached]] = middle[reached]
        low[open_[~reached]] = middle[~reached] + 1
    return high.view(dtype)


@dataclass(frozen=True, eq=False)
class LinkTests:
    """All tested entries of a link that follow one law.

    Attributes:
        law: their law under chance.
        weights: the entries, float32 or float64 ``[k]``, ascending.

    Raises:
        ValueError: the weights are not one-dimensional, ascending and free of NaN.
    """

    law: NullLaw
    weights: NDArray[np.floating]

    def __post_init__(self) -> None:
        w = self.weights
        if w.ndim != 1 or np.isnan(w[-1:]).any() or (w[1:] < w[:-1]).any():
            raise ValueError("weights must be a 1-D array in ascending order, without NaN")

    @property
    def size(self) -> int:
        """The number of entries."""
        return self.weights.size

    @property
    def none(self) -> LinkTests:
        """The same law without any entry."""
        return LinkTests(self.law, self.weights[:0])

    def count(self, cuts: Cuts) -> Counts:
        """Numbers of entries whose log p-value is at most that of each cut, int64 ``[k]``."""
        w = self.weights
        first = np.searchsorted(w, cuts.doubtful)
        sure = np.searchsorted(w, cuts.sure)
        for i in np.flatnonzero(first != sure):
            first[i] += bisect_left(
                range(first[i], sure[i]),
                True,
                key=lambda j: self.law.logsf(w[j]) <= cuts.log_p[i],
            )
        return w.size - first

    def smallest(self, count: int) -> float:
        """The smallest of the ``count`` largest entries; ``inf`` for none."""
        return float(self.weights[-count]) if count else math.inf
