"""The p-value of internal dimensions: how large the largest deviation of random frames gets."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.significance.dimensions_limit import limit_maxima
from svr_widget.engine.significance.random_frames import Frame, RandomFrames, group_of

Floats = NDArray[np.float64]

DRAWS = 2000
# What one exact draw may cost, so that all of them take about 0.2 s. Square frames pass up to
# N = 36. What does not pass has thousands of independent terms, and by measurement the limit is
# right to within the noise of 2,000 draws from far fewer on (N = 16 square).
_NORMALS = 10_000
_OPERATIONS = 50_000
_PRODUCTS = 500_000
# Groups have no limit here, so they may take longer.
_PATIENCE = 8.0
_BATCH = 250
# Entries may come from float32 vectors: a deviation that is this much smaller is a tie.
_ROUNDING = 1e-6


class PValue(NamedTuple):
    """A p-value, or None, and where it comes from or why there is none."""

    value: float | None
    method: str


def largest_deviation_p_value(
    deviation: float, shape: tuple[int, int], frames: RandomFrames, seed: int
) -> PValue:
    """Share of random frames whose largest ``B_ij - E[B_ij]`` is at least ``deviation``.

    From 2,000 seeded draws, ``(1 + how many) / 2001``, kept for each geometry and shape.

    Raises:
        ValueError: more neurons than their space has dimensions.
    """
    for frame, count in ((frames.producer, shape[1]), (frames.consumer, shape[0])):
        largest = max(np.bincount(frame.neuron_groups)) if frame.grouped else count
        if largest > frame.length or (frame.grouped and len(frame.neuron_groups) != count):
            raise ValueError(f"{count} neurons do not fit {frame}")
    maxima, method = _maxima(shape, frames, seed)
    if maxima is None:
        return PValue(None, method)
    total = np.broadcast_to(frames.mean(shape), shape).sum()
    tolerance = _ROUNDING * max(1.0, float(total))
    reached = int((maxima >= deviation - tolerance).sum())
    return PValue((1 + reached) / (1 + DRAWS), method)


@lru_cache(maxsize=256)
def _maxima(shape: tuple[int, int], frames: RandomFrames, seed: int) -> tuple[Floats | None, str]:
    """Largest deviations of random surfaces ``[DRAWS]``, and how they were found."""
    generator = np.random.default_rng(seed)
    sides = frames.plain_and_kernel()
    if sides is None:
        if _cost_of_both(frames, shape) > _PATIENCE:
            return None, "not known: the groups of this link are too large to simulate"
        return _exact(lambda: _two_frames(frames, shape, generator), frames.mean(shape)), "exact"
    plain, kernel, producer_is_plain = sides
    m, n = shape[::-1] if producer_is_plain else shape
    s, z = frames.shared, kernel.positions
    if plain.length == s:
        if _cost(kernel.length, max(m * z, n), min(m * z, n)) <= 1:
            mean = np.full((m, n), z / kernel.length)
            return _exact(lambda: _one_frame(kernel.length, m, n, z, generator), mean), "exact"
    else:
        ungrouped = RandomFrames(s, plain, kernel)
        if _cost_of_both(ungrouped, (n, m)) <= 1:
            mean = ungrouped.mean((n, m))
            return _exact(lambda: _two_frames(ungrouped, (n, m), generator), mean), "exact"
    return limit_maxima(s, (m, plain.length), (n, kernel.length), z, DRAWS, generator), "limit"


def _exact(adjacencies: Callable[[], Floats], mean: Floats) -> Floats:
    """Largest deviations of batches of random adjacencies."""
    batches = []
    for _ in range(0, DRAWS, _BATCH):
        deviations = (adjacencies() - mean).cumsum(axis=1).cumsum(axis=2)
        batches.append(deviations.max(axis=(1, 2)))
    return np.concatenate(batches)


def _one_frame(length: int, m: int, n: int, z: int, generator: np.random.Generator) -> Floats:
    """Adjacencies ``[batch, m, n]`` of a full fixed frame with a random one of ``n`` vectors.

    With the fixed frame as the basis, ``A_ji`` sums the squares of ``z`` coordinates. Only the
    angles between the two matter, so the smaller of the two frames is the one drawn.
    """
    if n <= m * z:
        vectors, pattern = haar(length, m * z, n, generator).reshape(-1, m, z, n), "bjzi,bjzi->bji"
    else:
        vectors, pattern = haar(length, n, m * z, generator).reshape(-1, n, m, z), "bijz,bijz->bji"
    adjacency: Floats = np.einsum(pattern, vectors, vectors)
    return adjacency


def _two_frames(
    frames: RandomFrames, shape: tuple[int, int], generator: np.random.Generator
) -> Floats:
    """Adjacencies ``[batch, n, m]`` of two random frames, or of two random frames a group."""
    U = _on_shared_channels(frames.producer, frames.shared, shape[1], generator)
    V = _on_shared_channels(frames.consumer, frames.shared, shape[0], generator)
    adjacency = np.zeros((_BATCH, *shape))
    for u in np.moveaxis(U, 2, 0):
        for v in np.moveaxis(V, 2, 0):
            adjacency += np.square(v.swapaxes(1, 2) @ u)
    return adjacency


def _on_shared_channels(
    frame: Frame, shared: int, count: int, generator: np.random.Generator
) -> Floats:
    """Vectors of random frames on the shared channels, ``[batch, shared, positions, count]``."""
    vectors = np.zeros((_BATCH, shared, frame.positions, count))
    neurons, channels = group_of(frame.neuron_groups, count), group_of(frame.channel_groups, shared)
    for group in np.unique(neurons):
        rows, columns = np.flatnonzero(channels == group), np.flatnonzero(neurons == group)
        kept = rows.size * frame.positions
        block = haar(frame.length, kept, columns.size, generator)
        shaped = block.reshape(_BATCH, rows.size, frame.positions, columns.size)
        vectors[:, rows[:, None], :, columns] = shaped.transpose(1, 3, 0, 2)
    return vectors


def haar(length: int, rows: int, count: int, generator: np.random.Generator) -> Floats:
    """The first ``rows`` coordinates of ``count`` random orthonormal vectors in R^length.

    Returns ``[batch, rows, count]``, signs of vectors arbitrary. The frame is the Q of a Gaussian
    matrix; of its lower part only the triangular factor matters, which has a law of its own.
    """
    rest = length - rows
    lower = generator.standard_normal((_BATCH, min(rest, count), count))
    if rest > count:
        diagonal = np.arange(count)
        lower = np.triu(lower)
        lower[:, diagonal, diagonal] = np.sqrt(
            generator.chisquare(rest - diagonal, (_BATCH, count))
        )
    upper = generator.standard_normal((_BATCH, rows, count))
    q: Floats = np.linalg.qr(np.concatenate([upper, lower], axis=1))[0]
    return q[:, :rows]


def _cost(length: int, rows: int, count: int) -> float:
    """Cost of one ``haar`` frame in units of the budget."""
    normals = (rows + min(length - rows, count)) * count
    return max(normals / _NORMALS, normals * count / _OPERATIONS)


def _cost_of_both(frames: RandomFrames, shape: tuple[int, int]) -> float:
    """Cost of one draw of ``_two_frames`` in units of the budget."""
    cost = 0.0
    positions = 1
    for frame, count in ((frames.producer, shape[1]), (frames.consumer, shape[0])):
        positions *= frame.positions
        vectors = np.bincount(group_of(frame.neuron_groups, count))
        carried = np.bincount(group_of(frame.channel_groups, frames.shared), minlength=vectors.size)
        for k, channels in zip(vectors.tolist(), carried.tolist(), strict=False):
            cost += _cost(frame.length, channels * frame.positions, k)
    return cost + shape[0] * shape[1] * frames.shared * positions / _PRODUCTS
