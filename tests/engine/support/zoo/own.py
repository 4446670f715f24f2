"""Networks whose own code multiplies with plain parameters, each with a twin of ordinary layers.

A twin computes the same with an ``nn.Linear`` for every map, called as the map is. What leads where
in it can be found by perturbing it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

Layers = Mapping[str, nn.Module]


class Idiom(NamedTuple):
    """One way to multiply with parameters.

    Attributes:
        shapes: of the parameters, by name.
        course: what the network computes from its layers ``a`` and ``o`` and the parameters.
        twin: the same by layers that are called as the maps are.
        inputs: the shape of its input.
        widths: of ``a``, inputs and outputs, and of ``o``.
    """

    shapes: Mapping[str, tuple[int, ...]]
    course: Callable[[Own, Tensor], Tensor]
    twin: Callable[[Layers, Tensor], Tensor]
    inputs: tuple[int, ...] = (3, 4)
    widths: tuple[int, int, int, int] = (4, 6, 5, 2)


class Own(nn.Module):
    """A network of an idiom: a layer, what its own code does with its parameters, a layer."""

    def __init__(self, idiom: Idiom) -> None:
        """Draw parameters."""
        super().__init__()
        first, second, third, fourth = idiom.widths
        self.a, self.o = nn.Linear(first, second), nn.Linear(third, fourth)
        for name, shape in idiom.shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape)))
        self.course = idiom.course

    def forward(self, x: Tensor) -> Tensor:
        """What the idiom says."""
        return self.course(self, x)


class Twin(nn.Module):
    """The twin of an idiom."""

    def __init__(self, layers: Layers, course: Callable[[Layers, Tensor], Tensor]) -> None:
        """Take layers by the names of maps."""
        super().__init__()
        self.held, self.layers, self.course = nn.ModuleList(layers.values()), layers, course

    def forward(self, x: Tensor) -> Tensor:
        """What the idiom's twin says."""
        return self.course(self.layers, x)


def _split_by(m: Layers, x: Tensor, names: list[str]) -> Tensor:
    """Each layer on its share of the last dimension."""
    parts = x.chunk(len(names), -1)
    return torch.cat([m[name](part) for name, part in zip(names, parts, strict=True)], -1)


def _routed(net: Own, x: Tensor) -> Tensor:
    """A mixture of experts that runs over those that some token chose."""
    h = net.a(x)
    gates = F.linear(h, net.router).sigmoid()
    best = gates.argmax(-1)
    out = torch.zeros(len(x), 5, dtype=x.dtype)
    for expert in range(3):
        rows = torch.where(best == expert)[0]
        if len(rows) == 0:
            continue
        inner = F.linear(h[rows], net.up[expert]).relu()
        made = F.linear(inner, net.down[expert]) * gates[rows, expert, None]
        out = out.index_add(0, rows, made)
    return net.o(out)


def _gathered(net: Own, x: Tensor) -> Tensor:
    """A mixture of experts whose matrices are gathered for each token."""
    h = net.a(x)
    gates = F.linear(h, net.router).softmax(-1)
    best, chosen = gates.max(-1)
    inner = torch.bmm(net.up[chosen], h.unsqueeze(-1)).relu()
    return net.o(torch.bmm(net.down[chosen], inner).squeeze(-1) * best[:, None])


def _grouped(net: Own, x: Tensor) -> Tensor:
    """A mixture of experts whose rows lie in order."""
    h = net.a(x)
    gates = F.linear(h, net.router).softmax(-1)
    counts = (gates.argmax(-1, keepdim=True) <= torch.arange(3)).sum(0).to(torch.int32)
    inner = F.grouped_mm(h, net.up.transpose(-2, -1), offs=counts).relu()
    return net.o(F.grouped_mm(inner, net.down.transpose(-2, -1), offs=counts))


def _experts(m: Layers, x: Tensor, smooth: bool = False) -> Tensor:
    """Every expert on every token."""
    h = m["a"](x)
    gates = m["router"](h).sigmoid() if smooth else m["router"](h).softmax(-1)
    made = [m[f"down[{e}]"](m[f"up[{e}]"](h).relu()) for e in range(3)]
    return m["o"](sum(each * gates[:, e, None] for e, each in enumerate(made)))


EXPERTS = {"router": (3, 6), "up": (3, 4, 6), "down": (3, 5, 4)}
"""A router and three experts of two matrices each."""

STATIC = {
    "a projection": Idiom(
        {"p": (6, 5)},
        lambda net, x: net.o(net.a(x).relu() @ net.p),
        lambda m, x: m["o"](m["p"](m["a"](x).relu())),
    ),
    "a projection, kept as a layer's": Idiom(
        {"p": (5, 6)},
        lambda net, x: net.o(F.linear(net.a(x), net.p)),
        lambda m, x: m["o"](m["p"](m["a"](x))),
    ),
    "an einsum, heads flattened first": Idiom(
        {"p": (2, 5, 6)},
        lambda net, x: net.o(torch.einsum("bi,hdi->bhd", net.a(x), net.p).flatten(1)),
        lambda m, x: m["o"](m["p"](m["a"](x))),
        widths=(4, 6, 10, 2),
    ),
    "an einsum, heads flattened last": Idiom(
        {"p": (2, 5, 6)},
        lambda net, x: net.o(torch.einsum("hdi,bi->bdh", net.p, net.a(x)).flatten(1)),
        lambda m, x: m["o"](m["p"](m["a"](x)).unflatten(1, (2, 5)).transpose(1, 2).flatten(1)),
        widths=(4, 6, 10, 2),
    ),
    "an einsum over heads": Idiom(
        {"p": (2, 3, 5)},
        lambda net, x: net.o(torch.einsum("bhd,hdo->bo", net.a(x).unflatten(1, (2, 3)), net.p)),
        lambda m, x: m["o"](m["p"](m["a"](x))),
    ),
    "an einsum over heads that lie the other way": Idiom(
        {"p": (3, 2, 5)},
        lambda net, x: net.o(torch.einsum("bhd,dho->bo", net.a(x).unflatten(1, (2, 3)), net.p)),
        lambda m, x: m["o"](m["p"](m["a"](x).unflatten(1, (2, 3)).transpose(1, 2).flatten(1))),
    ),
    "a matrix a head": Idiom(
        {"p": (2, 3, 4)},
        lambda net, x: net.o(
            torch.einsum("bhi,hio->bho", net.a(x).unflatten(1, (2, 3)), net.p).flatten(1)
        ),
        lambda m, x: m["o"](_split_by(m, m["a"](x), ["p[0]", "p[1]"])),
        widths=(4, 6, 8, 2),
    ),
    "matrices by number": Idiom(
        {"p": (2, 5, 6)},
        lambda net, x: net.o(F.linear(net.a(x), net.p[0]) * F.linear(net.a(x), net.p[1])),
        lambda m, x: m["o"](m["p[0]"](m["a"](x)) * m["p[1]"](m["a"](x))),
    ),
    "a batch of matrices": Idiom(
        {"up": (3, 6, 4), "down": (3, 4, 5)},
        lambda net, x: net.o(
            torch.bmm(torch.bmm(net.a(x).expand(3, -1, -1), net.up).relu(), net.down).sum(0)
        ),
        lambda m, x: m["o"](
            sum(m[f"down[{e}]"](m[f"up[{e}]"](m["a"](x)).relu()) for e in range(3))
        ),
    ),
    "a batch of matrices over a batch": Idiom(
        {"p": (2, 6, 5)},
        lambda net, x: net.o((net.a(x)[:, None] @ net.p).sum(1)),
        lambda m, x: m["o"](m["p[0]"](m["a"](x)) + m["p[1]"](m["a"](x))),
        inputs=(2, 3, 4),
    ),
    "tokens that are sorted": Idiom(
        {"p": (3, 6, 5)},
        lambda net, x: net.o(
            torch.einsum("eti,eio->eto", net.a(x).view(3, 2, 6), net.p).reshape(6, 5)
        ),
        lambda m, x: m["o"](
            torch.cat([m[f"p[{e}]"](part) for e, part in enumerate(m["a"](x).split(2))])
        ),
        inputs=(6, 4),
    ),
    "what is added is a branch": Idiom(
        {"p": (6, 5), "q": (6, 5)},
        lambda net, x: net.o(torch.addmm(net.a(x) @ net.q, net.a(x), net.p)),
        lambda m, x: m["o"](m["q"](m["a"](x)) + m["p"](m["a"](x))),
    ),
    "what is added to a batch is a branch": Idiom(
        {"p": (2, 6, 6)},
        lambda net, x: net.o(torch.baddbmm(net.a(x), net.a(x), net.p).flatten(1)),
        lambda m, x: m["o"](
            torch.stack([m["a"](x)[e] + m[f"p[{e}]"](m["a"](x)[e]) for e in range(2)]).flatten(1)
        ),
        inputs=(2, 1, 4),
        widths=(4, 6, 6, 2),
    ),
    "rows in two parts": Idiom(
        {"p": (8, 6)},
        lambda net, x: net.o(F.linear(net.a(x), net.p[:5]) * F.linear(net.a(x), net.p[3:])),
        lambda m, x: m["o"](m["p"](m["a"](x))[:, :5] * m["p"](m["a"](x))[:, 3:]),
    ),
    "columns in two parts": Idiom(
        {"p": (5, 6)},
        lambda net, x: net.o(
            F.linear(net.a(x)[:, :2], net.p[:, :2]) * F.linear(net.a(x)[:, 2:], net.p[:, 2:])
        ),
        lambda m, x: m["o"](
            m["p"](F.pad(m["a"](x)[:, :2], (0, 4))) * m["p"](F.pad(m["a"](x)[:, 2:], (2, 0)))
        ),
    ),
    "columns in another order": Idiom(
        {"p": (5, 6)},
        lambda net, x: net.o(F.linear(net.a(x), net.p.flip(1))),
        lambda m, x: m["o"](m["p"](m["a"](x).flip(1))),
    ),
    "two put together": Idiom(
        {"p": (2, 6), "q": (3, 6)},
        lambda net, x: net.o(F.linear(net.a(x), torch.cat([net.p, net.q]))),
        lambda m, x: m["o"](torch.cat([m["p"](m["a"](x)), m["q"](m["a"](x))], 1)),
    ),
    "a low-rank pair": Idiom(
        {"p": (2, 6), "q": (5, 2)},
        lambda net, x: net.o(net.a(x) @ net.p.T @ net.q.mT),
        lambda m, x: m["o"](m["q"](m["p"](m["a"](x)))),
    ),
    "both ways": Idiom(
        {"p": (6, 5)},
        lambda net, x: net.o((net.a(x) @ net.p).relu() @ net.p.T),
        lambda m, x: m["o"](m["p[T]"](m["p"](m["a"](x)).relu())),
        widths=(4, 6, 6, 2),
    ),
    "a matrix from the left": Idiom(
        {"p": (5, 6)},
        lambda net, x: net.o((net.p @ net.a(x).T).T),
        lambda m, x: m["o"](m["p"](m["a"](x))),
    ),
    "a scaled weight": Idiom(
        {"p": (5, 6)},
        lambda net, x: net.o(F.linear(net.a(x), net.p / math.sqrt(6))),
        lambda m, x: m["o"](m["p"](m["a"](x))),
    ),
}

CHOSEN = {
    "experts that were chosen": Idiom(
        EXPERTS, _routed, lambda m, x: _experts(m, x, smooth=True), inputs=(9, 4)
    ),
    "experts that are gathered": Idiom(EXPERTS, _gathered, _experts),
    "experts in groups": Idiom(EXPERTS, _grouped, _experts),
}
