"""The checkpoints of a timeline as scenes, computed one after the other in a thread."""

from __future__ import annotations

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.adjacency import Method
from svr_widget.engine.network.norms.folding import Normalisation
from svr_widget.recording.checkpoints import Checkpoint
from svr_widget.recording.identities import Followed, Moment
from svr_widget.recording.recording import Recording
from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import encode
from svr_widget.widget.wire.scene import encode_scene

LEADING = 6
"""Singular values of each column that are shown over time."""

SWITCH_SECONDS = 0.0005
"""How long this thread holds Python while another one waits, a training loop most likely.

A loop of small steps asks for Python's lock hundreds of times a step and waits this long each time;
Python's own 0.005 would slow it down several times.
"""

MEMORY = 256 * 2**20
"""Bytes of scenes that are kept; what is older is computed again when it is asked for."""


class Checkpoints(Protocol):
    """Where checkpoints come from; a ``Recording`` is one."""

    @property
    def title(self) -> str:
        """What the network is called."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be said about it."""

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Those that there are now."""

    def svr(self, step: int) -> SVR:
        """The SVR of one; ``KeyError`` where it is gone."""

    def listen(self, listener: Callable[[], None], /) -> Callable[[], None]:
        """Call ``listener`` whenever there are others; returns what ends it."""


class Given:
    """Checkpoints that the caller has as SVRs, numbered from 0."""

    notes: tuple[str, ...] = ()

    def __init__(self, svrs: Sequence[SVR], labels: Sequence[str]) -> None:
        self._svrs = svrs
        self.title = svrs[-1].title
        self.checkpoints = tuple(Checkpoint(at, label) for at, label in enumerate(labels))

    def svr(self, step: int) -> SVR:
        """The SVR of one."""
        return self._svrs[step]

    def listen(self, _: Callable[[], None]) -> Callable[[], None]:
        """There will be no others."""
        return lambda: None


def source_of(given: Any, labels: Iterable[str] | None) -> Checkpoints:
    """The checkpoints behind whatever ``SVRTimeline`` was given.

    Raises:
        SVRError: there are none, or the labels do not fit.
        TypeError: it is of another kind.
        FileNotFoundError: there is no recording at the path.
    """
    if isinstance(given, str | os.PathLike):
        given = Recording.load(Path(given))
    if isinstance(given, Recording):
        if labels is not None:
            raise TypeError("labels belong to a list of SVRs; a recording has those of its steps")
        if not given.checkpoints:
            raise SVRError("the recording has no checkpoint yet")
        return given
    if isinstance(given, SVR | nn.Module) or not isinstance(given, Iterable):
        kind = type(given).__name__
        raise TypeError(f"SVRTimeline takes an SVRRecorder, a path or a list of SVRs, not {kind}")
    svrs = list(given)
    for place, svr in enumerate(svrs):
        if not isinstance(svr, SVR):
            kind = type(svr).__name__
            raise TypeError(f"checkpoint {place} is a {kind}, not an SVR: make one of it")
    if not svrs:
        raise SVRError("SVRTimeline needs at least one checkpoint")
    words = [""] * len(svrs) if labels is None else [str(label) for label in labels]
    if len(words) != len(svrs):
        raise SVRError(f"{len(words)} labels for {len(svrs)} checkpoints")
    return Given(svrs, words)


@dataclass(frozen=True, eq=False)
class SceneFrame:
    """What is known of a checkpoint once it was computed, its scene apart.

    Attributes:
        checkpoint: which one it is.
        moment: its neurons among those of all checkpoints.
        leading: float32 ``[columns, LEADING]``, NaN where a column has fewer neurons.
        span: its smallest positive and its largest singular value.
    """

    checkpoint: Checkpoint
    moment: Moment
    leading: NDArray[np.float32]
    span: tuple[float, float]


class Frames:
    """Computes every checkpoint of a source, in their order and as they come.

    Args:
        source: of the checkpoints.
        method, norm: as of ``SVR``.
        max_edges: the most edges of a scene.
        on_frame: called after each, in the thread but for ``first``.
        on_error: called in the thread with what ended the work.
    """

    def __init__(
        self,
        source: Checkpoints,
        method: Method,
        norm: Normalisation,
        max_edges: int,
        on_frame: Callable[[SceneFrame], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._source, self._max_edges = source, max_edges
        self._method, self._norm = method, norm
        self._on_frame, self._on_error = on_frame, on_error
        self._followed = Followed()
        self._frames: dict[int, SceneFrame] = {}
        self._scenes: OrderedDict[int, bytes] = OrderedDict()
        self._latest: tuple[int, SVR] | None = None
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self.error: BaseException | None = None

    @property
    def ready(self) -> dict[int, SceneFrame]:
        """Those that are computed and still in the source, by step."""
        kept = [checkpoint.step for checkpoint in self._source.checkpoints]
        with self._lock:
            return {step: self._frames[step] for step in kept if step in self._frames}

    def first(self) -> None:
        """Compute the first one here; an error is raised here."""
        self._compute(self._source.checkpoints[0])

    def proceed(self) -> None:
        """Compute what is left in a thread, if none is at it already."""
        with self._lock:
            if self._thread is None and not self._stopped and self.error is None:
                self._thread = threading.Thread(target=self._work, name="svr-timeline", daemon=True)
                self._thread.start()

    def wait(self, timeout: float | None = None) -> None:
        """Block until all that there is now is computed; raises the error, or ``TimeoutError``."""
        self.proceed()
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
            if thread.is_alive():
                raise TimeoutError(f"{len(self.ready)} checkpoints are computed so far")
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """Compute nothing further."""
        self._stopped = True

    def svr(self, step: int) -> SVR:
        """The SVR of a checkpoint by the method in force."""
        latest = self._latest
        if latest is not None and latest[0] == step:
            return latest[1]
        return self._by_settings(step)

    def scene(self, step: int) -> bytes:
        """The scene of a checkpoint that is ready, computed again where it was let go.

        Raises:
            SVRError: it is not ready, or it was dropped from the recording.
        """
        with self._lock:
            if step in self._scenes:
                self._scenes.move_to_end(step)
                return self._scenes[step]
        frame = self.ready.get(step)
        if frame is None:
            raise SVRError(f"step {step} is not computed yet, or was dropped from the recording")
        scene = self._encode(self.svr(step), frame.moment)
        self._keep(step, scene)
        return scene

    def history(self) -> bytes:
        """Steps, numbers and leading singular values of all frames, for the page."""
        frames = list(self.ready.values())
        names = dict.fromkeys(name for frame in frames for name in frame.checkpoint.metrics)
        columns = list(frames[0].moment.numbers) if frames else []
        meta = {
            "steps": [frame.checkpoint.step for frame in frames],
            "labels": [frame.checkpoint.label for frame in frames],
            "columns": columns,
            "metrics": list(names),
            "notes": list(self._source.notes),
        }
        arrays: dict[str, NDArray[Any]] = {
            "leading": np.array([frame.leading for frame in frames], np.float32),
            "born": np.array([len(frame.moment.births) for frame in frames], np.uint32),
            "died": np.array([len(frame.moment.deaths) for frame in frames], np.uint32),
        }
        for place, name in enumerate(names):
            values = [frame.checkpoint.metrics.get(name, np.nan) for frame in frames]
            arrays[f"metric_{place}"] = np.array(values, np.float64)
        return encode(meta, arrays)

    def _work(self) -> None:
        before = sys.getswitchinterval()
        sys.setswitchinterval(min(before, SWITCH_SECONDS))
        try:
            if len(self._frames) == 1:
                self._followed.prepare()
            while not self._stopped:
                with self._lock:
                    last = max(self._frames, default=-1)
                    left = [c for c in self._source.checkpoints if c.step > last]
                    if not left:
                        self._thread = None
                        return
                try:
                    self._compute(left[0])
                except KeyError:  # thinned out meanwhile
                    if any(c.step == left[0].step for c in self._source.checkpoints):
                        raise
        except BaseException as error:
            self.error = error
            self._on_error(error)
        finally:
            sys.setswitchinterval(before)
            with self._lock:
                self._thread = None

    def _compute(self, checkpoint: Checkpoint) -> None:
        step = checkpoint.step
        if step in self._frames:
            return
        svr = self._by_settings(step)
        svr.compute()
        moment = self._followed.add(svr)
        self._keep(step, self._encode(svr, moment))
        leading = np.full((len(svr.columns), LEADING), np.nan, np.float32)
        positive = []
        for place, name in enumerate(svr.columns):
            S = svr[name].S.numpy()
            leading[place, : min(LEADING, len(S))] = S[:LEADING]
            positive.append(S[S > 0])
        values = np.concatenate([*positive, [0.0]])
        span = float(values[:-1].min(initial=np.inf)), float(values.max())
        with self._lock:
            self._frames[step] = SceneFrame(checkpoint, moment, leading, span)
            self._latest = step, svr
        self._on_frame(self._frames[step])

    def _by_settings(self, step: int) -> SVR:
        return self._source.svr(step).by_norm(self._norm).by_method(self._method)

    def _encode(self, svr: SVR, moment: Moment) -> bytes:
        numbers = np.concatenate([moment.numbers[name] for name in svr.columns])
        return encode_scene(svr, self._max_edges, identity=numbers)

    def _keep(self, step: int, scene: bytes) -> None:
        with self._lock:
            self._scenes[step] = scene
            kept = {checkpoint.step for checkpoint in self._source.checkpoints}
            for gone in [old for old in self._scenes if old not in kept]:
                del self._scenes[gone]
            while len(self._scenes) > 1 and sum(map(len, self._scenes.values())) > MEMORY:
                self._scenes.popitem(last=False)
