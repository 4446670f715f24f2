"""The checkpoints of a training run on screen, while they are computed and after."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from svr_widget.widget.computing import shown_graph
from svr_widget.widget.computing.computation import end_of
from svr_widget.widget.computing.frames import Checkpoints, Frames, SceneFrame
from svr_widget.widget.traits import TimelineTraits
from svr_widget.widget.wire.codec import Array, encode

PUSHED = 32 * 2**20
"""Bytes of scenes that travel unasked, so that they are there while Python is busy."""

_TOPS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


class ShownCheckpoints:
    """Computes every checkpoint by the method that the settings ask for, and shows one of them.

    Args:
        widget: whose checkpoints they are.
        source: where they come from.
        svr: of the first one.
        own_range: whether the vertical axis reaches as far as the caller says.
    """

    def __init__(
        self, widget: TimelineTraits, source: Checkpoints, svr: SVR, *, own_range: bool
    ) -> None:
        self._widget, self._source, self._own_range = widget, source, own_range
        self.network = self.asked = svr
        self.frames = self._frames_of(svr)
        self._reach = (math.inf, 0.0)
        self._chosen: list[tuple[str, int, int]] = []
        self._publishing = threading.RLock()
        self._quiet = threading.local()
        self._unlisten: Callable[[], None] = lambda: None
        self._listening = False

    @property
    def svr(self) -> SVR:
        """The engine behind the checkpoint on screen."""
        if not self._widget._scene and self.frames.error:
            raise self.frames.error
        return self.network

    @property
    def ready(self) -> Mapping[int, SceneFrame]:
        """The checkpoints that are computed and still there, by step."""
        return self.frames.ready

    def wait(self, timeout: float | None = None) -> None:
        """Block until every checkpoint that there is is computed; raises what went wrong."""
        self.frames.wait(timeout)

    def cancel(self) -> None:
        """Compute no further checkpoints."""
        self.frames.stop()

    def close(self) -> None:
        """Compute nothing further, and hear of no new checkpoints."""
        self._unlisten()
        self.cancel()

    def show(self, svr: SVR) -> None:
        """Compute all checkpoints by this SVR's method, the first at once where it is quick."""
        self.cancel()
        frames = self.frames = self._frames_of(svr)
        self.network = self.asked = svr
        self._reach = (math.inf, 0.0)
        self._widget._status = {"state": "computing"}
        if svr.estimate_seconds() < shown_graph.AT_ONCE_SECONDS:
            try:
                frames.first()
            except BaseException as error:
                self._say(error)
                raise
        self._listen()
        self._proceed()

    def send_again(self) -> None:
        """Compute the scenes with another number of edges."""
        if self._widget._scene:
            self.show(self.network)

    def at(self, step: int | None) -> SVR:
        """The SVR of a checkpoint, by default of the one on screen.

        Raises:
            SVRError: it is not ready.
        """
        if step in (None, self._widget.step):
            return self.svr
        if step not in self.ready:
            raise SVRError(f"step {step} is not computed yet, or was dropped from the recording")
        return self.frames.svr(step)

    def page_traits(self) -> Mapping[str, Any]:
        """Every checkpoint; the panes of a page are alive at the one on screen."""
        frames, ready = self.frames, self.ready
        scenes = {str(step): _bytes(frames.scene(step)) for step in ready}
        return {
            "_recorded": len(ready),
            "_timeline": frames.history(),
            "_frames": encode({}, scenes),
        }

    def page_question(self) -> Mapping[str, Any]:
        """Which checkpoint it is about."""
        return {"step": self._widget.step}

    def go_to(self, step: int) -> None:
        """Show a checkpoint that somebody chose; a newer one is followed only from the last."""
        if self.moving:
            return
        ready = self.ready
        if "following" not in self._widget._property_lock:
            self._widget.following = step == max(ready)
        self._move_to(step, ready[step])

    def go_to_newest(self) -> None:
        """Show the newest checkpoint there is, if it is not on screen already."""
        ready = self.ready
        if ready and self._widget.step != max(ready):
            self._move_to(max(ready), ready[max(ready)])

    def choose(self, selected: list[tuple[str, int]]) -> None:
        """Remember who was chosen, not which place they had."""
        step = self._widget.step
        if self.moving or step is None:
            return
        numbers = self.ready[step].moment.numbers
        self._chosen = [(name, int(numbers[name][k]), k) for name, k in selected]

    @property
    def moving(self) -> bool:
        """Whether this thread is on the way to another checkpoint."""
        return bool(self.silent)

    @property
    def silent(self) -> tuple[str, ...]:
        """Traits that this thread sets without sending them."""
        names: tuple[str, ...] = getattr(self._quiet, "names", ())
        return names

    def _frames_of(self, svr: SVR) -> Frames:
        """A computation of all checkpoints that does not keep the widget alive."""
        here = weakref.ref(self)

        def on_frame(frame: SceneFrame) -> None:
            if (shown := here()) is not None:
                shown._publish(frames, frame)

        def on_error(error: BaseException) -> None:
            if (shown := here()) is not None:
                shown._say(error)

        frames = Frames(
            self._source, svr.method, svr.norm, self._widget.max_edges, on_frame, on_error
        )
        return frames

    def _listen(self) -> None:
        """Hear of new checkpoints, from the first time that something is shown."""
        if not self._listening:
            self._listening = True
            heard = weakref.WeakMethod(self._proceed)
            self._unlisten = self._source.listen(lambda: (heard() or (lambda: None))())

    def _proceed(self) -> None:
        self._widget._recorded = len(self._source.checkpoints)
        self.frames.proceed()

    def _publish(self, frames: Frames, frame: SceneFrame) -> None:
        """Tell the page of a checkpoint that was computed; it may be busy, and so may Python."""
        widget = self._widget
        with self._publishing:
            if frames is not self.frames:
                return
            ready, step = frames.ready, frame.checkpoint.step
            if step not in ready:
                return
            scene = frames.scene(step)
            if len(scene) <= PUSHED:
                widget.send({"kind": "frame", "step": step}, buffers=[scene])
            self._widen(frame)
            is_first = widget._status["state"] != "ready"
            widget._timeline = frames.history()
            count = len(ready)
            if count & (count - 1) == 0 or count == len(self._source.checkpoints):
                self._send_frames(list(ready))
            if widget.following or widget.step not in ready:
                self._move_to(step, frame, "step")  # the page follows by itself, or does not
            if is_first:
                widget._status = {"state": "ready"}

    def _say(self, error: BaseException) -> None:
        """Tell the page what ended the work; what was computed before stays."""
        if self._widget._scene:
            self._widget._notice = str(error) or type(error).__name__
        else:
            self._widget._status = end_of(error)

    def _widen(self, frame: SceneFrame) -> None:
        """Let the axis reach as far as any checkpoint; by steps, so that it seldom changes."""
        low, high = self._reach
        self._reach = min(low, frame.span[0]), max(high, frame.span[1])
        if self._own_range or self._reach[1] <= 0:
            return
        y_range = self._widget.y_range
        top = y_range[1] if y_range and high > 0 else 0.0
        if self._reach[1] > top:
            power = 10.0 ** math.floor(math.log10(self._reach[1]))
            top = next(power * each for each in _TOPS if power * each >= self._reach[1])
        if y_range != [self._reach[0], top]:
            self._widget.y_range = [self._reach[0], top]

    def _send_frames(self, steps: list[int]) -> None:
        """Put the newest scenes, as far as the budget goes, where a view that opens later looks."""
        arrays: dict[str, Array] = {}
        size = 0
        for step in reversed(steps):
            scene = self.frames.scene(step)
            size += len(scene)
            if size > PUSHED:
                break
            arrays[str(step)] = _bytes(scene)
        self._widget._frames = encode({}, arrays)

    def _move_to(self, step: int, frame: SceneFrame, *silent: str) -> None:
        """Show a checkpoint; the page moves the selection as it is moved here."""
        widget = self._widget
        self.network = self.frames.svr(step)
        with self._silently("selected", "_scene", *silent):
            widget._scene = self.frames.scene(step)
            if "selected" not in widget._property_lock:
                widget.selected = self._present(frame)
            widget.step = step

    def _present(self, frame: SceneFrame) -> list[tuple[str, int]]:
        """Those of the chosen neurons that live at a checkpoint, where they are there."""
        found = []
        for name, number, k in self._chosen:
            numbers = frame.moment.numbers[name]
            at = [k] if number < 0 else (numbers == number).nonzero()[0].tolist()
            found += [(name, place) for place in at]
        return found

    @contextmanager
    def _silently(self, *names: str) -> Iterator[None]:
        """Set traits without sending them: the page has them already, or comes to the same."""
        self._quiet.names = names
        try:
            yield
        finally:
            self._quiet.names = ()


def _bytes(scene: bytes) -> Array:
    return np.frombuffer(scene, np.uint8)
