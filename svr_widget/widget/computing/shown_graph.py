"""The graph on screen while it is computed and after."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import CancelledError
from dataclasses import asdict
from functools import partial
from typing import Any, Protocol

from svr_widget.svr import SVR
from svr_widget.widget.computing.computation import Computation, Progress, Report, end_of
from svr_widget.widget.computing.first_picture import FirstPicture
from svr_widget.widget.traits import Traits
from svr_widget.widget.wire.scene import encode_scene

AT_ONCE_SECONDS = 3.0


class Shown(Protocol):
    """The part of a widget that computes what it shows and puts it into the widget's traits."""

    @property
    def svr(self) -> SVR:
        """The engine behind the picture; raises what ended the computation, if there is none."""

    @property
    def network(self) -> SVR:
        """The same, or before there is a picture the one that is to come."""

    @property
    def asked(self) -> SVR:
        """What was asked for last, computed or not."""

    def wait(self, timeout: float | None = None) -> None:
        """Block until what was last asked for is there; raises its error, or ``TimeoutError``."""

    def cancel(self) -> None:
        """Stop a computation that is still running, before its next map."""

    def close(self) -> None:
        """Compute nothing further and let go of whoever would ask for it."""

    def show(self, svr: SVR) -> None:
        """Compute a graph, at once where that is quick, and put it in the picture's place."""

    def send_again(self) -> None:
        """Send the graph with another number of edges."""

    def at(self, step: int | None) -> SVR:
        """The SVR that a question is about: the one on screen, or that of a checkpoint."""

    def page_traits(self) -> Mapping[str, Any]:
        """Traits that only an exported page begins with."""

    def page_question(self) -> Mapping[str, Any]:
        """What every question of an exported page says."""


class ShownGraph:
    """Computes the graph that the settings ask for; until it is there, the last one stays.

    Args:
        widget: whose graph it is.
        svr: the first one; it is computed by ``show``.
    """

    def __init__(self, widget: Traits, svr: SVR) -> None:
        self._widget = widget
        self._computation: Computation | None = None
        self._first: FirstPicture | None = None
        self.network = self.asked = svr

    @property
    def svr(self) -> SVR:
        """As ``Shown`` has it."""
        computation = self._computation
        if not self._widget._scene and computation is not None and (error := computation.error):
            raise error
        return self.network

    def wait(self, timeout: float | None = None) -> None:
        """As ``Shown`` has it."""
        computation = self._computation
        if computation is None:
            return
        try:
            computation.wait(timeout)
        except CancelledError:
            if computation is self._computation:
                raise
            self.wait(timeout)  # another one took its place

    def cancel(self) -> None:
        """As ``Shown`` has it."""
        if self._computation is not None:
            self._computation.cancel()

    def close(self) -> None:
        """As ``Shown`` has it."""
        self.cancel()

    def show(self, svr: SVR) -> None:
        """As ``Shown`` has it."""
        self.cancel()
        missing = sum(column not in svr.decomposed for column in svr.columns.values())
        told = partial(self._show_progress, missing)
        takes_long = svr.estimate_seconds() >= AT_ONCE_SECONDS
        first = FirstPicture(self._widget, svr) if takes_long and not self._widget._scene else None
        computation = Computation(partial(self._compute, svr, first), told)
        if svr is not self.asked:
            self._widget._preview = b""
        self._computation, self._first, self.asked = computation, first, svr
        self._widget._status = {"state": "computing"}
        if takes_long:
            computation.start(partial(self._show_end, computation))
            return
        try:
            computation.run()
        except BaseException as error:
            self._show_end(computation, error)
            raise

    def send_again(self) -> None:
        """As ``Shown`` has it."""
        if self._widget._scene:
            self._widget._scene = encode_scene(self.network, self._widget.max_edges)

    def at(self, _: int | None) -> SVR:
        """As ``Shown`` has it: the one there is."""
        return self.svr

    def page_traits(self) -> Mapping[str, Any]:
        """As ``Shown`` has it: none."""
        return {}

    def page_question(self) -> Mapping[str, Any]:
        """As ``Shown`` has it: nothing."""
        return {}

    def _compute(self, svr: SVR, first: FirstPicture | None, report: Report) -> None:
        widget = self._widget
        if first is not None:
            first.begin(report)
        svr.compute(report if first is None else first.following(report))
        scene = encode_scene(svr, widget.max_edges)
        report("", 1, 1)  # raises where it was cancelled meanwhile
        self.network = svr
        # Before the scene: charts follow it, and take what is selected to exist.
        widget._keep_existing()
        widget._scene, widget._preview = scene, b""
        widget._status = {"state": "ready"}

    def _show_end(self, computation: Computation, error: BaseException | None) -> None:
        """Say what ended a computation; where there is a picture, go back to it."""
        if error is None or computation is not self._computation:
            return
        widget = self._widget
        if not widget._scene:
            if self._first is not None:
                self._first.send()  # what was done stays to be seen
            widget._status = end_of(error)
            return
        widget._notice = "" if isinstance(error, CancelledError) else str(error)
        widget._status = {"state": "ready"}
        self.asked = self.network
        widget._name_method(self.network)

    def _show_progress(self, maps: int, progress: Progress) -> None:
        """Tell the page what is done; of all there is to do the first ``maps`` are maps."""
        told: dict[str, Any] = {"state": "computing", "maps": maps}
        self._widget._status = told | asdict(progress)
