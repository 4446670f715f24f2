"""Work that Ctrl-C must not hit in the middle.

PyTorch does not take an interrupt in the middle of an operator that Python interprets: a mode stays
on, or the process ends. Python raises ``KeyboardInterrupt`` in the main thread alone, so there the
work is given to another thread, which looks between two operators whether it is still wanted.
"""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ParamSpec, TypeVar

import torch

from svr_widget.engine.environment.settings import callers_default_device, own_settings

P = ParamSpec("P")
R = TypeVar("R")


class _Work(threading.Thread):
    """A call on behalf of the main thread, which waits for it."""

    def __init__(self, call: Callable[[], Any]) -> None:
        super().__init__(name="svr_widget", daemon=True)
        self._call, self._context = call, contextvars.copy_context()
        self._device = callers_default_device()
        self._found: Any = None
        self._error: BaseException | None = None
        self.stopped = False

    def run(self) -> None:
        """Make the call."""
        try:
            with ExitStack() as stack:  # settings are a thread's own
                if self._device.type != "cpu":
                    stack.enter_context(torch.device(self._device))
                stack.enter_context(own_settings())
                self._found = self._context.run(self._call)
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        """What it returned; raises what it raised."""
        found, error, self._found, self._error = self._found, self._error, None, None
        if error is not None:
            raise error
        return found


def uninterrupted(function: Callable[P, R]) -> Callable[P, R]:
    """Let an interrupt of a function come between two operators; the caller waits for that."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if threading.current_thread() is not threading.main_thread():
            return function(*args, **kwargs)
        work = _Work(functools.partial(function, *args, **kwargs))
        try:
            work.start()
            work.join()
        except BaseException:
            work.stopped = True
            if work.is_alive():
                work.join()
            raise
        found: R = work.result()
        return found

    return run


def check_wanted() -> None:
    """Raise ``KeyboardInterrupt`` where the caller no longer waits for what this thread does."""
    thread = threading.current_thread()
    if isinstance(thread, _Work) and thread.stopped:
        raise KeyboardInterrupt


def is_for_main_thread() -> bool:
    """Whether this is the main thread, or one that it waits for."""
    thread = threading.current_thread()
    return thread is threading.main_thread() or isinstance(thread, _Work)
