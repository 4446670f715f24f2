"""Where the neurons of two maps meet: the representations on the channels that they share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
        return torch.einsum("kym,kzn->nmyz", self.U, self.V).flatten(2)

    def squares(self) -> Tensor:
        """Their squared Frobenius norms ``[N, M]``, position by position to save memory."""
        total = torch.zeros(self.V.shape[2], self.U.shape[2], dtype=self.U.dtype)
        for u in self.U.unbind(1):
            for v in self.V.unbind(1):
                product = v.T @ u
                total.addcmul_(product, product)
        return total


def take(vectors: Tensor, channels: Tensor) -> Tensor:
    """The channels of ``[channels, z, M]``, without a copy where they are all of them in order."""
    if len(channels) == len(vectors) and torch.equal(channels, torch.arange(len(vectors))):
        return vectors
    return vectors[channels]
