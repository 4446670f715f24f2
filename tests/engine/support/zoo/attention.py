"""Transformers and gated perceptrons."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it


class Attention(nn.Module):
    """Fused queries, keys and values; explicit softmax or PyTorch's fused attention."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        """Choose how attention is computed."""
        super().__init__()
        self.heads = heads
        self.fused = fused
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Attend over ``[n, t, width]``."""
        n, t, width = x.shape
        q, k, v = self.qkv(x).view(n, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            weights = (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(dim=-1)
            y = weights @ v
        return self.out(y.transpose(1, 2).reshape(n, t, width))


class ViT(nn.Module):
    """A vision transformer with a class token."""

    def __init__(self, fused: bool = True) -> None:
        """Build two blocks."""
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.positions = nn.Parameter(torch.randn(1, 5, 8) / 10)
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": nn.LayerNorm(8),
                    "attention": Attention(8, 2, fused),
                    "norm2": nn.LayerNorm(8),
                    "mlp": nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8)),
                }
            )
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, image: Tensor) -> Tensor:
        """Classify ``[n, 3, 8, 8]``."""
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        for block in self.blocks:
            x = x + block["attention"](block["norm1"](x))
            x = x + block["mlp"](block["norm2"](x))
        return self.head(self.norm(x)[:, 0])


class Mixer(nn.Module):
    """Token mixing and channel mixing: the two kinds of axes must not be confused."""

    def __init__(self) -> None:
        """Build one block."""
        super().__init__()
        self.patches = nn.Conv2d(1, 6, 2, 2)
        self.tokens = nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 4))
        self.channels = nn.Sequential(nn.Linear(6, 7), nn.GELU(), nn.Linear(7, 6))
        self.head = nn.Linear(6, 2)

    def forward(self, image: Tensor) -> Tensor:
        """Classify ``[n, 1, 4, 4]``."""
        x = self.patches(image).flatten(2).transpose(1, 2)
        x = x + self.tokens(F.layer_norm(x, (6,)).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(F.layer_norm(x, (6,)))
        return self.head(x.mean(1))


class GatedMLP(nn.Module):
    """Two kinds of gates: separate maps, and the halves of one."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.inlet = nn.Linear(4, 6)
        self.gate = nn.Linear(6, 8)
        self.up = nn.Linear(6, 8)
        self.down = nn.Linear(8, 6)
        self.halves = nn.Linear(6, 10)
        self.out = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Apply both gates."""
        x = self.inlet(x)
        x = x + self.down(F.silu(self.gate(x)) * self.up(x))
        return self.out(F.glu(self.halves(x)))


class SpatialGate(nn.Module):
    """One channel that multiplies all others."""

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3, padding=1)
        self.gate = nn.Conv2d(4, 1, 1)
        self.out = nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Gate the features of ``[n, 1, 4, 4]``."""
        x = self.features(x)
        return self.out(x * torch.sigmoid(self.gate(x)))


def vit_and_image() -> tuple[ViT, Tensor]:
    """A vision transformer in double precision and what it sees, the same every time."""
    torch.manual_seed(0)
    return ViT().double(), torch.randn(1, 3, 8, 8, dtype=torch.float64)
