"""A computation of the engine that tests can hold and let go."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from svr_widget import SVR
from svr_widget.widget.computing import shown_graph


class Gate:
    """Holds the engine's computation until it is opened; everything then runs in threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        compute = SVR.compute

        def held(svr: SVR, progress: Any = None) -> None:
            if progress is None:  # the engine's own calls
                compute(svr)
                return
            progress("first", 0, 2)
            self.reached.set()
            self.opened.wait(60)
            progress("second", 1, 2)
            if error:
                raise error
            compute(svr, progress)

        monkeypatch.setattr(SVR, "compute", held)
        monkeypatch.setattr(shown_graph, "AT_ONCE_SECONDS", 0)
