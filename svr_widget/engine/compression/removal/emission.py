"""What the next maps still read in channels that tell them nothing.

A channel whose map emits only its bias becomes ``psi(beta + gamma (b - mu) / sqrt(var + eps))``
behind a batch norm and an activation, and something else behind other operators. Instead of working
that out for each of them, the network is run: dead channels are set to their biases, whatever is
alive is filled with noise, several times, and the features that never move are constants. Noise
rather than data, so that a ReLU that happens to be off for some data is not taken for a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from svr_widget.engine.environment.settings import normal_like, with_own_settings
from svr_widget.engine.environment.threads import uninterrupted
from svr_widget.engine.maps.parts import Part
from svr_widget.engine.model.example_inputs import Example
from svr_widget.engine.model.user_model import running

DRAWS = 3
STILL = 1e-5
"""Change between draws, relative to the largest entry that the map reads, of a constant feature."""


@dataclass
class Emission:
    """What one map reads in some of its input features while they are off.

    Attributes:
        features: int64 ``[n]``, the features.
        constant: float64 ``[n]``, what it reads in them, in the middle of the image.
        moved: float64 ``[n]``, how far that moved between draws, relative to all that it reads.
        uneven: bool ``[n]``, whether it differs between positions, as behind padded borders.
        calls: how often the map's module was called.
    """

    features: Tensor
    constant: Tensor = field(default_factory=lambda: torch.empty(0))
    moved: Tensor = field(default_factory=lambda: torch.empty(0))
    uneven: Tensor = field(default_factory=lambda: torch.empty(0))
    calls: int = 0
    first: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def read(self, inputs: Tensor, dim: int) -> None:
        """One call of the map."""
        self.calls += 1
        last = inputs.detach().movedim(dim, -1)
        off = last[..., self.features.to(last.device)].double().cpu()
        if self.calls == 1:
            self.first = off
            middle = tuple(size // 2 for size in off.shape[:-1])
            self.constant = off[middle]
            self.moved = torch.zeros(len(self.features), dtype=torch.float64)
            flat = off.reshape(-1, len(self.features))
            self.uneven = ~torch.isclose(flat, self.constant, rtol=1e-5, atol=1e-12).all(0)
            return
        if off.shape != self.first.shape:
            self.moved = torch.full_like(self.moved, torch.inf)
            return
        scale = float(last.abs().max()) or 1.0
        change = (off - self.first).abs().reshape(-1, len(self.features)).amax(0) / scale
        self.moved = torch.maximum(self.moved, change.nan_to_num(torch.inf))


@uninterrupted
def emissions(
    model: nn.Module,
    parts: Mapping[str, Part],
    dead: Mapping[str, Tensor],
    wanted: Mapping[str, Tensor],
    example: Example,
    live: bool = False,
) -> dict[str, Emission]:
    """What maps read in chosen features while dead output features emit their biases alone.

    Args:
        model: a private structure of it is run.
        parts: the maps whose outputs are alive but for their dead features.
        dead: int64, the dead output features of each map that has some.
        wanted: int64, the input features of interest of each map.
        example: what the model is called with.
        live: run the model itself.

    Returns:
        For each map in ``wanted``; those whose module was not called ``DRAWS`` times in all, once
        a draw, are used in another way than its own.
    """
    found = {name: Emission(features) for name, features in wanted.items()}
    generator = torch.Generator().manual_seed(0)
    with running(model, live=live) as run:
        for name, part in parts.items():
            hook = _silence(part, dead.get(name), generator)
            run[part.module].register_forward_hook(hook)
        for name, emission in found.items():
            reader = _reader(parts[name], emission)
            run[parts[name].module].register_forward_pre_hook(reader, with_kwargs=True)
        for call in _draws(example, generator):
            run(*call.args, **call.kwargs)
    return found


def _draws(example: Example, generator: torch.Generator) -> Iterator[Example]:
    """The example, and then normal numbers in its place."""
    yield example

    def fresh(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point():
            return leaf
        return normal_like(leaf, generator)

    for _ in range(DRAWS - 1):
        yield Example(tree_map(fresh, example.args), tree_map(fresh, dict(example.kwargs)))


def channel_dim(part: Part) -> int:
    """Where the channels of a map lie in what it reads and writes, counted from the end."""
    if part.held is None or part.kind.application in ("matrix", "lookup"):
        return -1
    return 1 - part.held.ndim


def _silence(
    part: Part, dead: Tensor | None, generator: torch.Generator
) -> Callable[[nn.Module, Any, Any], Any]:
    """Dead features emit the bias; noise on the others, but where it is a group's own channel."""

    @with_own_settings
    def hook(module: nn.Module, _: Any, output: Any) -> Any:
        if not isinstance(output, Tensor):
            return output
        last = output.movedim(channel_dim(part), -1).clone()
        if part.groups == 1:
            spread = 1 + 3 * float(last.std(correction=0))
            last += spread * normal_like(last, generator)
        if dead is not None:
            at = dead.to(last.device)
            bias = getattr(module, "bias", None)
            last[..., at] = 0 if bias is None else bias.detach()[at].to(last)
        return last.movedim(-1, channel_dim(part))

    return hook


def _reader(
    part: Part, emission: Emission
) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    @with_own_settings
    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        first = next(iter((*args, *kwargs.values())), None)
        if isinstance(first, Tensor):
            emission.read(first, channel_dim(part))

    return hook
