"""What the spectral neurons say of single channels: their near-kernel blocks (paper, 5.2)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from svr_widget.engine.analysis.near_kernels import (
    AMBIGUOUS,
    GAP,
    SHARE,
    block_masses,
    channel_blocks,
    near_kernels,
)
from svr_widget.engine.graph.spectral_graph import SpectralGraph


def blocks_of_channels(
    graph: SpectralGraph, name: str, ratio: float = GAP, share: float = SHARE
) -> NDArray[np.int64]:
    """The block of each channel of a map; see ``SVR.channel_blocks``."""
    neurons = graph.decomposition(name)
    return channel_blocks(block_masses(neurons, near_kernels(neurons.S, ratio)), share)


def near_kernel_table(
    graph: SpectralGraph, name: str | None = None, ratio: float = GAP, share: float = SHARE
) -> pd.DataFrame:
    """A row for each block of each map, or of one; columns as in ``SVR.near_kernels``."""
    rows = []
    for each in graph.maps if name is None else (name,):
        neurons = graph.decomposition(each)
        S = neurons.S.numpy()
        blocks = near_kernels(S, ratio)
        masses = block_masses(neurons, blocks)
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
