"""Structure read off an adjacency: internal dimensions and colour intensity (paper, 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from svr_widget.engine.significance.dimensions_null import largest_deviation_p_value
from svr_widget.engine.significance.random_frames import RandomFrames

Floats = NDArray[np.float64]


class InternalDimensions(NamedTuple):
    """The block of strongly joined neurons at the top left of an adjacency.

    Attributes:
        d_out: number of the consumer's neurons in it, counted from 1; 0 where there is nothing to
            test: one of the maps is zero, or the link is by construction.
        d_in: number of the producer's neurons in it, likewise.
        deviation: ``B - E[B]`` at its corner, the largest there is.
        p_value: how often random frames reach that deviation; "no block" is a fair answer where
            it is 0.05 or more, 1 where there is nothing to test. None where it was not asked for
            or is not known, see ``method``.
        method: where the p-value comes from: ``"exact"`` (simulated random frames), ``"limit"``
            (simulated limit process), or why there is none, or nothing to test.

    Examples:
        >>> found = svr.internal_dimensions(("0", "2"))
        >>> found.d_out, found.d_in, found.method
        (2, 2, 'exact')
    """

    d_out: int
    d_in: int
    deviation: float
    p_value: float | None
    method: str


def internal_dimensions(
    adjacency: ArrayLike, mean: ArrayLike, null: RandomFrames | None = None, *, seed: int = 0
) -> InternalDimensions:
    """Internal dimensions ``argmax_ij (B_ij - E[B_ij])`` with ``B = cumsum cumsum A`` (3.2).

    ``i`` runs over the consumer's neurons (rows), ``j`` over the producer's (columns), both from
    1; of equal maxima the first in row order is taken. The statistic of the p-value is the raw
    deviation, as in the paper.

    Args:
        adjacency: entries ``[n, m]``, neurons by decreasing singular value.
        mean: expected entry, ``s / (p q)``; or ``[n, m]`` where groups make it differ (0 where
            they share no channel).
        null: the geometry of the link, for the p-value.
        seed: seeds the simulation.

    Raises:
        ValueError: the adjacency is empty, or ``mean`` or the number of neurons does not fit
            ``null``.
    """
    deviations = _deviations(adjacency, mean)
    if not deviations.size:
        raise ValueError(f"an adjacency {deviations.shape} has no internal dimensions")
    row, column = np.unravel_index(int(np.argmax(deviations)), deviations.shape)
    deviation = float(deviations[row, column])
    p_value, method = None, "not asked for"
    if null is not None:
        if not np.allclose(mean, null.mean(_shape(deviations))):
            raise ValueError("mean is not that of the random frames in null")
        p_value, method = largest_deviation_p_value(deviation, _shape(deviations), null, seed)
    return InternalDimensions(int(row) + 1, int(column) + 1, deviation, p_value, method)


def intensity(adjacency: ArrayLike, mean: ArrayLike) -> Floats:
    """Colour intensity ``max_i sum_{k <= i} (A_kj - mean)`` of each producer's neuron (3.2).

    Clipped at 0, and not yet divided by the map's maximum.

    Args:
        adjacency: entries ``[n, m]``, the consumer's neurons by decreasing singular value.
        mean: expected entry, or ``[n, m]``.

    Returns:
        float64 ``[m]``; zeros where ``n`` is 0.
    """
    entries = np.asarray(adjacency, dtype=np.float64)
    centred = entries - np.asarray(mean, dtype=np.float64)
    largest: Floats = centred.cumsum(axis=0).max(axis=0, initial=0.0)
    return largest


def _deviations(adjacency: ArrayLike, mean: ArrayLike) -> Floats:
    entries = np.asarray(adjacency, dtype=np.float64)
    centred = entries - np.asarray(mean, dtype=np.float64)
    deviations: Floats = centred.cumsum(axis=0).cumsum(axis=1)
    return deviations


def _shape(matrix: Floats) -> tuple[int, int]:
    rows, columns = matrix.shape
    return rows, columns
