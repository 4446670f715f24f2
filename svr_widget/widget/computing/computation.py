"""One long piece of work in a thread: its progress, its end, and a way to stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Attributes:
        map: the linear map being decomposed, or the link being joined, by both its ends.
        done: maps and links that are done.
        total: all maps and links.
        seconds_left: from the pace so far; None before anything is done.
    """

    map: str
    done: int
    total: int
    seconds_left: float | None


Report = Callable[[str, int, int], None]


def end_of(error: BaseException) -> dict[str, str]:
    """The status that tells a page without a picture what ended the work."""
    if isinstance(error, CancelledError):
        return {"state": "cancelled"}
    return {"state": "failed", "message": str(error) or type(error).__name__}


class Computation:
    """Runs ``work(report)`` at once or in a thread; ``report`` raises once it was cancelled."""

    def __init__(
        self, work: Callable[[Report], None], on_progress: Callable[[Progress], None]
    ) -> None:
        self._work = work
        self._on_progress = on_progress
        self._cancelled = threading.Event()
        self._future: Future[None] = Future()
        self._started = 0.0

    def run(self) -> None:
        """Do the work here; an error is raised here."""
        self._execute(lambda _: None)
        self._future.result()

    def start(self, on_end: Callable[[BaseException | None], None]) -> None:
        """Do the work in a thread; ``on_end`` is called there with the error, if there is one.

        ``wait`` returns after it.
        """
        threading.Thread(
            target=self._execute, args=(on_end,), name="svr-computation", daemon=True
        ).start()

    def wait(self, timeout: float | None = None) -> None:
        """Block until the end; raises the work's error, or ``TimeoutError``."""
        self._future.result(timeout)

    def cancel(self) -> None:
        """Stop before the next map; ``wait`` then raises ``CancelledError``."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether ``cancel`` was called."""
        return self._cancelled.is_set()

    @property
    def error(self) -> BaseException | None:
        """What ended the work, once it is over; None while it runs or when all went well."""
        return self._future.exception() if self._future.done() else None

    def _execute(self, on_end: Callable[[BaseException | None], None]) -> None:
        self._started = time.monotonic()
        error: BaseException | None = None
        try:
            self._work(self._report)
        except BaseException as raised:  # wait() raises it again
            error = raised
        try:
            on_end(error)
        finally:
            if error is None:
                self._future.set_result(None)
            else:
                self._future.set_exception(error)

    def _report(self, name: str, done: int, total: int) -> None:
        if self._cancelled.is_set():
            raise CancelledError("the computation was cancelled")
        spent = time.monotonic() - self._started
        left = spent * (total - done) / done if done else None
        self._on_progress(Progress(name, done, total, left))
