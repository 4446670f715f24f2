"""PyTorch's operators: what is given to them, and what they do to it by their schemas, read once.

Their arguments are tensors, lists of some and numbers, never trees of other classes: to walk them
as those takes longer than many an operator runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from torch import Tensor
from torch._ops import OpOverload


def mapped(function: Callable[[Tensor], Any], given: Any) -> Any:
    """What an operator is given or returns, with something else in the place of each tensor."""
    if isinstance(given, Tensor):
        return function(given)
    if isinstance(given, (list, tuple)):
        return type(given)([mapped(function, each) for each in given])
    if isinstance(given, dict):
        return {name: mapped(function, each) for name, each in given.items()}
    return given


def tensors_in(given: Any) -> Iterator[Tensor]:
    """The tensors that an operator is given or returns, in order."""
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, (list, tuple)):
        for each in given:
            yield from tensors_in(each)
    elif isinstance(given, dict):
        yield from tensors_in(list(given.values()))


@lru_cache(maxsize=4096)
def written(func: OpOverload[..., Any]) -> tuple[tuple[int, str], ...]:
    """The arguments that an operator writes to, by place and name."""
    return tuple(
        (place, argument.name)
        for place, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    )


@lru_cache(maxsize=4096)
def looks(func: OpOverload[..., Any]) -> bool:
    """Whether what an operator returns may share memory with what it is given."""
    return any(returned.alias_info is not None for returned in func._schema.returns)


@lru_cache(maxsize=4096)
def only_looks(func: OpOverload[..., Any]) -> bool:
    """Whether it may, and is nothing that the operator has written to."""
    shared = [each.alias_info for each in func._schema.returns if each.alias_info is not None]
    return bool(shared) and not any(each.is_write for each in shared)
