"""A folder of decompositions: which files in it are ours, how large they are, which go first."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import platformdirs

from svr_widget.engine.environment.files import sweep, write_whole
from svr_widget.engine.errors import SVRError
from svr_widget.engine.work.records import kind_written

KIND = "svr_widget decomposition"
IDENTITY = ".svr_widget-cache"
"""Of the file whose content tells one folder from another of the same path."""

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What is said of a full disk, and of one that is full for this user."""

_ENTRY = re.compile(r"decomposition-[0-9a-f]{40}\.safetensors")
_LOCK = re.compile(r"\.decomposition-[0-9a-f]{40}\.lock")
_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[kMGT]?B)")
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True, init=False)
class Folder:
    """A folder that keeps decompositions from one run to the next: ``SVR(model, cache=folder)``.

    Each stands in a safetensors file of its own, which is named by what it is of: the content of
    the weight, the settings, and the version of the format. So a run that was killed goes on where
    it was, whatever has the same weights takes them from there, and nothing is ever out of date.
    They are mapped into memory, which the system takes back when it needs it: a graph may be larger
    than memory. Files are written whole or not at all, and checked against their check sums before
    they are used; one that is damaged is made anew. Processes and machines may share a folder:
    what one of them decomposes, the others wait for or take up later. Nothing in the folder is ever
    deleted that is not a decomposition of ours.

    Args:
        path: of the folder, which is made where it is not there; by default the usual one for
            caches of this user (on Linux ``~/.cache/svr_widget``).
        limit: how large all decompositions in it may be together, in bytes or as ``"20 GB"``: what
            was not used for longest goes first, as soon as more is written. What is still in use
            takes its place on the disk until it is let go. None for no limit.

    Attributes:
        path: absolute.
        limit: in bytes, or None.

    Raises:
        SVRError: the limit is none.

    Examples:
        >>> import svr_widget
        >>> folder = svr_widget.cache.Folder("decompositions", limit="20 GB")
        >>> SVR(model, cache=folder).edges().equals(svr.edges())
        True
        >>> svr_widget.cache.size(folder) > 0
        True
        >>> svr_widget.cache.clear(folder)
        3
    """

    path: Path
    limit: int | None

    def __init__(
        self, path: str | os.PathLike[str] | None = None, limit: float | str | None = None
    ) -> None:
        given = (
            platformdirs.user_cache_path("svr_widget", appauthor=False) if path is None else path
        )
        object.__setattr__(self, "path", Path(given).expanduser().absolute())
        object.__setattr__(self, "limit", None if limit is None else _bytes(limit))

    @property
    def identity(self) -> str:
        """What tells this folder from another of its path on another machine; empty if unknown."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (self.path / IDENTITY).read_text(encoding="ascii")
        return ""

    def open(self) -> None:
        """Make the folder where it is not there, and see that it can be written to.

        Raises:
            SVRError: it cannot.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            if not self.identity:
                write_whole(self.path / IDENTITY, uuid.uuid4().hex.encode())
        except OSError as error:
            if error.errno in FULL and self.path.is_dir():
                return  # what is there can still be read
            raise SVRError(
                f"cache: {self.path} is no folder that decompositions could be kept in "
                f"({error.strerror or error}); give one that you can write to, or cache=True"
            ) from error

    def file(self, content: str) -> Path:
        """Where the decomposition of some content is, or would be."""
        return self.path / f"decomposition-{content}.safetensors"

    def lock(self, content: str) -> Path:
        """What is locked by whoever decomposes some content."""
        return self.path / f".decomposition-{content}.lock"


class Entry(NamedTuple):
    """A decomposition in a folder."""

    path: Path
    size: int
    used: float


def entries(folder: Path) -> Iterator[Entry]:
    """The decompositions in a folder, of whatever version; none where there is no folder."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as found:
        for each in found:
            if not _ENTRY.fullmatch(each.name) or not each.is_file(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):  # another process deleted it
                about = each.stat(follow_symlinks=False)
                yield Entry(Path(each.path), about.st_size, about.st_mtime)


def delete(entry: Entry) -> bool:
    """Delete a decomposition, unless the file under its name is of another kind."""
    with contextlib.suppress(OSError):  # gone, or in use where that keeps it
        if kind_written(entry.path) in (KIND, None):
            entry.path.unlink()
            return True
    return False


def keep_within(folder: Folder) -> int:
    """Delete what was not used for longest until the rest is within the limit.

    Returns:
        Bytes that are left.
    """
    found = sorted(entries(folder.path), key=lambda entry: entry.used)
    total = sum(entry.size for entry in found)
    for entry in found[:-1]:  # the newest is what was just written
        if folder.limit is None or total <= folder.limit:
            break
        if delete(entry):
            total -= entry.size
    return total


def size(folder: Folder | str | os.PathLike[str] | None = None) -> int:
    """Bytes that the decompositions in a folder take.

    Args:
        folder: a ``Folder`` or its path; by default the usual one.

    Examples:
        >>> import svr_widget
        >>> svr_widget.cache.size("nothing/here")
        0
    """
    return sum(entry.size for entry in entries(_folder(folder).path))


def clear(folder: Folder | str | os.PathLike[str] | None = None) -> int:
    """Delete every decomposition in a folder, and nothing else; the folder itself stays.

    An SVR that uses some of them goes on doing so.

    Args:
        folder: a ``Folder`` or its path; by default the usual one.

    Returns:
        How many were deleted.
    """
    path = _folder(folder).path
    count = sum(delete(entry) for entry in entries(path))
    sweep(path, lambda of: _ENTRY.fullmatch(of) is not None or of == IDENTITY)
    with contextlib.suppress(OSError):
        for each in path.iterdir():
            if _LOCK.fullmatch(each.name):
                each.unlink(missing_ok=True)
    return count


def _folder(given: Folder | str | os.PathLike[str] | None) -> Folder:
    return given if isinstance(given, Folder) else Folder(given)


def _bytes(limit: float | str) -> int:
    """A number of bytes, given as one or with a unit.

    Raises:
        SVRError: it is neither, or not above 0.
    """
    if isinstance(limit, str):
        found = _SIZE.fullmatch(limit.strip())
        count = float(found["number"]) * _UNITS[found["unit"]] if found else 0.0
    else:
        count = 0.0 if isinstance(limit, bool) else float(limit)
    if not 1 <= count < float("inf"):
        raise SVRError(f'cache: limit must be bytes, as 20e9 or "20 GB", got {limit!r}')
    return int(count)
