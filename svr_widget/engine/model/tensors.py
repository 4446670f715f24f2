"""Putting other tensors into the modules of a model of our own."""

from __future__ import annotations

from torch import Tensor, nn


def put(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Let a module hold another tensor as its parameter or buffer of that name.

    Lists that the module keeps of its tensors, as recurrent layers do, have it as well.
    """
    held = module._parameters if name in module._parameters else module._buffers
    before = held[name]
    held[name] = tensor
    for value in vars(module).values():
        if isinstance(value, list):
            value[:] = [tensor if each is before else each for each in value]
