"""Running a user's model without leaving a trace on it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from svr_widget.engine.errors import SVRError


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode, without gradients; afterwards all is as it was before.

    Put back: every module's mode and attributes, its buffers, the rows that an embedding with
    ``max_norm`` rescales in its own weight, the states of the random generators.
    """
    modes = [(module, module.training) for module in model.modules()]
    attributes = [(module, _attributes(module)) for module in model.modules()]
    kept = [(tensor, tensor.detach().clone()) for tensor in _written(model)]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    model.eval()
    # The fast path computes whole layers of a transformer without calling their parts.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            torch.compiler.set_stance("force_eager"),
            torch.random.fork_rng(_gpus(model)),
            torch.no_grad(),
        ):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for module, before in attributes:
            _restore(module, before)
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
        for module, mode in modes:
            module.training = mode


def _written(model: nn.Module) -> Iterator[Tensor]:
    """The tensors that a forward pass in evaluation mode may write to."""
    yield from model.buffers()
    for module in model.modules():
        if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.max_norm is not None:
            yield module.weight


def _gpus(model: nn.Module) -> list[int]:
    devices = {parameter.device for parameter in model.parameters()}
    return sorted({device.index or 0 for device in devices if device.type == "cuda"})


def _attributes(module: nn.Module) -> dict[str, Any]:
    return {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in vars(module).items()
    }


def _restore(module: nn.Module, before: Mapping[str, Any]) -> None:
    """Undo what a forward pass assigned to the module; its dictionaries keep their identity."""
    now = vars(module)
    for name in [name for name in now if name not in before]:
        del now[name]
    for name, value in before.items():
        if isinstance(value, dict) and isinstance(now.get(name), dict):
            current = now[name]
            same = list(current) == list(value) and all(current[k] is value[k] for k in value)
            if not same and not name.endswith("_hooks"):
                now[name].clear()
                now[name].update(value)
        else:
            now[name] = value


def copied(model: nn.Module, so: str) -> nn.Module:
    """A deep copy of a model.

    Args:
        model: stays as it is.
        so: what does not happen without a copy, in words.

    Raises:
        SVRError: the model cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever a model's own attributes raise
        raise SVRError(f"{type(model).__name__} cannot be copied, {so}: {error}") from error
