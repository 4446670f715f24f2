"""What operators write to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from torch._ops import OpOverload

from svr_widget.engine.environment.operators import written


@lru_cache(maxsize=4096)
def _writes(func: OpOverload[..., Any]) -> tuple[tuple[int, str, int | None], ...]:
    """The arguments that an operator writes to: place, name, and which result each is."""
    returns = [
        frozenset(r.alias_info.before_set) if r.alias_info else None for r in func._schema.returns
    ]
    found = []
    for place, name in written(func):
        info = func._schema.arguments[place].alias_info
        assert info is not None
        names = frozenset(info.before_set)
        found.append((place, name, returns.index(names) if names in returns else None))
    return tuple(found)


@lru_cache(maxsize=4096)
def only_written(func: OpOverload[..., Any]) -> frozenset[str]:
    """The arguments that an operator only writes to."""
    written = {name for _, name, _ in _writes(func)}
    return frozenset(a.name for a in func._schema.arguments if a.kwarg_only and a.name in written)


def written_by(
    func: OpOverload[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> list[tuple[Any, int | None]]:
    """What an operator writes to, and which of its results that is."""
    if not func._schema.is_mutable:
        return []
    given = [
        (args[place] if place < len(args) else kwargs.get(name), result)
        for place, name, result in _writes(func)
    ]
    return [(what, result) for what, result in given if what is not None]
