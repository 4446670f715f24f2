"""``SVRTimeline``: the checkpoints of a training run on one slider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import traitlets as t

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from svr_widget.widget.answers.requests import Kind, frame_kind
from svr_widget.widget.computing.frames import source_of
from svr_widget.widget.computing.shown_checkpoints import ShownCheckpoints
from svr_widget.widget.traits import TimelineTraits
from svr_widget.widget.widget import SVRWidget
from svr_widget.widget.wire.words import shown


class SVRTimeline(TimelineTraits, SVRWidget):
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

    Examples:
        >>> from svr_widget import SVRTimeline
        >>> later = {name: weight + 0.01 for name, weight in model.state_dict().items()}
        >>> timeline = SVRTimeline([svr, SVR(later)], labels=["before", "after"])
        >>> timeline.wait()
        >>> timeline.step  # the newest; to set it is to scrub
        1
    """

    _shown: ShownCheckpoints

    def __init__(
        self, source: Any, *, labels: Iterable[str] | None = None, **keywords: Any
    ) -> None:
        self._source = source_of(source, labels)
        self._own_range = "y_range" in keywords
        asked = keywords.pop("step", None)
        keywords.setdefault("panes", [])
        super().__init__(self._source.svr(self._source.checkpoints[0].step), **keywords)
        if asked is not None:
            self.wait()
            self.step = asked

    def _shown_part(self, svr: SVR) -> ShownCheckpoints:
        return ShownCheckpoints(self, self._source, svr, own_range=self._own_range)

    def _kinds(self) -> Mapping[str, Kind]:
        frame = frame_kind(lambda step: self._shown.frames.scene(step))
        return {**super()._kinds(), "frame": frame}

    def _should_send_property(self, key: str, value: Any) -> bool:
        return key not in self._shown.silent and bool(super()._should_send_property(key, value))

    @t.validate("step")
    def _check_step(self, proposal: dict[str, Any]) -> int | None:
        with self._noticing():
            return self._allowed_step(proposal["value"])

    def _allowed_step(self, step: int | None, *_: Any) -> int | None:
        ready = self._shown.ready
        if step is not None and step not in ready:
            nearest = min(ready, key=lambda known: abs(known - step), default=None)
            raise SVRError(f"no checkpoint of step {shown(step)}; the nearest is {nearest}")
        return step

    @t.observe("step")
    def _step_changed(self, change: dict[str, Any]) -> None:
        if change["new"] is not None:
            self._shown.go_to(change["new"])

    @t.observe("following")
    def _following_changed(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self._shown.go_to_newest()

    @t.observe("selected")
    def _choose(self, change: dict[str, Any]) -> None:
        self._shown.choose(change["new"])
