"""Near-kernels, and which channels belong to them (paper, section 5.2)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

AMBIGUOUS = -1


def near_kernels(singular_values: ArrayLike, ratio: float = 100.0) -> list[slice]:
    """Groups of singular values, cut where one falls by more than ``ratio`` to the next.

    The first group is what the map works with; each further one is a near-kernel (5.2.1). Exact
    zeros are a group of their own. In a square Gaussian matrix the last value falls by more than
    100 about once in a hundred times, the others practically never.

    Args:
        singular_values: ``[M]``, descending.
        ratio: smallest fall that separates two groups, > 1.

    Returns:
        Slices that cover ``0 ... M``, in order; none for ``M = 0``.

    Raises:
        ValueError: a ratio of 1 or less, or values that are negative or not descending.
    """
    values = np.asarray(singular_values, dtype=np.float64)
    if ratio <= 1:
        raise ValueError(f"ratio = {ratio}: a gap is a fall by more than 1")
    if values.ndim != 1 or (np.diff(values) > 0).any() or not (values >= 0).all():
        raise ValueError("singular values must be a descending 1-D array of numbers >= 0")
    if not values.size:
        return []
    falls = np.flatnonzero(values[:-1] > ratio * values[1:]) + 1
    ends = [0, *falls.tolist(), values.size]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def channel_blocks(U: ArrayLike, blocks: list[slice], share: float = 0.95) -> NDArray[np.int64]:
    """The block of neurons that each channel belongs to (5.2.2, Fig 8).

    Args:
        U: output representations ``[channels, *kernel, M]``.
        blocks: groups of neurons, as ``near_kernels`` gives them.
        share: a channel belongs to a block that holds at least this share of its squares.

    Returns:
        int64 ``[channels]``: the index of the block, or ``AMBIGUOUS`` (-1) where no block has the
        share or the channel has no output in any of the neurons.

    Raises:
        ValueError: not ``0.5 < share <= 1``, which only one block can have.
    """
    if not 0.5 < share <= 1:
        raise ValueError(f"share = {share}: only a share above 0.5, at most 1, names one block")
    squares = np.square(np.asarray(U, dtype=np.float64))
    squares = squares.reshape(squares.shape[0], -1, squares.shape[-1]).sum(axis=1)
    masses = np.stack([squares[:, block].sum(axis=1) for block in blocks], axis=1)
    total = squares.sum(axis=1)
    largest = masses.argmax(axis=1)
    clear = (masses.max(axis=1) >= share * total * (1 - 1e-12)) & (total > 0)
    return np.where(clear, largest, AMBIGUOUS)
