"""Random networks out of everything that moves, joins, splits and mixes channels."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - PyTorch's own name for it

Step = Callable[["RandomNetwork", random.Random, str, list[Tensor]], "Tensor | None"]


class RandomNetwork(nn.Module):
    """Draws its steps from a seed; its maps are made in the first forward pass."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.maps = nn.ModuleDict({"stem": nn.Conv2d(2, 4, 1)})

    def made(self, key: str, make: Callable[[], nn.Module]) -> nn.Module:
        if key not in self.maps:
            self.maps[key] = make()
        return self.maps[key]

    def forward(self, image: Tensor) -> Tensor:
        """Read ``[1, 2, 4, 4]``."""
        draw = random.Random(self.seed)
        made = [self.maps["stem"](image)]
        for at in range(draw.randint(4, 9)):
            y = draw.choice(STEPS)(self, draw, f"map{at}", made)
            if y is not None and y.shape[1] <= 12 and y.shape[2] <= 8:
                made.append(y)
        x = made[-1]
        x = (x.permute(0, 2, 3, 1) if draw.random() < 0.5 else x).flatten(1)
        if draw.random() < 0.3:
            x = torch.cat([x, made[0].mean((2, 3))], 1)
        return self.made("head", lambda: nn.Linear(x.shape[1], 2))(x)


def convolution(net: RandomNetwork, draw: random.Random, key: str, made: list[Tensor]) -> Tensor:
    x, width = draw.choice(made), draw.randint(2, 5)
    return net.made(key, lambda: nn.Conv2d(x.shape[1], width, 3, padding=1))(x)


def depthwise(net: RandomNetwork, draw: random.Random, key: str, made: list[Tensor]) -> Tensor:
    x = draw.choice(made)
    c = x.shape[1]
    return net.made(key, lambda: nn.Conv2d(c, c, 3, padding=1, groups=c))(x)


def squeeze_excite(net: RandomNetwork, draw: random.Random, key: str, made: list[Tensor]) -> Tensor:
    x = draw.choice(made)
    gate = net.made(key, lambda: nn.Linear(x.shape[1], x.shape[1]))(x.mean((2, 3)))
    return x * torch.sigmoid(gate)[:, :, None, None]


def channels_last(net: RandomNetwork, draw: random.Random, key: str, made: list[Tensor]) -> Tensor:
    x = draw.choice(made)
    y = F.layer_norm(x.permute(0, 2, 3, 1), (x.shape[1],))
    return net.made(key, lambda: nn.Linear(x.shape[1], 3))(y).permute(0, 3, 1, 2)


def joined(_: RandomNetwork, draw: random.Random, __: str, made: list[Tensor]) -> Tensor | None:
    x, y = draw.choice(made), draw.choice(made)
    return torch.cat([x, y], 1) if x.shape[2:] == y.shape[2:] else None


def combined(_: RandomNetwork, draw: random.Random, __: str, made: list[Tensor]) -> Tensor | None:
    x, y = draw.choice(made), draw.choice(made)
    if x.shape != y.shape:
        return None
    return x + y if draw.random() < 0.5 else x * torch.sigmoid(y)


def unary(function: Callable[[Tensor], Tensor]) -> Step:
    def step(_: RandomNetwork, draw: random.Random, __: str, made: list[Tensor]) -> Tensor | None:
        x = draw.choice(made)
        try:
            return function(x)
        except RuntimeError:  # a shape that this step does not take
            return None

    return step


def _attend(x: Tensor) -> Tensor:
    tokens = x.flatten(2).transpose(1, 2)
    return F.scaled_dot_product_attention(tokens, tokens, tokens).transpose(1, 2).reshape(x.shape)


def _shuffle(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def _swap(x: Tensor) -> Tensor:
    first, second = x.split(x.shape[1] // 2, 1)[:2]
    return torch.cat([second, torch.tanh(first)], 1)


STEPS: list[Step] = [
    *(convolution, depthwise, squeeze_excite, channels_last, joined, combined),
    *(unary(torch.tanh), unary(F.silu), unary(lambda x: x.roll(1, 1)), unary(_attend)),
    *(unary(lambda x: x.flip(1, 2)), unary(lambda x: F.max_pool2d(x, 2)), unary(_shuffle)),
    *(unary(lambda x: F.pad(x, (0, 0, 0, 0, 1, 0)) + 0.5), unary(lambda x: F.pixel_shuffle(x, 2))),
    *(unary(lambda x: F.pixel_unshuffle(x, 2)), unary(lambda x: F.glu(x, 1)), unary(_swap)),
    unary(lambda x: x[:, 1::2] if x.shape[1] > 2 else x[:, :1]),
    unary(lambda x: torch.stack([x, torch.tanh(x)]).sum(0)),
    unary(lambda x: x[:, torch.arange(x.shape[1]) * 7 // 3 % x.shape[1]]),
]
