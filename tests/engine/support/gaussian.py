"""Weights with independent standard normal entries, and their directions uniform."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor


def gaussian(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    """The same numbers for the same seed, shape and dtype."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def chain(*widths: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """One weight ``[out, in]`` between each two widths."""
    return [
        gaussian(out, width, seed=seed + place, dtype=dtype)
        for place, (width, out) in enumerate(pairwise(widths))
    ]
