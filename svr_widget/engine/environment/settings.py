"""Settings of our own while we compute, so that those of the caller change no number.

All of it is of this thread alone: a switch of the process would reach into the caller's work. Two
settings are the process's and are left where they are: PyTorch's default precision, which is never
relied upon, and the precision of its float32 products, which ``matrix_product`` does without.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FunctionType
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)


class _ThisThread(threading.local):
    ours = False
    callers_device = torch.device("cpu")


_here = _ThisThread()


@contextmanager
def own_settings() -> Iterator[None]:
    """NumPy's usual ways with rounding; no autocast, gradients, inference mode or other device."""
    if _here.ours:
        yield
        return
    with all_put_back(), ExitStack() as stack:
        device = torch.get_default_device()
        _here.ours, _here.callers_device = True, device
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def all_put_back() -> Iterator[None]:
    """This thread's settings afterwards as they were, wherever an interrupt came.

    Between a setting and its place in an ``ExitStack`` there is room for Ctrl-C, and then nobody
    takes the setting back; a mode of PyTorch's would stay on until the kernel is restarted.
    """
    before = _settings()
    try:
        yield
    finally:
        try:
            _put_back(before)
        finally:
            _put_back(before)  # where the interrupt came while things were put back


class _Settings(NamedTuple):
    """What of this thread's settings is changed here, or by what is run."""

    ours: bool
    functions: int
    operators: int
    gradients: bool
    autocast: bool
    rounding: Any


def _settings() -> _Settings:
    return _Settings(
        _here.ours,
        torch._C._len_torch_function_stack(),
        torch._C._len_torch_dispatch_stack(),
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        np.geterr(),
    )


def _put_back(before: _Settings) -> None:
    while torch._C._len_torch_dispatch_stack() > before.operators:
        torch._C._pop_torch_dispatch_stack()
    while torch._C._len_torch_function_stack() > before.functions:
        torch._C._pop_torch_function_stack()
    if torch.is_grad_enabled() != before.gradients:
        torch.set_grad_enabled(before.gradients)
    if torch.is_autocast_enabled("cpu") != before.autocast:
        torch.set_autocast_enabled("cpu", before.autocast)
    if np.geterr() != before.rounding:
        np.seterr(**before.rounding)
    _here.ours = before.ours


@contextmanager
def callers_device() -> Iterator[None]:
    """The caller's default device again, where the caller's model runs amid our own settings."""
    if not _here.ours:
        yield
        return
    with ExitStack() as stack:
        stack.callback(setattr, _here, "ours", True)
        _here.ours = False
        if _here.callers_device.type != "cpu":
            stack.enter_context(torch.device(_here.callers_device))
        yield


def with_own_settings(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function run under ``own_settings``."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if _here.ours:
            return function(*args, **kwargs)
        with own_settings():
            return function(*args, **kwargs)

    return run


def methods_with_own_settings(kind: C) -> C:
    """Let the public methods of a class, its constructor and its items run so."""
    for name, value in list(vars(kind).items()):
        public = not name.startswith("_") or name in ("__init__", "__getitem__")
        if public and isinstance(value, FunctionType):
            setattr(kind, name, with_own_settings(value))
        elif public and isinstance(value, classmethod):
            setattr(kind, name, classmethod(with_own_settings(value.__func__)))
    return kind


def matrix_product(left: Tensor, right: Tensor) -> Tensor:
    """``left @ right`` in the precision of its factors.

    PyTorch's own rounds float32 to bfloat16 or TF32 where the caller has set
    ``torch.set_float32_matmul_precision("medium")``, for the whole process.
    """
    if left.device.type != "cpu":
        return (left.double() @ right.double()).to(torch.promote_types(left.dtype, right.dtype))
    return torch.from_numpy(np.matmul(left.detach().numpy(), right.detach().numpy()))


def normal_like(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Normal numbers in the form of a tensor, the same ones on whatever device it is."""
    device = generator.device
    made = torch.randn(tensor.shape, generator=generator, dtype=torch.float32, device=device)
    return made.to(tensor)
