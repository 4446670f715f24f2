"""Settings of our own while we compute, so that those of the caller change no number.

All of it is of this thread alone: a switch of the process would reach into the caller's work. Two
settings are the process's and are left where they are: PyTorch's default precision, which is never
relied upon, and the precision of its float32 products, which ``matrix_product`` does without.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import ExitStack
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


class Settings(NamedTuple):
    """What of this thread's settings is changed here, or by what is run."""

    ours: bool
    functions: int
    operators: int
    gradients: bool
    autocast: bool
    rounding: Any

    @classmethod
    def now(cls) -> Settings:
        """As they are."""
        return cls(
            _here.ours,
            torch._C._len_torch_function_stack(),
            torch._C._len_torch_dispatch_stack(),
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
            np.geterr(),
        )

    def put_back(self) -> None:
        """Let them be so again."""
        while torch._C._len_torch_dispatch_stack() > self.operators:
            torch._C._pop_torch_dispatch_stack(None)
        while torch._C._len_torch_function_stack() > self.functions:
            torch._C._pop_torch_function_stack()
        if torch.is_grad_enabled() != self.gradients:
            torch.set_grad_enabled(self.gradients)
        if torch.is_autocast_enabled("cpu") != self.autocast:
            torch.set_autocast_enabled("cpu", self.autocast)
        if np.geterr() != self.rounding:
            np.seterr(**self.rounding)
        _here.ours = self.ours


class own_settings:  # noqa: N801  # it is called as a function is
    """NumPy's usual ways with rounding; no autocast, gradients, inference mode or other device.

    Afterwards all is as it was, wherever Ctrl-C came: no piece undoes itself, for between a setting
    and the memory of it there is room for an interrupt, and a mode of PyTorch's that nobody takes
    back stays on until the kernel is restarted. Nor may anything here, or in what is run, be
    a generator that waits in a ``yield``: interrupted, it would end only when the traceback does.
    """

    _before: Settings | None = None

    def __enter__(self) -> None:
        if _here.ours:
            return
        self._inside = ExitStack()
        self._before = Settings.now()
        try:
            device = torch.get_default_device()
            if torch.is_inference_mode_enabled():
                self._inside.enter_context(torch.inference_mode(False))
            torch.set_grad_enabled(False)
            torch.set_autocast_enabled("cpu", False)
            np.seterr(divide="warn", over="warn", under="ignore", invalid="warn")
            if device.type != "cpu":
                self._inside.enter_context(torch.device("cpu"))
            _here.ours, _here.callers_device = True, device
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            return
        try:
            self._undo(self._before)
        finally:
            self._undo(self._before)  # where the interrupt came while things were put back

    def _undo(self, before: Settings) -> None:
        self._inside.close()
        before.put_back()


def callers_default_device() -> torch.device:
    """Where the caller's own tensors are made."""
    return _here.callers_device if _here.ours else torch.get_default_device()


class callers_device:  # noqa: N801  # likewise
    """The caller's default device again, where the caller's model runs amid our own settings."""

    def __enter__(self) -> None:
        self._ours, self._device = _here.ours, ExitStack()
        if self._ours and _here.callers_device.type != "cpu":
            self._device.enter_context(torch.device(_here.callers_device))
        _here.ours = False

    def __exit__(self, *_: object) -> None:
        _here.ours = self._ours
        self._device.close()


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
