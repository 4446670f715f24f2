"""One attention each, without biases, computed in the many ways in which people write it.

Each maps queries' and keys' positions ``[n, t, 8]`` and ``[n, s, 8]`` to ``[n, t, 8]``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

WIDTH, HEADS, SIZE = 8, 4, 2


def linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear map without a bias."""
    return nn.Linear(inputs, outputs, bias=False)


def split(x: Tensor, heads: int) -> Tensor:
    """``[n, t, heads * d]`` as ``[n, heads, t, d]``."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """``[n, heads, t, d]`` as ``[n, t, heads * d]``."""
    return x.transpose(1, 2).flatten(2)


def weights(q: Tensor, k: Tensor) -> Tensor:
    """Softmax of scaled products ``[..., t, s]``."""
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)


class Separate(nn.Module):
    """A map each for queries, keys and values; ``shared`` query heads share a key head."""

    heads = HEADS

    def __init__(self, shared: int = 1) -> None:
        """Choose how many query heads share keys and values."""
        super().__init__()
        self.groups = HEADS // shared
        self.query, self.out = linear(WIDTH, HEADS * SIZE), linear(HEADS * SIZE, WIDTH)
        self.key = linear(WIDTH, self.groups * SIZE)
        self.value = linear(WIDTH, self.groups * SIZE)

    def project(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values by head."""
        keys, values = split(self.key(y), self.groups), split(self.value(y), self.groups)
        return split(self.query(x), HEADS), keys, values

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """By PyTorch's attention."""
        q, k, v = self.project(x, y)
        shared = self.groups < HEADS
        return self.out(joined(F.scaled_dot_product_attention(q, k, v, enable_gqa=shared)))


class Explicit(Separate):
    """Softmax and two matrix products."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Key and value heads repeated by hand."""
        q, k, v = self.project(x, y)
        k, v = (part.repeat_interleave(HEADS // self.groups, 1) for part in (k, v))
        return self.out(joined(weights(q, k) @ v))


class Interleaved(Separate):
    """Query heads that share a key head lie ``groups`` apart."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Key and value heads tiled."""
        q, k, v = self.project(x, y)
        k, v = (part.repeat(1, HEADS // self.groups, 1, 1) for part in (k, v))
        return self.out(joined(weights(q, k) @ v))


class MergedBatch(Separate):
    """Heads folded into the batch."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """One batched product."""
        q, k, v = (part.flatten(0, 1) for part in self.project(x, y))
        scores = torch.baddbmm(torch.zeros(1), q, k.transpose(1, 2), beta=0, alpha=SIZE**-0.5)
        mixed = torch.bmm(scores.softmax(-1), v)
        return self.out(joined(mixed.unflatten(0, (-1, HEADS))))


class Einsum(Separate):
    """Einstein sums, heads next to last."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """No transposition in sight."""
        q = self.query(x).unflatten(-1, (HEADS, SIZE))
        k, v = (part(y).unflatten(-1, (HEADS, SIZE)) for part in (self.key, self.value))
        scores = torch.einsum("nthd,nshd->nhts", q, k) / SIZE**0.5
        return self.out(torch.einsum("nhts,nshd->nthd", scores.softmax(-1), v).flatten(2))


class KeysFirst(Separate):
    """Keys are the rows of the scores."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Softmax over the rows."""
        q, k, v = self.project(x, y)
        scores = (k @ q.transpose(-2, -1) / SIZE**0.5).softmax(-2)
        return self.out(joined(scores.transpose(-2, -1) @ v))


class ValuesFirst(Separate):
    """Values times transposed weights."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Channels before positions."""
        q, k, v = self.project(x, y)
        mixed = v.transpose(-2, -1) @ weights(q, k).transpose(-2, -1)
        return self.out(mixed.flatten(1, 2).transpose(1, 2))


class Masked(Separate):
    """Scores with a mask, a bias, a soft cap and dropout."""

    def __init__(self) -> None:
        """A bias for each head and distance."""
        super().__init__()
        self.bias, self.dropout = nn.Embedding(3, HEADS), nn.Dropout()
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """None of which changes what is multiplied."""
        q, k, v = self.project(x, y)
        scores = q @ k.transpose(-2, -1) / SIZE**0.5
        distance = torch.zeros(scores.shape[-2:], dtype=torch.int64)
        scores = scores + self.bias(distance).permute(2, 0, 1)
        scores = scores.masked_fill(torch.zeros(scores.shape[-2:], dtype=torch.bool), -1e9)
        scores = torch.cat([scores, scores.new_full((*scores.shape[:-1], 1), -1e9)], -1)
        return self.out(joined(self.dropout(scores.softmax(-1)[..., :-1]) @ v))


class Fused(nn.Module):
    """One map for queries, keys and values; head by head where ``by_head``."""

    heads = HEADS

    def __init__(self, by_head: bool) -> None:
        """Choose how the channels are ordered."""
        super().__init__()
        self.by_head = by_head
        self.qkv, self.out = linear(WIDTH, 3 * HEADS * SIZE), linear(HEADS * SIZE, WIDTH)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Self attention: the second input is not used."""
        if self.by_head:
            q, k, v = split(self.qkv(x), HEADS).chunk(3, -1)
        else:
            q, k, v = (split(part, HEADS) for part in self.qkv(x).chunk(3, -1))
        return self.out(joined(F.scaled_dot_product_attention(q, k, v)))


class KeysAndValues(nn.Module):
    """One map for keys and values."""

    heads = HEADS

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.query, self.out = linear(WIDTH, HEADS * SIZE), linear(HEADS * SIZE, WIDTH)
        self.pairs = linear(WIDTH, 2 * HEADS * SIZE)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross attention."""
        k, v = self.pairs(y).unflatten(-1, (2, HEADS, SIZE)).permute(2, 0, 3, 1, 4)
        return self.out(joined(weights(split(self.query(x), HEADS), k) @ v))


class Convolved(nn.Module):
    """One head of pointwise convolutions over a row of pixels."""

    heads = 1

    def __init__(self) -> None:
        """Build the maps."""
        super().__init__()
        self.query, self.key, self.value, self.out = (
            nn.Conv1d(WIDTH, WIDTH, 1, bias=False) for _ in range(4)
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Channels first."""
        x, y = x.transpose(1, 2), y.transpose(1, 2)
        q, k, v = self.query(x).transpose(1, 2), self.key(y), self.value(y)
        scores = torch.bmm(q, k) * WIDTH**-0.5
        return self.out(torch.bmm(v, scores.softmax(2).transpose(1, 2))).transpose(1, 2)


class Multihead(nn.Module):
    """PyTorch's own layer, with or without returning its weights."""

    heads = HEADS

    def __init__(self, need_weights: bool, **options: bool) -> None:
        """Choose its options."""
        super().__init__()
        self.need_weights = need_weights
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, bias=False, **options)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Positions first where it wants them so."""
        first = not self.attention.batch_first
        x, y = (part.transpose(0, 1) if first else part for part in (x, y))
        out = self.attention(x, y, y, need_weights=self.need_weights)[0]
        return out.transpose(0, 1) if first else out


class Scattered(Separate):
    """The output map reads the heads' channels in another order."""

    def __init__(self) -> None:
        """Remember the order."""
        super().__init__()
        self.register_buffer("order", torch.tensor([3, 6, 0, 2, 7, 1, 5, 4]))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Channels are permuted on the way out."""
        q, k, v = self.project(x, y)
        return self.out(joined(weights(q, k) @ v)[..., self.order])


class Rotary(nn.Module):
    """Queries and keys turned by their positions: one head of size 8, in each library's way."""

    def __init__(self, way: str) -> None:
        """Choose ``"halves"``, ``"half of them"``, ``"neighbours"`` or ``"complex"``."""
        super().__init__()
        self.way = way
        self.query, self.key, self.value, self.out = (linear(WIDTH, WIDTH) for _ in range(4))

    def turned(self, x: Tensor) -> Tensor:
        """``[n, t, 8]``, each pair of channels turned by an angle that grows with the position."""
        if self.way == "half of them":
            return torch.cat([self.by_halves(x[..., :4]), x[..., 4:]], -1)
        if self.way == "halves":
            return self.by_halves(x)
        angles = self.angles(x.shape[1], 4)
        if self.way == "complex":
            turns = torch.polar(torch.ones_like(angles), angles)
            pairs = torch.view_as_complex(x.unflatten(-1, (4, 2)))
            return torch.view_as_real(pairs * turns).flatten(-2)
        twice = angles.repeat_interleave(2, -1)
        across = torch.stack([-x[..., 1::2], x[..., ::2]], -1).flatten(-2)
        return x * twice.cos() + across * twice.sin()

    def by_halves(self, x: Tensor) -> Tensor:
        """The first half of the channels turned into the second."""
        first, second = x.chunk(2, -1)
        twice = self.angles(x.shape[1], first.shape[-1]).repeat(1, 2)
        return x * twice.cos() + torch.cat([-second, first], -1) * twice.sin()

    def angles(self, positions: int, pairs: int) -> Tensor:
        """``[positions, pairs]``."""
        return torch.arange(1.0, positions + 1)[:, None] * 0.7 ** torch.arange(pairs)

    def forward(self, x: Tensor) -> Tensor:
        """Self attention."""
        q, k = self.turned(self.query(x)), self.turned(self.key(x))
        return self.out(F.scaled_dot_product_attention(q, k, self.value(x)))


ATTENTIONS = {
    "separate": Separate,
    "grouped": lambda: Separate(2),
    "one key head": lambda: Separate(HEADS),
    "explicit": Explicit,
    "explicit, grouped": lambda: Explicit(2),
    "explicit, one key head": lambda: Explicit(HEADS),
    "interleaved groups": lambda: Interleaved(2),
    "merged batch": MergedBatch,
    "einsum": Einsum,
    "keys first": KeysFirst,
    "values first": ValuesFirst,
    "masked": Masked,
    "fused": lambda: Fused(by_head=False),
    "fused by head": lambda: Fused(by_head=True),
    "keys and values": KeysAndValues,
    "convolutions": Convolved,
    "scattered": Scattered,
    "multihead": lambda: Multihead(need_weights=False),
    "multihead, weights": lambda: Multihead(need_weights=True),
    "multihead, batch first": lambda: Multihead(need_weights=True, batch_first=True),
}
