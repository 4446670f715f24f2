"""Near-kernels, and which channels belong to them (paper, section 5.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph

AMBIGUOUS = -1
GAP = 100.0
SHARE = 0.95


def near_kernels(singular_values: ArrayLike, ratio: float = GAP) -> list[slice]:
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
        SVRError: a ratio of 1 or less, or values that are negative or not descending.
    """
    values = np.asarray(singular_values, dtype=np.float64)
    if ratio <= 1:
        raise SVRError(f"ratio = {ratio}: a gap is a fall by more than 1")
    if values.ndim != 1 or (np.diff(values) > 0).any() or not (values >= 0).all():
        raise SVRError("singular values must be a descending 1-D array of numbers >= 0")
    if not values.size:
        return []
    falls = np.flatnonzero(values[:-1] > ratio * values[1:]) + 1
    ends = [0, *falls.tolist(), values.size]
    return [slice(start, stop) for start, stop in pairwise(ends)]


def block_masses(neurons: Decomposition, blocks: Sequence[slice]) -> NDArray[np.float64]:
    """How much of each channel's output representations lies in each block (5.2.2, Fig 8).

    Args:
        neurons: of a map, by either method.
        blocks: groups of neurons, as ``near_kernels`` gives them.

    Returns:
        float64 ``[channels, blocks]``: sums of squares over the neurons of a block and the
        positions of a kernel. A row of all blocks sums to at most the number of positions.
    """
    U = neurons.U.numpy()
    squares = np.square(U, dtype=np.float64).reshape(U.shape[0], -1, U.shape[-1]).sum(axis=1)
    groups, width = neurons.groups.numpy(), squares.shape[0]
    masses = np.zeros((neurons.group_count * width, len(blocks)))
    for place, block in enumerate(blocks):
        of_group = groups[block]
        for group in np.unique(of_group):
            channels = slice(group * width, (group + 1) * width)
            masses[channels, place] = squares[:, block][:, of_group == group].sum(axis=1)
    return masses


def channel_blocks(masses: ArrayLike, share: float = SHARE) -> NDArray[np.int64]:
    """The block of neurons that each channel belongs to (5.2.2, Fig 8).

    Args:
        masses: ``[channels, blocks]``, as ``block_masses`` gives them.
        share: a channel belongs to a block that holds at least this share of its mass.

    Returns:
        int64 ``[channels]``: the index of the block, or ``AMBIGUOUS`` (-1) where no block has the
        share or the channel has no output in any of the neurons.

    Raises:
        SVRError: not ``0.5 < share <= 1``, which only one block can have.
    """
    if not 0.5 < share <= 1:
        raise SVRError(f"share = {share}: only a share above 0.5, at most 1, names one block")
    held = np.asarray(masses, dtype=np.float64)
    total = held.sum(axis=1)
    clear = (held.max(axis=1) >= share * total * (1 - 1e-12)) & (total > 0)
    return np.where(clear, held.argmax(axis=1), AMBIGUOUS)


def blocks_of_channels(
    graph: SpectralGraph, name: str, ratio: float = GAP, share: float = SHARE
) -> NDArray[np.int64]:
    """The block of each channel of a map; see ``SVR.channel_blocks``."""
    neurons = graph.decomposition(name)
    return channel_blocks(_masses(neurons, blocks_of(neurons, ratio)), share)


def blocks_of(neurons: Decomposition, ratio: float = GAP) -> list[slice]:
    """``near_kernels`` of a map: what its null neurons fall by is rounding, so they count as 0."""
    return near_kernels(neurons.S.masked_fill(neurons.null, 0.0), ratio)


def _masses(neurons: Decomposition, blocks: Sequence[slice]) -> NDArray[np.float64]:
    """``block_masses``; none in a map of zeros, where any vectors would do as well."""
    return block_masses(neurons, blocks) * float(not neurons.null.all())


def near_kernel_table(
    graph: SpectralGraph, name: str | None = None, ratio: float = GAP, share: float = SHARE
) -> pd.DataFrame:
    """A row for each block of each map, or of one; columns as in ``SVR.near_kernels``."""
    rows = []
    for each in graph.maps if name is None else (name,):
        neurons = graph.decomposition(each)
        S = neurons.S.numpy()
        blocks = blocks_of(neurons, ratio)
        masses = _masses(neurons, blocks)
        mapped = channel_blocks(masses, share)
        unclear = masses[(mapped == AMBIGUOUS) & (masses.sum(axis=1) > 0)].argmax(axis=1)
        rows += [
            {
                "map": each,
                "block": place,
                "start": block.start,
                "stop": block.stop,
                "largest": float(S[block.start]),
                "smallest": float(S[block.stop - 1]),
                "channels": int(np.sum(mapped == place)),
                "ambiguous": int(np.sum(unclear == place)),
            }
            for place, block in enumerate(blocks)
        ]
    return pd.DataFrame(rows)
