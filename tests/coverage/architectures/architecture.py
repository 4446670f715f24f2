"""What the list is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Architecture:
    """A model that people bring, small.

    Attributes:
        name: ``library/model``.
        build: makes it, with random weights.
        example: makes what it is called with: a tensor, a tuple or a mapping.
        alone: whether a first call would be ``SVR(model)``, without that example.
    """

    name: str
    build: Callable[[], nn.Module]
    example: Callable[[], Any]
    alone: bool = False

    @property
    def library(self) -> str:
        """Where the model comes from."""
        return self.name.partition("/")[0]


def call(model: nn.Module, example: Any) -> Any:
    """What the model makes of an example."""
    if isinstance(example, Mapping):
        return model(**example)
    return model(*example) if isinstance(example, tuple) else model(example)


def tokens(count: int = 8) -> Tensor:
    """Numbers of words, none of them one that means something else."""
    return 3 + torch.arange(count)[None] * 5 % 40


def image(size: int = 32, channels: int = 3) -> Tensor:
    """Noise."""
    return torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(0))


def noise(*shape: int) -> Tensor:
    """Noise of a shape."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))
