"""The p-value of colour intensity: how large the intensity of one random neuron gets (paper, 3.2).

Under chance the intensity ``max_i sum_{k <= i} (A_k - mean)`` of a producer's neuron looks at one
random unit vector ``u`` only, met by random frames of the consumer's groups. Of the frames nothing
counts but how much of ``u`` they have: the squared norms of ``u`` on the channels that each group
reads are shares of a sum of squares, and within a group, turned so that its frame is the basis, the
entries are squared norms of rows of ``z`` random orthonormal columns. So a draw costs ``n z``
normal numbers instead of a whole adjacency, and with one position a row of squares is enough.

Where orthonormal columns cost too much, their rows are replaced by independent sums of ``z``
squares, divided by their total and brought to the exact covariance: the limit, which for many rows
is the tied-down Brownian bridge, with the skewness of the entries kept.

Beyond the largest draw stands a bound: the path rises by steps that are not negative, so that
``P(max >= t)`` is at most the sum over blocks of rows of
``P(sum to a block's end >= t + mean to its beginning)``. The partial sums are taken as Beta laws of
their exact mean and variance, which they are where the frames are full and one side has one
position.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.significance.dimensions_null import DRAWS, haar
from svr_widget.engine.significance.tails import log_beta_sf

Floats = NDArray[np.float64]

CERTAIN = 1e-3
"""False discovery rate at which a neuron that stands out has all of its hue in a picture."""

_BATCH = 250
# Of random orthonormal columns, so that all draws of a shape take about 0.3 s.
_NORMALS = 10_000
_OPERATIONS = 100_000
_BLOCKS, _POINTS = 512, 160
_ROUNDING = 1e-6  # entries may come from float32 vectors: so much less is a tie


@dataclass(frozen=True)
class RandomColumn:
    """What the column of one of the producer's neurons is under chance.

    Attributes:
        sent: channels of the neuron's vector and its kernel positions.
        shared: of those channels, how many each of the consumer's groups reads that reads any.
        read: length of a vector of one of the consumer's groups, and its kernel positions.
        rows: which of these groups each row that shares channels belongs to, in order.
        reach: squared norm of what the consumer's vectors can reach of a channel.
    """

    sent: tuple[int, int]
    shared: tuple[int, ...]
    read: tuple[int, int]
    rows: tuple[int, ...]
    reach: float = 1.0

    @property
    def means(self) -> Floats:
        """The expected entries, ``[n]``."""
        share = np.array(self.shared) / self.sent[0] * (self.read[1] / self.read[0])
        means: Floats = self.reach * share[list(self.rows)]
        return means


def intensity_p_values(intensities: Floats, column: RandomColumn, seed: int) -> Floats:
    """How likely a random neuron has at least this intensity, as ``intensity`` gives it.

    From 2,000 seeded draws, kept for each shape, ``(1 + how many) / 2001``; beyond the largest of
    them a bound on it, which falls on.

    Args:
        intensities: of neurons with the same ``column``, not divided by anything.
        column: their geometry.
        seed: seeds the draws.

    Returns:
        float64 in (0, 1], of the same shape; 1 for an intensity of 0.
    """
    if not column.rows:
        return np.ones_like(intensities)
    maxima, tail = _law(column, seed)
    beyond = DRAWS - np.searchsorted(maxima, intensities - _ROUNDING)
    p_values = (1.0 + beyond) / (1 + DRAWS)
    rare = beyond == 0
    if tail is not None and rare.any():
        bound = np.exp(np.interp(intensities[rare], tail.at, tail.log_p))
        p_values[rare] = np.minimum(p_values[rare], bound)
    p_values[intensities <= _ROUNDING] = 1.0
    return p_values


class _Tail(NamedTuple):
    """The bound at some intensities beyond the largest draw."""

    at: Floats
    log_p: Floats


@lru_cache(maxsize=512)
def _law(column: RandomColumn, seed: int) -> tuple[Floats, _Tail | None]:
    """The maxima of the draws, ascending, and what bounds the rest."""
    generator = np.random.default_rng(seed)
    means = column.means
    batches = [
        (_entries(column, generator) - means).cumsum(axis=1).max(axis=1)
        for _ in range(0, DRAWS, _BATCH)
    ]
    maxima = np.sort(np.concatenate(batches))
    return maxima, _tail(column, max(float(maxima[-1]), _ROUNDING))


def _entries(column: RandomColumn, generator: np.random.Generator) -> Floats:
    """Random columns ``[batch, n]``."""
    channels, positions = column.sent
    shared, rows = np.array(column.shared), np.array(column.rows)
    squares = generator.chisquare(shared * positions, (_BATCH, len(shared)))
    total = squares.sum(axis=1, keepdims=True)
    if unread := channels - int(shared.sum()):
        total = total + generator.chisquare(unread * positions, (_BATCH, 1))
    shares = column.reach * squares / total
    entries = np.empty((_BATCH, len(rows)))
    for group, s in enumerate(column.shared):
        mine = np.flatnonzero(rows == group)
        entries[:, mine] = shares[:, [group]] * _of_group(
            len(mine), s, positions, column.read, generator
        )
    return entries


def _of_group(
    n: int, s: int, y: int, read: tuple[int, int], generator: np.random.Generator
) -> Floats:
    """Entries ``[batch, n]`` of a vector of norm 1 on the ``s`` channels that a group reads."""
    d, z = read
    if z == d:  # n orthonormal vectors that no channel tells apart: all of each of them
        return np.ones((_BATCH, n))
    if y > 1 and s == d:
        return _shares(n, d, y, generator)
    if y == 1 and z == 1:
        return _shares(n, d, 1, generator)
    across = z if y == 1 else min(s, y)
    if n * across <= _NORMALS and n * across**2 <= _OPERATIONS:
        columns = haar(d, n, across, generator)
        if y > 1:
            # A rotation on the left is lost among the random columns.
            core = generator.standard_normal((_BATCH, s, y))
            core = np.linalg.qr(core)[1] if s > y else core
            columns = columns @ (core / np.linalg.norm(core, axis=(1, 2), keepdims=True))
        entries: Floats = np.square(columns).sum(axis=2)
        return entries
    shares = z * _shares(n, d, across, generator)
    wanted, has = _variance(1, s, y, d, z), 2 * z * z * (d - 1) / (d * d * (across * d + 2))
    limit: Floats = z / d + (shares - z / d) * np.sqrt(wanted / has)
    return np.maximum(limit, 0.0)


def _shares(n: int, d: int, squares: int, generator: np.random.Generator) -> Floats:
    """The first ``n`` of ``d`` sums of so many squares, divided by the total of all."""
    sums = generator.chisquare(squares, (_BATCH, n))
    total = sums.sum(axis=1, keepdims=True)
    if d > n:
        total = total + generator.chisquare(squares * (d - n), (_BATCH, 1))
    shares: Floats = sums / total
    return shares


def _variance(i: Floats | int, s: int, y: int, d: int, z: int) -> Floats | float:
    """Of the sum of the first ``i`` entries of a vector of norm 1 on a group's channels."""
    one = 2 * i * (d - i) / (d * d * (d + 2))
    if y == 1:
        return one * z * (d - z) / max(d - 1, 1)
    fourth = (s + y + 1) / (s * y + 2)  # E of the sum of fourth powers of u's singular values
    return one * (fourth - (1 - fourth) / max(d - 1, 1))


def _tail(column: RandomColumn, begin: float) -> _Tail | None:
    """A bound on the survival function from ``begin`` on; None where nothing is random there."""
    mean, variance, most = _moments(column)
    n = len(mean)
    last = np.unique(np.linspace(0, n - 1, min(n, _BLOCKS)).round().astype(int))
    first = np.concatenate([[0], last[:-1] + 1])
    random = variance[last] > 1e-12 * mean[last]
    last, first = last[random], first[random]
    end = float((most[last] - mean[first]).max(initial=0.0))
    if end <= begin:
        return None
    at = np.geomspace(begin, end, _POINTS)
    bound = np.zeros(_POINTS)
    for i, j in zip(first.tolist(), last.tolist(), strict=True):
        centre, spread = mean[j] / most[j], variance[j] / most[j] ** 2
        size = centre * (1 - centre) / spread - 1
        x = np.clip((at + mean[i]) / most[j], 0.0, 1.0)
        bound += np.exp(log_beta_sf(centre * size, (1 - centre) * size, x, 1 - x))
    return _Tail(at, np.log(np.maximum(bound, np.finfo(np.float64).tiny)))


def _moments(column: RandomColumn) -> tuple[Floats, Floats, Floats]:
    """Mean, variance and upper end of the sum of the first ``i`` entries, ``i`` from 1 to ``n``."""
    (p, y), (d, z) = column.sent, column.read
    n = len(column.rows)
    rows, total = np.array(column.rows), p * y / 2
    # Over the groups read so far: E, and E of what the squared norms there make vary.
    mean, square, inner, most = (np.empty(n) for _ in range(4))
    for group, s in enumerate(column.shared):
        mine = np.flatnonzero(rows == group)
        i = np.arange(len(mine) + 1.0)
        share = s * y / 2
        steps = np.diff(i * z / d), np.diff((i * z / d) ** 2)
        mean[mine], square[mine] = share / total * steps[0], share / total * steps[1]
        most[mine] = np.minimum(i[1:], z)
        second = share * (share + 1) / (total * (total + 1))
        inner[mine] = second * np.diff(np.asarray(_variance(i, s, y, d, z)))
    mean, square, inner = mean.cumsum(), square.cumsum(), inner.cumsum()
    variance = inner + np.maximum(square - mean**2, 0.0) / (total + 1)
    ends = column.reach * np.maximum.accumulate(most)
    return column.reach * mean, column.reach**2 * variance, ends
