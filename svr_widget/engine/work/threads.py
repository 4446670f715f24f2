"""Whose turn it is on the cores: two maps never fight for them.

LAPACK's results depend in their last bits on how many threads it runs in. In the caller's own
process that number is the caller's, and is left as it is: so many maps are decomposed at a time as
there is a whole number of such teams in the cores. In another process each map gets one thread, so
that results depend neither on how many workers there are nor on how many cores they have.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import ThreadpoolController


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _blas() -> ThreadpoolController:
    """The libraries of this process, NumPy's and SciPy's; to look for them takes 10 ms."""
    return ThreadpoolController().select(user_api="blas")


def team() -> int:
    """In how many threads BLAS computes one product in this process."""
    return max((pool["num_threads"] for pool in _blas().info()), default=1)


class _Turns:
    """Lets as many through as there are teams."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._busy = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        most = max(1, cores() // team())
        with self._free:
            self._free.wait_for(lambda: self._busy < most)
            self._busy += 1
        try:
            yield
        finally:
            with self._free:
                self._busy -= 1
                self._free.notify_all()


class _OneThread:
    """One thread a map, for as long as any thread of this process is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limits: Any = None
        self._torch = 1

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._torch = torch.get_num_threads()
                torch.set_num_threads(1)
                self._limits = _blas().limit(limits=1)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0 and self._limits is not None:
                    self._limits.restore_original_limits()
                    torch.set_num_threads(self._torch)


turn = _Turns().one
"""A place among the maps that are decomposed at a time in the caller's process."""

one_thread = _OneThread().one
"""One thread a map, in a process that is not the caller's; afterwards all is as it was."""
