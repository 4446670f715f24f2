"""The tensors of a model of our own: those without values, and other ones in their place."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from svr_widget.engine.maps.stored import StoredTensor


def put(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Let a module hold another tensor as its parameter or buffer of that name.

    Lists that the module keeps of its tensors, as recurrent layers do, have it as well.
    """
    # Parameters may be stored tensors here, which are none of PyTorch's class of that name.
    held: dict[str, Any] = vars(module)["_parameters" if name in module._parameters else "_buffers"]
    before = held[name]
    held[name] = tensor
    for value in vars(module).values():
        if isinstance(value, list):
            value[:] = [tensor if each is before else each for each in value]


def without_values(model: nn.Module) -> str | None:
    """The name of a parameter or buffer whose values are not in memory; None where all are."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_meta or isinstance(tensor, StoredTensor):
            return name
    return None


def stand_in(model: nn.Module, valueless: FakeTensorMode) -> None:
    """Let a model of ours hold tensors that pass for ones on the CPU where it has no values."""
    made: dict[int, Tensor] = {}
    for module in model.modules():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is None or not tensor.is_meta:
                continue
            if id(tensor) not in made:
                fake: Tensor = FakeTensor(valueless, tensor.detach(), torch.device("cpu"))
                if isinstance(tensor, nn.Parameter):
                    fake = nn.Parameter(fake, requires_grad=tensor.requires_grad)
                made[id(tensor)] = fake
            put(module, name, made[id(tensor)])
