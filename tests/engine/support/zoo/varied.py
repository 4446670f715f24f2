"""One attention whose parts subclasses replace, and what an ``SVR`` makes of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from svr_widget.svr import SVR
from tests.engine.support.zoo.heads import HEADS, joined, linear, split, weights


class Varied(nn.Module):
    """Attention of four heads in which a subclass does something else."""

    def __init__(self) -> None:
        """Build the maps, and those that ``add`` adds."""
        super().__init__()
        self.inlet = linear(6, 8)
        self.query, self.key, self.value, self.out = (linear(8, 8) for _ in range(4))
        self.add()

    def add(self) -> None:
        """Further modules."""

    def queries(self, x: Tensor) -> Tensor:
        """Queries of all heads."""
        return self.query(x)

    def keys(self, x: Tensor) -> Tensor:
        """Keys of all heads."""
        return self.key(x)

    def values(self, x: Tensor) -> Tensor:
        """Values of all heads."""
        return self.value(x)

    def weigh(self, q: Tensor, k: Tensor, x: Tensor) -> Tensor:
        """Attention weights ``[n, heads, t, s]``."""
        return weights(q, k)

    def read(self, y: Tensor, x: Tensor) -> Tensor:
        """What is made of the heads' output."""
        return self.out(y)

    def forward(self, x: Tensor) -> Tensor:
        """Self attention over ``[n, t, 6]``."""
        x = self.inlet(x)
        q, k, v = (split(part(x), HEADS) for part in (self.queries, self.keys, self.values))
        return self.read(joined(self.weigh(q, k, x) @ v), x)


def made(model: nn.Module) -> SVR:
    """The SVR of a model that reads ``[1, 5, 6]``."""
    return SVR(model, torch.randn(1, 5, 6))
