"""What the decomposition of one map takes of memory, and what is there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from svr_widget.engine.errors import SVRError
from svr_widget.engine.work.tasks import Task

_GROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_NO_LIMIT = 1 << 60
"""What the first version of control groups has for "no limit" is near 2^63."""


def needed(task: Task) -> int:
    """Bytes that a map's decomposition takes at its peak, its weight among them; roughly.

    By the driver that its kind of weight takes first: the Gram matrix in float64 of a float32 one.
    """
    shapes = task.shapes
    if len(shapes) > 1:
        (out, inner), (_, read) = shapes
        return 36 * (out + read) * inner + 120 * inner**2
    out, read, *kernel = shapes[0]
    positions = math.prod(kernel)
    sides = out // task.groups, read * positions
    if task.method == "cosvr":
        sides = out // task.groups * positions, read
    short, long = sorted(sides)
    if task.double:
        return task.groups * 64 * short * long + 64 * short**2
    return task.groups * (24 * short * long + 28 * short**2)


def available() -> int:
    """Bytes that this process can still take, by the machine and by its control group."""
    machine = int(psutil.virtual_memory().available + psutil.swap_memory().free)
    return min(machine, *_left_in_groups(), _NO_LIMIT)


def check(task: Task) -> None:
    """Raise ``SVRError`` where a map takes more memory than there is."""
    takes, there = needed(task), available()
    if takes > there:
        shape = "x".join(map(str, (task.shapes[0][0], *task.shapes[-1][1:])))
        raise SVRError(
            f"map {task.name!r} ({shape}) takes some {_gigabytes(takes)} to decompose, and "
            f"{_gigabytes(there)} of memory are available; leave it out with "
            f"exclude={task.name!r}, free memory, or give an executor= whose workers have more"
        )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2g} GB" if count < 1e10 else f"{count / 1e9:,.0f} GB"


def _left_in_groups() -> Iterator[int]:
    """What each control group that this process is in leaves it; none where there are none."""
    with suppress(OSError):
        for line in _OWN.read_text(encoding="utf-8").splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds and "memory" not in kinds.split(","):
                continue
            names, total, top = ("memory.max", "memory.current"), "", _GROUPS
            if kinds:
                names = "memory.limit_in_bytes", "memory.usage_in_bytes"
                total, top = "total_", _GROUPS / "memory"
            within = top / path.lstrip("/")
            # Inside a container the path may be one of the machine, which is not there.
            for folder in (within, *within.parents):
                if folder.is_relative_to(top):
                    yield from _left_in(folder, *names, total)


def _left_in(folder: Path, limit: str, usage: str, total: str) -> Iterator[int]:
    with suppress(OSError, ValueError):  # "max" among them, which is no limit
        most = int((folder / limit).read_text())
        used = int((folder / usage).read_text())
        statistics = dict(map(str.split, (folder / "memory.stat").read_text().splitlines()))
        # Pages of files, those of a cache folder among them, make room as soon as it is needed.
        files = sum(
            int(statistics[f"{total}{which}"]) for which in ("active_file", "inactive_file")
        )
        if most < _NO_LIMIT:
            yield max(0, most - used + files)
