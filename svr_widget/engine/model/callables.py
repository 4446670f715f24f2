"""What a hook, or a forward of an instance's own, may get hold of when it is called."""

from __future__ import annotations

import functools
import types
from collections import deque
from contextvars import ContextVar
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

ATOMS = frozenset(
    {
        *(type(None), bool, int, float, complex, str, bytes, type, range, slice),
        *(type(Ellipsis), type(NotImplemented), object, torch.dtype, torch.device, torch.layout),
        *(torch.Size, types.ModuleType, types.CodeType),
    }
)
"""Types whose instances hold nothing."""


def content(cell: types.CellType) -> Any:
    """What a cell of a closure holds, None where it is empty as yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def held_by(value: Any) -> list[Any]:
    """What something that is called may get hold of when it is."""
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, types.BuiltinFunctionType):
        return [value.__self__]
    if isinstance(value, types.FunctionType):
        inside = [content(cell) for cell in value.__closure__ or ()]
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return [*inside, *defaults, *_globals_of(value), *vars(value).values()]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values(), *vars(value).values()]
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, list | tuple | set | frozenset | deque):
        return list(value)
    if isinstance(value, nn.Module | Tensor | types.ModuleType) or not hasattr(value, "__dict__"):
        return []
    return list(vars(value).values()) if type(value).__module__ != "builtins" else []


def _globals_of(function: types.FunctionType) -> list[Any]:
    """The global things that a function names."""
    found, codes = [], [function.__code__]
    while codes:
        code = codes.pop()
        found += [function.__globals__[n] for n in code.co_names if n in function.__globals__]
        codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return [each for each in found if not isinstance(each, type | types.ModuleType)]


def is_free(hook: Any) -> bool:
    """Whether a hook is a function that holds nothing of the user's.

    Constants, functions and classes are nobody's; nor is what a context variable holds, which each
    thread sees for itself: by one a model's forward tells its hooks where to put what they see.
    """
    seen: set[int] = set()
    waiting = [hook]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or type(each) in ATOMS or isinstance(each, type):
            continue
        seen.add(id(each))
        if _tells_by_context(each):
            continue
        function = types.FunctionType | types.BuiltinFunctionType
        if not isinstance(each, function | tuple | frozenset | Enum):
            return False
        waiting += held_by(each) if not isinstance(each, Enum) else []
    return True


def _tells_by_context(value: Any) -> bool:
    """Whether this is a context variable, or an object that has one and constants besides."""
    if isinstance(value, ContextVar):
        return True
    held = list(getattr(value, "__dict__", {}).values())
    constants = [type(each) in ATOMS for each in held if not isinstance(each, ContextVar)]
    return len(constants) < len(held) and all(constants)


def described(hook: Any) -> str:
    """What to call a hook in a sentence."""
    name = getattr(hook, "__qualname__", None) or type(hook).__qualname__
    return f"{name}()"
