"""Where the checkpoints of a recording are kept: in memory, or in a folder, one file each."""

from __future__ import annotations

import errno
import re
import threading
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from svr_widget.engine.environment.files import sweep
from svr_widget.engine.errors import SVRError
from svr_widget.engine.work.records import kind_written, read_record, write_record

KIND = "svr_widget checkpoint"
NETWORK_KIND = "svr_widget recording"
WRITER = "SVRRecorder"
NETWORK = "network.safetensors"
"""Of the file of what all checkpoints of a folder have in common."""

_NAME = re.compile(r"step-(\d{9,18})\.safetensors")

Weights = Mapping[str, tuple[Tensor, ...]]
"""The factors of every map that has a weight of its own, by its name."""

Shapes = Mapping[str, tuple[tuple[int, ...], ...]]
"""Of the same factors."""


@dataclass(frozen=True)
class Checkpoint:
    """One moment of a training run.

    Attributes:
        step: how many steps were done.
        label: what the caller calls it; empty for nothing.
        metrics: numbers that the caller gave with it, such as the loss.
    """

    step: int
    label: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


class Store(Protocol):
    """Keeps the weights of checkpoints; may be used by several threads."""

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Those that are kept, by their step."""

    def add(self, checkpoint: Checkpoint, weights: Weights) -> None:
        """Keep one, in the place of one of the same step."""

    def weights(self, step: int) -> Weights:
        """The weights of a step; ``KeyError`` where it is not kept."""

    def drop(self, step: int) -> None:
        """Forget one."""


class MemoryStore:
    """Checkpoints in this process; they end with it."""

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Checkpoint, Weights]] = {}
        self._lock = threading.Lock()

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Those that are kept, by their step."""
        with self._lock:
            return tuple(self._kept[step][0] for step in sorted(self._kept))

    def add(self, checkpoint: Checkpoint, weights: Weights) -> None:
        """Keep one, in the place of one of the same step."""
        with self._lock:
            self._kept[checkpoint.step] = checkpoint, weights

    def weights(self, step: int) -> Weights:
        """The weights of a step; ``KeyError`` where it is not kept."""
        with self._lock:
            return self._kept[step][1]

    def drop(self, step: int) -> None:
        """Forget one."""
        with self._lock:
            del self._kept[step]


class FolderStore:
    """Checkpoints in the files of a folder, each whole as soon as it has its name.

    Files that cannot be read are skipped, and a warning names each once. Those that a recorder did
    not write are never deleted or written over.

    Args:
        folder: where they are; what is in it is looked at once.
        shapes: of the factors of every map that has a weight of its own.
    """

    def __init__(self, folder: Path, shapes: Shapes) -> None:
        self.folder = folder.absolute()
        self._shapes = shapes
        self._lock = threading.Lock()
        self._damaged: dict[int, str] = {}
        self._told: set[int] = set()
        kinds = {step: _kind(self._path(step)) for step in _steps_in(self.folder)}
        whole = (self.folder / NETWORK).is_file() or any(kinds.values())
        self._others = {s for s, kind in kinds.items() if kind == "" or not (kind or whole)}
        # In a recording another file in the place of a checkpoint is worth a warning.
        known = (step for step in kinds if whole or step not in self._others)
        self._known: dict[int, Checkpoint | None] = dict.fromkeys(known)

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Those that are kept, by their step; reads the files that were not read before."""
        skipped: list[str] = []
        with self._lock:
            for step in [step for step, known in self._known.items() if known is None]:
                try:
                    self._known[step] = self._read(step)[0]
                except (SVRError, OSError) as error:
                    self._doubt(step, error)
                    if step not in self._told:
                        self._told.add(step)
                        skipped.append(f"a checkpoint is skipped: {error}")
            found = [known for _, known in sorted(self._known.items()) if known is not None]
        for message in skipped:  # without the lock, for a warning may run anything
            warnings.warn(message, RuntimeWarning, stacklevel=3)
        return tuple(found)

    @property
    def written(self) -> int:
        """How many files of checkpoints there are, readable or not."""
        with self._lock:
            return len((self._known.keys() | self._damaged.keys()) - self._others)

    def add(self, checkpoint: Checkpoint, weights: Weights) -> None:
        """Write one, in the place of one of the same step.

        Raises:
            OSError: it cannot be written, or another file stands there; what stood there stays.
        """
        step = checkpoint.step
        path = self._path(step)
        tensors = {
            f"{place}.{index}": factor.contiguous()
            for place, factors in enumerate(weights.values())
            for index, factor in enumerate(factors)
        }
        record = {**asdict(checkpoint), "maps": {name: len(f) for name, f in weights.items()}}
        with self._lock:
            known = self._known.get(step) is not None
        if step in self._others or (not known and path.exists() and _kind(path) == ""):
            raise FileExistsError(errno.EEXIST, f"{WRITER} did not write what is there", str(path))
        write_record(path, KIND, record, tensors)
        with self._lock:
            self._known[step] = checkpoint
            self._damaged.pop(step, None)

    def weights(self, step: int) -> Weights:
        """The weights of a step.

        Raises:
            KeyError: it is not kept.
            SVRError: its file is damaged, and no longer counts.
            OSError: its file cannot be read.
        """
        with self._lock:
            if step in self._damaged:
                raise SVRError(self._damaged[step])
            if step not in self._known:
                raise KeyError(step)
        try:
            return self._read(step)[1]
        except (SVRError, OSError) as error:
            with self._lock:
                self._doubt(step, error)
            raise

    def drop(self, step: int) -> None:
        """Delete the file of one."""
        self._path(step).unlink(missing_ok=True)
        with self._lock:
            self._known.pop(step, None)
            self._damaged.pop(step, None)

    def clear(self) -> None:
        """Delete every checkpoint that a recorder wrote, readable or not."""
        with self._lock:
            steps = sorted((self._known.keys() | self._damaged.keys()) - self._others)
        for step in steps:
            self.drop(step)

    def _doubt(self, step: int, error: SVRError | OSError) -> None:
        """Count a file no more that is damaged or gone; another one may be readable later."""
        if isinstance(error, SVRError):
            self._damaged[step] = str(error)
        if isinstance(error, SVRError | FileNotFoundError):
            self._known.pop(step, None)

    def _read(self, step: int) -> tuple[Checkpoint, Weights]:
        with read_record(self._path(step), KIND, WRITER) as (record, tensors):
            label, metrics = record["label"], record["metrics"]
            if record["step"] != step:
                raise SVRError(f"it holds step {record['step']!r}")
            if not isinstance(label, str | int | float):
                raise SVRError(f"its label is {label!r}")
            numbers = {name: float(value) for name, value in metrics.items()}
            counts = {name: len(shapes) for name, shapes in self._shapes.items()}
            if list(record["maps"].items()) != list(counts.items()):
                raise SVRError("it holds the weights of another network")
            weights = {
                name: tuple(tensors[f"{place}.{index}"] for index in range(count))
                for place, (name, count) in enumerate(counts.items())
            }
            for name, factors in weights.items():
                if tuple(tuple(factor.shape) for factor in factors) != self._shapes[name]:
                    raise SVRError(f"its weight of {name!r} has another shape than the network's")
                if not all(map(_is_weight, factors)):
                    raise SVRError(f"its weight of {name!r} is not of finite numbers")
            return Checkpoint(step, str(label), numbers), weights

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:09d}.safetensors"


def sweep_unfinished(folder: Path) -> None:
    """Delete what killed recorders left unfinished in a folder."""
    sweep(folder, lambda name: name == NETWORK or _NAME.fullmatch(name) is not None)


def _steps_in(folder: Path) -> list[int]:
    """The steps of the files that are called as checkpoints are."""
    names = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    found = ((name[0], int(name[1])) for name in names if name)
    return sorted(step for name, step in found if name == f"step-{step:09d}.safetensors")


def _kind(path: Path) -> str | None:
    """What of ours a file is, ``""`` for none; None where that cannot be known."""
    try:
        kind = kind_written(path)
    except OSError:
        return None
    return kind if kind in (KIND, NETWORK_KIND, None) else ""


def _is_weight(factor: Tensor) -> bool:
    return factor.is_floating_point() and bool(torch.isfinite(factor).all())
