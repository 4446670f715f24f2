"""The limit of the deviation surface for large frames: a Gaussian surface, simulated on a grid.

For random frames, ``D_ij = B_ij - E[B_ij]`` has exactly the covariance below at every size, by the
representation theory of the orthogonal group; in the limit of large frames it is Gaussian. Where
all channels are carried the covariance is ``2 b(r, r') b(t, t') / ((N - 1)(N + 2))`` with the
bridge ``b(x, x') = min(x, x') - x x' / N``, ``r = z j``, ``t = i``: the tied-down Brownian sheet.
Frames that are not full are a part of the sheet, and need nothing else.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CELLS = 48  # of the grid, along each side
# A Brownian path between grid points rises above them by this times the standard deviation of a
# step, on average (-zeta(1/2) / sqrt(2 pi); Broadie, Glasserman and Kou 1997).
_OVERSHOOT = 0.5826
_BATCH = 250


def limit_maxima(
    shared: int,
    plain: tuple[int, int],
    kernel: tuple[int, int],
    positions: int,
    draws: int,
    generator: np.random.Generator,
) -> Floats:
    """Maxima of the limit surface, float64 ``[draws]``.

    Args:
        shared: ``s``, channels that the link carries.
        plain: number of vectors ``m`` and their length ``p``, on the side without kernel.
        kernel: number of vectors ``n`` and their length ``d``, on the side with the kernel.
        positions: ``z``.
        draws: number of surfaces.
        generator: the source of randomness.
    """
    m, p = plain
    n, d = kernel
    s, z = shared, positions
    j, i = _grid(m), _grid(n)
    # The plain side's vectors meet the shared channels in projections M_j: their overlaps
    # E[tr M_j M_j'] - E[tr M_j tr M_j'] / d, and the covariance of their traces.
    norms = 2 * _bridge(j, j, p) * (s - s * s / p) / max((p - 1) * (p + 2), 1)
    overlaps = _overlaps(j, j, s, p, z, d)
    scale = 2 / ((d - 1) * (d + 2))
    left = math.sqrt(scale) * _root(overlaps)
    right = _root(_bridge(i, i, d)).T
    common = z * _root(norms)
    rise = _rise(j, i, s, p, z, d, scale)
    maxima = np.empty(draws)
    for start in range(0, draws, _BATCH):
        size = min(_BATCH, draws - start)
        surface = left @ generator.standard_normal((size, j.size, i.size)) @ right
        if s < p:
            surface += (common @ generator.standard_normal((size, j.size, 1))) * (i / d)
        maxima[start : start + size] = (surface + rise).max(axis=(1, 2))
    return maxima


def _grid(count: int) -> Floats:
    """At most ``_CELLS`` of 1 ... count, evenly spread, the last among them."""
    return np.unique(np.round(np.linspace(0, count, min(_CELLS, count) + 1)[1:]))


def _bridge(x: Floats, y: Floats, length: int) -> Floats:
    return np.minimum.outer(x, y) - np.outer(x, y) / length


def _overlaps(j: Floats, k: Floats, s: int, p: int, z: int, d: int) -> Floats:
    """``E[tr M_j M_k] - E[tr M_j tr M_k] / d`` for random projections seen on s of p channels."""
    product = np.outer(j, k)
    if s == p:
        squares, traces = np.minimum.outer(j, k), product
    else:
        # Fourth moments of a random frame: E[P_ab P'_cd] = alpha d_ab d_cd + beta (...).
        meeting = np.minimum.outer(j, k)
        beta = (p * meeting - product) / (p * (p - 1) * (p + 2))
        alpha = (product - 2 * p * beta) / p**2
        squares = alpha * s + beta * (s + s * s)
        covariance = 2 * _bridge(j, k, p) * (s - s * s / p) / ((p - 1) * (p + 2))
        traces = covariance + product * (s / p) ** 2
    return z * squares - z * z * traces / d


def _rise(j: Floats, i: Floats, s: int, p: int, z: int, d: int, scale: float) -> Floats:
    """How much the maximum between grid points exceeds that on them, for a maximum at each point.

    Nearby, the surface is the sum of a Brownian path along either side. The adjacency itself has
    a grid of step 1, so only the excess of the step over 1 counts.
    """
    norm_rate = 2 * (s - s * s / p) / max((p - 1) * (p + 2), 1)
    overlap = np.array([_overlaps(np.array([x]), np.array([x]), s, p, z, d)[0, 0] for x in j])
    ahead = np.array(
        [
            np.array([1.0, -1.0]) @ _overlaps(pair, pair, s, p, z, d) @ np.array([1.0, -1.0])
            for pair in (np.array([x, x - 1]) for x in j)
        ]
    )
    variance_j = scale * np.outer(ahead, i * (1 - i / d)) + norm_rate * (z * i / d) ** 2
    variance_i = scale * np.outer(overlap, np.ones_like(i))
    excess_j = np.sqrt(np.diff(j, prepend=0.0)) - 1
    excess_i = np.sqrt(np.diff(i, prepend=0.0)) - 1
    rise: Floats = _OVERSHOOT * (
        np.sqrt(np.maximum(variance_j, 0)) * excess_j[:, None]
        + np.sqrt(np.maximum(variance_i, 0)) * excess_i
    )
    return rise


def _root(covariance: Floats) -> Floats:
    """A square root of a positive semidefinite matrix, rounding errors below 0 set to 0."""
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
