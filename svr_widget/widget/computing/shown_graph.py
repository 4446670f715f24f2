"""The graph on screen while it is computed and after."""

from __future__ import annotations

from concurrent.futures import CancelledError
from dataclasses import asdict
from functools import partial
from typing import Any

import traitlets as t

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from svr_widget.widget.computing.computation import Computation, Progress, Report, end_of
from svr_widget.widget.traits import Settings
from svr_widget.widget.wire.scene import encode_scene

AT_ONCE_SECONDS = 3.0


class LiveGraph(Settings):
    """Computes the graph that the settings ask for; until it is there, the last one stays."""

    @property
    def svr(self) -> SVR:
        """The engine behind the picture; raises what ended the computation, if there is none."""
        if not self._scene and (error := self._computation.error):
            raise error
        return self._svr

    def wait(self, timeout: float | None = None) -> None:
        """Block until what was last asked for is there; raises its error, or ``TimeoutError``."""
        computation = self._computation
        try:
            computation.wait(timeout)
        except CancelledError:
            if computation is self._computation:
                raise
            self.wait(timeout)  # another one took its place

    def cancel(self) -> None:
        """Stop a computation that is still running, before its next map."""
        self._computation.cancel()

    def close(self) -> None:
        """Take the widget off every page, stop its computation and free what it holds."""
        if hasattr(self, "_computation"):  # absent where the constructor raised
            self.cancel()
        super().close()

    def _show(self, svr: SVR) -> None:
        """Compute a graph, at once where that is quick, and put it in the picture's place."""
        if hasattr(self, "_computation"):
            self.cancel()
        computation = Computation(partial(self._compute, svr), self._show_progress)
        self._computation, self._asked = computation, svr
        self._status = {"state": "computing"}
        if svr.estimate_seconds() >= AT_ONCE_SECONDS:
            computation.start(partial(self._show_end, computation))
            return
        try:
            computation.run()
        except BaseException as error:
            self._show_end(computation, error)
            raise

    def _compute(self, svr: SVR, report: Report) -> None:
        svr.compute(report)
        scene = encode_scene(svr, self.max_edges)
        report("", 1, 1)  # raises where it was cancelled meanwhile
        self._svr = svr
        # Before the scene: charts follow it, and take what is selected to exist.
        self.selected = [item for item in self.selected if item[1] < self._neurons_of(item[0])]
        self._scene = scene
        self._status = {"state": "ready"}

    def _show_end(self, computation: Computation, error: BaseException | None) -> None:
        """Say what ended a computation; where there is a picture, go back to it."""
        if error is None or computation is not self._computation:
            return
        if not self._scene:
            self._status = end_of(error)
            return
        self._notice = "" if isinstance(error, CancelledError) else str(error)
        self._status = {"state": "ready"}
        self._go_back_to(self._svr)

    def _show_progress(self, progress: Progress) -> None:
        self._status = {"state": "computing", **asdict(progress)}

    @t.observe("method", "norm")
    def _show_another(self, _: Any) -> None:
        """Show the network by another method, or with its norms folded or not."""
        if not hasattr(self, "_asked"):
            return
        if (self.method, self.norm) == (self._asked.method, self._asked.norm):
            return
        try:
            wanted = self._svr.by_norm(self.norm).by_method(self.method)
        except SVRError as error:
            self._notice = str(error)
            self._go_back_to(self._asked)
            raise
        self._show(wanted)

    def _go_back_to(self, svr: SVR) -> None:
        self._asked = svr
        with self.hold_trait_notifications():  # one at a time would ask for a mixture
            self.method, self.norm = svr.method, svr.norm

    @t.observe("max_edges")
    def _send_again(self, _: Any) -> None:
        if self._scene:
            self._scene = encode_scene(self._svr, self.max_edges)
