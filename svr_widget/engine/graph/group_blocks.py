"""Where the neurons of two maps meet: the representations on the channels that they share.

Matrices are put together from tiles with fixed borders: floating-point products differ in their
last bits from one tiling to another, and a matrix that somebody asks for has to be the one that was
counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from svr_widget.engine.environment.settings import matrix_product

TILE = 1024
"""The most rows and columns of a tile."""


def tiles(shape: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the tiles of one matrix."""
    rows, columns = (
        [slice(first, min(first + TILE, size)) for first in range(0, size, TILE)] for size in shape
    )
    return ((r, c) for c in columns for r in rows)


@dataclass(frozen=True, eq=False)
class Block:
    """Where one group of the producer meets one of the consumer.

    Attributes:
        rows, columns: the places of the two groups' neurons in the matrix.
        U: ``[s, y, M]`` and V ``[s, z, N]``, the representations on the shared channels.
    """

    rows: Tensor
    columns: Tensor
    U: Tensor
    V: Tensor

    def filters(self) -> Tensor:
        """Signed effective filters ``[N, M, y * z]``."""
        (_, y, columns), (_, z, rows) = self.U.shape, self.V.shape
        filters = matrix_product(self.V.flatten(1).T, self.U.flatten(1)).view(z, rows, y, columns)
        return filters.permute(1, 3, 2, 0).flatten(2)

    def squares(self, device: torch.device) -> Tensor:
        """Their squared Frobenius norms ``[N, M]``, position by position to save memory."""
        U, V = self.U.to(device), self.V.to(device)
        total = torch.zeros(V.shape[2], U.shape[2], dtype=U.dtype, device=device)
        for u in U.unbind(1):
            for v in V.unbind(1):
                signed = matrix_product(v.T, u)
                total.addcmul_(signed, signed)
        return total


def take(vectors: Tensor, channels: Tensor) -> Tensor:
    """The channels of ``[channels, z, M]``, without a copy where they are all of them in order."""
    if len(channels) == len(vectors) and torch.equal(channels, torch.arange(len(vectors))):
        return vectors
    return vectors[channels]
