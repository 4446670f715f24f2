"""What the maps of a model read while data runs through it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from svr_widget.engine.trace.example import Example, given_example
from svr_widget.engine.untouched import untouched

Receive = Callable[[str, int, tuple[Any, ...]], None]
"""Called as ``receive(map, call, arguments)``; ``call`` counts a module's calls from 0."""


def read_along(
    model: nn.Module, modules: Mapping[str, nn.Module], example: Example, receive: Receive
) -> None:
    """One forward pass that hands over what each module is called with, as it is called.

    The model is in evaluation mode and comes back untouched. What is handed over may change in
    place afterwards: use it at once.
    """
    with untouched(model), _hooked(modules, receive):
        model(*example.args, **example.kwargs)


@contextmanager
def _hooked(modules: Mapping[str, nn.Module], receive: Receive) -> Iterator[None]:
    calls = dict.fromkeys(modules, 0)

    def hook_of(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            call, calls[name] = calls[name], calls[name] + 1
            receive(name, call, bound(module, args, kwargs))

        return hook

    handles = [
        module.register_forward_pre_hook(hook_of(name), with_kwargs=True)
        for name, module in modules.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def bound(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a module is called with, keywords brought to their places; defaults are left out."""
    if not kwargs:
        return tuple(args)
    return inspect.signature(module.forward).bind(*args, **kwargs).args


def placed_example(model: nn.Module, given: Any) -> Example:
    """A call of the model with the caller's input, on the model's device and in its precision.

    Args:
        model: decides device and precision by its first parameters.
        given: a tensor or array, a tuple of positional or a mapping of keyword arguments.
    """
    device = next((p.device for p in (*model.parameters(), *model.buffers())), None)
    floats = (p.dtype for p in model.parameters() if p.is_floating_point())
    dtype = next(floats, None)

    def place(leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray):
            leaf = torch.from_numpy(leaf)
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf.to(device, dtype if leaf.is_floating_point() else None)

    example = given_example(model, given)
    return Example(tree_map(place, example.args), tree_map(place, dict(example.kwargs)))


def of_batch(model: nn.Module, batch: Any) -> Any:
    """What of a batch is the model's input.

    A tensor or mapping as a whole; of a tuple or list as many leading entries as ``forward`` has
    parameters without a default, at least one: what follows are labels.
    """
    if not isinstance(batch, tuple | list):
        return batch
    parameters = inspect.signature(model.forward).parameters.values()
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in positional and p.default is p.empty]
    return tuple(batch[: max(1, len(needed))])
