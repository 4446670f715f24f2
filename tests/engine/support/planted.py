"""Channels that are dead because a test made them so, and what removal must leave alone."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from svr_widget.svr import SVR


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in float64, norms with statistics and factors of their own."""
    draw = generator(seed)
    model = model.double().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for tensor in (module.weight, module.running_var):
                    tensor.copy_(torch.rand(tensor.shape, generator=draw) + 0.5)
                for tensor in (module.bias, module.running_mean):
                    tensor.copy_(torch.randn(tensor.shape, generator=draw))
    return model


def silence(layer: nn.Module, channels: Iterable[int], norm: nn.Module | None = None) -> None:
    """Let a layer emit next to nothing in some channels; behind its norm far below zero."""
    channels = list(channels)
    with torch.no_grad():
        transposed = isinstance(layer, nn.ConvTranspose2d)
        weight = layer.weight.transpose(0, 1) if transposed else layer.weight
        weight[channels] *= 1e-12
        if layer.bias is not None and norm is None:
            layer.bias[channels] = 0
        if norm is not None:
            norm.bias[channels] = -20


def inputs_like(example: Tensor, count: int = 4) -> list[Tensor]:
    """Other inputs than those that removal itself looks at."""
    return [
        torch.randn(example.shape, generator=generator(99 + k)).to(example) for k in range(count)
    ]


def largest_change(before: nn.Module, after: nn.Module, inputs: Iterable[Tensor]) -> float:
    """By hand: the largest change of an output, relative to the largest output."""
    with torch.no_grad():
        pairs = [(before(x), after(x)) for x in inputs]
    change = max(float((old - new).abs().max()) for old, new in pairs)
    return change / max(float(old.abs().max()) for old, _ in pairs)


def removed(report, name: str) -> list[int]:
    rows = report.removed
    return sorted(rows.loc[rows["map"] == name, "channel"].tolist())


def kept(report, name: str) -> dict[int, str]:
    rows = report.kept[report.kept["map"] == name]
    return dict(zip(rows["channel"].tolist(), rows["why"], strict=True))


def remove(model: nn.Module, example: Tensor, tolerance: float = 1e-9, **options):
    """Remove, check the outputs on other inputs, and that the model itself was left alone."""
    state = copy.deepcopy(model.state_dict())
    smaller, report = SVR(model, example).remove_dead_channels(tolerance, **options)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert smaller is not model
    if tolerance < 1e-3:
        assert largest_change(model, smaller, inputs_like(example)) <= tolerance
    return smaller, report
