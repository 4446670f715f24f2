"""Where the checkpoints of a recording are kept: in memory, or in a folder, one file each."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from torch import Tensor

from svr_widget.engine.graph.graph_file import read_record, write_record

KIND = "svr_widget checkpoint"
WRITER = "SVRRecorder"
_NAME = re.compile(r"step-(\d+)\.safetensors")

Weights = Mapping[str, tuple[Tensor, ...]]
"""The factors of every map that has a weight of its own, by its name."""


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
    """Checkpoints in the files of a folder, each whole as soon as it has its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        found = (_NAME.fullmatch(path.name) for path in folder.iterdir())
        self._known: dict[int, Checkpoint | None] = {int(name[1]): None for name in found if name}

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Those that are kept, by their step; reads the files that were not read before."""
        with self._lock:
            return tuple(self._checkpoint(step) for step in sorted(self._known))

    def add(self, checkpoint: Checkpoint, weights: Weights) -> None:
        """Write one, in the place of one of the same step."""
        tensors = {
            f"{place}.{index}": factor.contiguous()
            for place, factors in enumerate(weights.values())
            for index, factor in enumerate(factors)
        }
        record = {**asdict(checkpoint), "maps": {name: len(f) for name, f in weights.items()}}
        write_record(self._path(checkpoint.step), KIND, record, tensors)
        with self._lock:
            self._known[checkpoint.step] = checkpoint

    def weights(self, step: int) -> Weights:
        """The weights of a step; ``KeyError`` where it is not kept."""
        with self._lock:
            if step not in self._known:
                raise KeyError(step)
        with read_record(self._path(step), KIND, WRITER) as (record, tensors):
            return {
                name: tuple(tensors[f"{place}.{index}"] for index in range(count))
                for place, (name, count) in enumerate(record["maps"].items())
            }

    def drop(self, step: int) -> None:
        """Delete the file of one."""
        with self._lock:
            del self._known[step]
        self._path(step).unlink(missing_ok=True)

    def _checkpoint(self, step: int) -> Checkpoint:
        known = self._known[step]
        if known is None:
            with read_record(self._path(step), KIND, WRITER) as (record, _):
                known = Checkpoint(record["step"], record["label"], record["metrics"])
            self._known[step] = known
        return known

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:09d}.safetensors"
