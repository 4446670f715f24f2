"""Networks that write in place, move positions by index, and read weights as data."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Branches(nn.Module):
    """Two branches ``a`` and ``b``, and ``o``, which reads what is made of them."""

    def __init__(self, width: int = 4, read: int | None = None) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, width), nn.Linear(3, width)
        self.o = nn.Linear(width if read is None else read, 2)


class FilledByParts(Branches):
    """A tensor made in ``forward`` takes both branches side by side; the rest stays empty."""

    def __init__(self) -> None:
        super().__init__(read=9)

    def forward(self, x: Tensor) -> Tensor:
        out = x.new_zeros(len(x), 9)
        out[:, :4] = self.a(x).relu()
        out[:, 5:] = self.b(x)
        return self.o(out)


class FilledWhole(Branches):
    """Slices that are the whole, ``+=`` and a second write over the first."""

    def forward(self, x: Tensor) -> Tensor:
        out = x.new_zeros(len(x), 4)
        out[:, :4] = self.a(x).relu()
        out[:, 2:] = 0
        out += self.b(x)
        return self.o(out)


class ViewsOfViews(Branches):
    """Views that were taken before the write see it, and what is written through them is seen."""

    def __init__(self) -> None:
        super().__init__(read=8)

    def forward(self, x: Tensor) -> Tensor:
        out = x.new_zeros(len(x), 2, 4)
        flat, first = out.view(len(x), 8), out[:, 0]
        pair = first[:, 1:3]
        out[:, 1] = self.b(x)
        first.copy_(self.a(x))
        pair.mul_(2).relu_()
        return self.o(flat)


class OutOfPlace(Branches):
    """``out=`` of a concatenation, into memory that grows."""

    def __init__(self) -> None:
        super().__init__(read=8)

    def forward(self, x: Tensor) -> Tensor:
        out = x.new_empty(0)
        torch.cat([self.b(x), self.a(x)], 1, out=out)
        return self.o(out)


class Buffered(Branches):
    """A buffer of the model is filled position by position, as a cache is."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("cache", torch.zeros(1, 5, 4))

    def forward(self, x: Tensor) -> Tensor:
        self.cache[:, :2] = self.a(x[:, :2])
        self.cache.index_copy_(1, torch.tensor([3, 4]), self.b(x[:, 2:4]))
        return self.o(self.cache)


class ReluOnAView(Branches):
    """An activation in place on a flattened view of what a residual reads again."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y.view(-1).relu_()
        return self.o(y + self.b(x))


class ClippedAsItRuns(Branches):
    """Weights and activations that are written to by way of ``Tensor.data``."""

    def forward(self, x: Tensor) -> Tensor:
        self.a.weight.data.clamp_(-1, 1)
        y = self.a(x)
        y.data.mul_(2)
        y.data[:, :1].zero_()
        return self.o(y + self.b(x))


class ChannelsInPlace(nn.Module):
    """Some channels of an image in place, one column of it, and a crop."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        y[:, :2] *= 2
        y[:, 2:].relu_()
        y[..., 0] = 0
        return self.b(y)


class OneAfterTheOther(nn.Module):
    """A loop that keeps its states in a tensor made before."""

    def __init__(self) -> None:
        super().__init__()
        self.i, self.h, self.o = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        states = x.new_zeros(x.shape[0], x.shape[1], 4)
        state = x.new_zeros(x.shape[0], 4)
        for t in range(x.shape[1]):
            state = torch.tanh(self.i(x[:, t]) + self.h(state))
            states[:, t] = state
        return self.o(states)


class HalvesOfTokens(Branches):
    """Tokens go to one of two branches and are put back where they came from."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        half = torch.arange(len(x)) % 2 == 0
        out = x.new_zeros(len(x), 4)
        if self.way == "mask":
            out[half] = self.a(x[half])
            out[~half] = self.b(x[~half])
        elif self.way == "index_add":
            out.index_add_(0, half.nonzero()[:, 0], self.a(x[half]))
            out.index_add_(0, (~half).nonzero()[:, 0], self.b(x[~half]))
        elif self.way == "scatter":
            at = half.nonzero().expand(-1, 4)
            out = out.scatter(0, at, self.a(x[half])).scatter_add(0, at, self.b(x[~half]))
        elif self.way == "accumulate":
            out.index_put_((half.nonzero()[:, 0],), self.a(x[half]), accumulate=True)
            out.index_put_((half,), self.b(x[~half]))
        return self.o(out)


class ChosenTokens(Branches):
    """A router chooses tokens by their values; they are gathered, changed and scattered back."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.router, self.way = nn.Linear(3, 1), way

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.router(x)[:, 0].topk(2).indices
        out = self.b(x)
        if self.way == "index_put":
            out[chosen] = self.a(x[chosen])
        elif self.way == "index_add":
            out.index_add_(0, chosen, self.a(x[chosen]))
        elif self.way == "scatter":
            out = out.scatter(0, chosen[:, None].expand(-1, 4), self.a(x[chosen]))
        elif self.way == "gather":
            out = self.a(x).gather(0, chosen[:, None].expand(-1, 4)) + out[:2]
        elif self.way == "fill":
            out = self.a(x).index_fill(0, chosen, 0.0) + out
        return self.o(out)


class PermutedChannels(Branches):
    """Channels, not positions, are written by index."""

    def forward(self, x: Tensor) -> Tensor:
        order = torch.tensor([2, 0, 3, 1])
        out = x.new_zeros(len(x), 4).index_add(1, order, self.a(x))
        out[:, [0, 3]] = self.b(x)[:, :2]
        return self.o(out.index_fill(1, torch.tensor([1]), 0.0))


class Pasted(nn.Module):
    """Features of an image take the places of some tokens."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.e, self.v, self.o = nn.Embedding(9, 4), nn.Linear(3, 4), nn.Linear(4, 2)
        self.way = way

    def forward(self, ids: Tensor, image: Tensor) -> Tensor:
        x, here = self.e(ids), ids == 7
        if self.way == "mask":
            x[here] = self.v(image)
        else:
            x = x.masked_scatter(here[..., None].expand_as(x), self.v(image))
        return self.o(x)


class Queries(nn.Module):
    """Learned queries: a table that is read whole, and not looked up."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.table, self.q = nn.Embedding(5, 4), nn.Linear(4, 4, bias=way != "plain")
        self.x, self.o = nn.Linear(3, 4), nn.Linear(4, 2)
        self.norm, self.way = nn.LayerNorm(4), way

    def forward(self, x: Tensor) -> Tensor:
        learned = self.table.weight
        if self.way == "expanded":
            learned = learned.expand(len(x), -1, -1)
        elif self.way == "normed":
            learned = self.norm(learned)[None]
        elif self.way == "added":
            return self.o(self.x(x)[:, :5] + learned)
        elif self.way == "written":
            tokens = x.new_zeros(len(x), 6, 4)
            tokens[:, :1] = learned[:1]
            tokens[:, 1:] = self.x(x)
            return self.o(tokens)
        return self.o(self.q(learned).relu() + self.x(x).mean(1, keepdim=True))


class Frozen(nn.Module):
    """Frozen layers over a transposed input, of which PyTorch makes a product a sample."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.a, self.o = nn.Conv1d(3, 4, 3, padding=1), nn.Linear(4, 2, bias=bias)
        self.b = nn.Linear(2, 3, bias=bias)
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.o(self.a(x).transpose(1, 2))
        return self.b(y.flip(1).transpose(0, 1).transpose(0, 1))


class OneByOne(Branches):
    """Channels that are put together one at a time, before all are mixed or weighed."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        if self.way == "split":
            x = torch.cat(x.split([1, 3], -1)[::-1], -1)
        elif self.way == "stacked":
            x = torch.stack(x.unbind(-1)[::-1], -1)
        else:
            x = torch.cat([x[..., at : at + 1] for at in (2, 0, 3, 1)], -1)
        return self.o(x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True)))
