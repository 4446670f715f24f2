"""``SVRTimeline``: the checkpoints of a training run on one slider."""

from __future__ import annotations

import math
import threading
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import traitlets as t

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from svr_widget.widget.answers import requests
from svr_widget.widget.computing.computation import end_of
from svr_widget.widget.computing.frames import Frames, SceneFrame, source_of
from svr_widget.widget.computing.shown_graph import AT_ONCE_SECONDS
from svr_widget.widget.widget import SVRWidget
from svr_widget.widget.wire.codec import Array, encode

PUSHED = 32 * 2**20
"""Bytes of scenes that travel unasked, so that they are there while Python is busy."""

_TOPS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)


class SVRTimeline(SVRWidget):
    """The SVR of a network as it trains: one slider over its checkpoints.

    Neurons are matched from each checkpoint to the next (``SVR.match``), so that on the way from
    one to the other they move; what is born fades in, what dies fades out, and a selection follows
    its neurons. All checkpoints share one vertical axis and one threshold.

    Shown before or within a training loop it follows the newest checkpoint while the cell still
    runs, until one scrubs back. Checkpoints are computed in a thread; ``wait()`` waits for all.
    Panes are answered for the checkpoint on screen. A recording has no model to run, so its
    spectral images are not to be had.

    Args:
        source: an ``SVRRecorder`` or what its ``load`` gave, the path of a recording, or a list of
            SVRs of one network, from the earliest to the latest.
        labels: what SVRs of a list are called, one a piece.
        **keywords: as of ``SVRWidget``, but for those of the model.

    Raises:
        SVRError: there is no checkpoint, or an option cannot be used.
        TypeError: the source is of another kind, or a keyword is unknown.
        FileNotFoundError: there is no recording at the path.
    """

    step = t.Int(None, allow_none=True, help="the checkpoint on screen, by its step").tag(sync=True)
    following = t.Bool(True, help="show the newest checkpoint as it comes").tag(sync=True)
    max_edges = t.Int(20_000, min=0, help="most edges of a checkpoint that travel").tag(sync=True)

    _recorded = t.Int(0, help="checkpoints that there are, computed or not").tag(sync=True)
    _timeline = t.Bytes(b"").tag(sync=True, echo_update=False)
    _frames = t.Bytes(b"").tag(sync=True, echo_update=False)
    _run: Frames

    def __init__(
        self, source: Any, *, labels: Iterable[str] | None = None, **keywords: Any
    ) -> None:
        self._source = source_of(source, labels)
        self._quiet = threading.local()
        self._publishing = threading.RLock()
        self._chosen: list[tuple[str, int, int]] = []
        self._own_range = "y_range" in keywords
        self._reach = (math.inf, 0.0)
        asked = keywords.pop("step", None)
        keywords.setdefault("panes", [])
        super().__init__(self._source.svr(self._source.checkpoints[0].step), **keywords)
        heard = weakref.WeakMethod(self._proceed)
        self._unlisten = self._source.listen(lambda: (heard() or (lambda: None))())
        self._proceed()
        if asked is not None:
            self._run.wait()
            self.step = asked

    @property
    def svr(self) -> SVR:
        """The engine behind the checkpoint on screen."""
        if not self._scene and self._run.error:
            raise self._run.error
        return self._svr

    def wait(self, timeout: float | None = None) -> None:
        """Block until every checkpoint that there is is computed; raises what went wrong."""
        self._run.wait(timeout)

    def cancel(self) -> None:
        """Compute no further checkpoints."""
        if hasattr(self, "_run"):
            self._run.stop()

    def close(self) -> None:
        """Take the widget off every page, stop its computation and free what it holds."""
        if hasattr(self, "_unlisten"):
            self._unlisten()
        self.cancel()
        super().close()

    def _show(self, svr: SVR) -> None:
        """Compute all checkpoints by this SVR's method, the first at once where it is quick."""
        self.cancel()
        here = weakref.ref(self)

        def on_frame(frame: SceneFrame) -> None:
            if (timeline := here()) is not None:
                timeline._publish(run, frame)

        def on_error(error: BaseException) -> None:
            if (timeline := here()) is not None:
                timeline._say(error)

        run = self._run = Frames(
            self._source, svr.method, svr.norm, self.max_edges, on_frame, on_error
        )
        self._svr = self._asked = svr
        self._reach = (math.inf, 0.0)
        self._status = {"state": "computing"}
        if svr.estimate_seconds() < AT_ONCE_SECONDS:
            try:
                run.first()
            except BaseException as error:
                self._say(error)
                raise
        if hasattr(self, "_unlisten"):  # the method changed
            self._proceed()

    def _proceed(self) -> None:
        self._recorded = len(self._source.checkpoints)
        self._run.proceed()

    def _publish(self, run: Frames, frame: SceneFrame) -> None:
        """Tell the page of a checkpoint that was computed; it may be busy, and so may Python."""
        with self._publishing:
            if run is not self._run:
                return
            ready, step = run.ready, frame.checkpoint.step
            if step not in ready:
                return
            scene = run.scene(step)
            if len(scene) <= PUSHED:
                self.send({"kind": "frame", "step": step}, buffers=[scene])
            self._widen(frame)
            is_first = self._status["state"] != "ready"
            self._timeline = run.history()
            count = len(ready)
            if count & (count - 1) == 0 or count == len(self._source.checkpoints):
                self._send_frames(run, list(ready))
            if self.following or self.step not in ready:
                self._move_to(step, frame, "step")  # the page follows by itself, or does not
            if is_first:
                self._status = {"state": "ready"}

    def _say(self, error: BaseException) -> None:
        """Tell the page what ended the work; what was computed before stays."""
        if self._scene:
            self._notice = str(error) or type(error).__name__
        else:
            self._status = end_of(error)

    def _widen(self, frame: SceneFrame) -> None:
        """Let the axis reach as far as any checkpoint; by steps, so that it seldom changes."""
        low, high = self._reach
        self._reach = min(low, frame.span[0]), max(high, frame.span[1])
        if self._own_range or self._reach[1] <= 0:
            return
        top = self.y_range[1] if self.y_range and high > 0 else 0.0
        if self._reach[1] > top:
            power = 10.0 ** math.floor(math.log10(self._reach[1]))
            top = next(power * each for each in _TOPS if power * each >= self._reach[1])
        if self.y_range != [self._reach[0], top]:
            self.y_range = [self._reach[0], top]

    def _send_frames(self, run: Frames, steps: list[int]) -> None:
        """Put the newest scenes, as far as the budget goes, where a view that opens later looks."""
        arrays: dict[str, Array] = {}
        size = 0
        for step in reversed(steps):
            scene = run.scene(step)
            size += len(scene)
            if size > PUSHED:
                break
            arrays[str(step)] = _bytes(scene)
        self._frames = encode({}, arrays)

    def _move_to(self, step: int, frame: SceneFrame, *silent: str) -> None:
        """Show a checkpoint; the page moves the selection as it is moved here."""
        self._svr = self._run.svr(step)
        with self._silent("selected", "_scene", *silent):
            self._scene = self._run.scene(step)
            if "selected" not in self._property_lock:
                self.selected = self._present(frame)
            self.step = step

    def _present(self, frame: SceneFrame) -> list[tuple[str, int]]:
        """Those of the chosen neurons that live at a checkpoint, where they are there."""
        found = []
        for name, number, k in self._chosen:
            numbers = frame.moment.numbers[name]
            at = [k] if number < 0 else (numbers == number).nonzero()[0].tolist()
            found += [(name, place) for place in at]
        return found

    @property
    def _moving(self) -> bool:
        """Whether this thread is on the way to another checkpoint."""
        return bool(getattr(self._quiet, "names", ()))

    @contextmanager
    def _silent(self, *names: str) -> Iterator[None]:
        """Set traits without sending them: the page has them already, or comes to the same."""
        self._quiet.names = names
        try:
            yield
        finally:
            self._quiet.names = ()

    def _should_send_property(self, key: str, value: Any) -> bool:
        if key in getattr(self._quiet, "names", ()):
            return False
        return bool(super()._should_send_property(key, value))

    @t.validate("step")
    def _check_step(self, proposal: dict[str, Any]) -> int | None:
        step: int | None = proposal["value"]
        with self._noticing():
            ready = self._run.ready if hasattr(self, "_run") else {}
            if step is not None and step not in ready:
                nearest = min(ready, key=lambda known: abs(known - step), default=None)
                raise SVRError(f"no checkpoint of step {step}; the nearest is {nearest}")
        return step

    @t.observe("step")
    def _step_changed(self, change: dict[str, Any]) -> None:
        if self._moving or change["new"] is None:
            return
        ready = self._run.ready
        if "following" not in self._property_lock:
            self.following = change["new"] == max(ready)
        self._move_to(change["new"], ready[change["new"]])

    @t.observe("following")
    def _following_changed(self, change: dict[str, Any]) -> None:
        ready = self._run.ready if hasattr(self, "_run") else {}
        if change["new"] and ready and self.step != max(ready):
            self._move_to(max(ready), ready[max(ready)])

    @t.observe("selected")
    def _choose(self, change: dict[str, Any]) -> None:
        """Remember who was chosen, not which place they had."""
        if self._moving or self.step is None:
            return
        numbers = self._run.ready[self.step].moment.numbers
        self._chosen = [(name, int(numbers[name][k]), k) for name, k in change["new"]]

    @t.observe("max_edges")
    def _send_again(self, _: Any) -> None:
        if self._scene:
            self._show(self._svr)

    def _answer(self, sender: Any, content: dict[str, Any], buffers: Any) -> None:
        step = content.get("step")
        if step is not None and step not in self._run.ready:
            message = f"step {step} is not computed yet, or was dropped from the recording"
            self.send({"kind": "error", "id": content.get("id"), "message": message})
            return
        super()._answer(sender, content, buffers)

    def _asked_about(self, question: dict[str, Any]) -> SVR:
        step = question.get("step")
        return self.svr if step in (None, self.step) else self._run.svr(int(step))

    def _answers(self, buffers: Any) -> dict[str, requests.Answer]:
        def frame(_: SVR, question: dict[str, Any]) -> bytes:
            return self._run.scene(question["step"])

        return {**super()._answers(buffers), "frame": frame}

    def _page_traits(self) -> dict[str, Any]:
        """Every checkpoint; the panes of a page are alive at the one on screen."""
        run, ready = self._run, self._run.ready
        scenes = {str(step): _bytes(run.scene(step)) for step in ready}
        return {
            "_recorded": len(ready),
            "_timeline": run.history(),
            "_frames": encode({}, scenes),
        }

    def _page_question(self) -> dict[str, Any]:
        return {"step": self.step}


def _bytes(scene: bytes) -> Array:
    return np.frombuffer(scene, np.uint8)
