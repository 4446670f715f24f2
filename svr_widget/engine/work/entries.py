"""Decompositions taken from a folder and put into it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.read_only import read_only
from svr_widget.engine.work.folder import FULL, KIND, Folder, keep_within
from svr_widget.engine.work.folder import entries as entries_in
from svr_widget.engine.work.records import (
    OtherKindError,
    kind_written,
    mapped_record,
    write_record,
)
from svr_widget.engine.work.tensor_json import Writer, read

Note = Callable[[str], object]
Make = Callable[[], Decomposition]

_WRITER = "the cache of an SVR"


class TakenError(Exception):
    """Another process or thread is decomposing the same."""


class Entries:
    """Reads and writes the decompositions in a folder; may be used by several threads.

    Args:
        folder: that can be written to.

    Attributes:
        folder: the same.
        full: whether its disk was found to be full, and nothing more is put there.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self.full = False
        self._size: int | None = None

    def has(self, content: str) -> bool:
        """Whether there is a decomposition of that name, damaged or not."""
        return self.folder.file(content).is_file()

    def find(self, content: str, note: Note) -> Decomposition | None:
        """A decomposition, its vectors mapped into memory; None where it is to be made."""
        path = self.folder.file(content)
        try:
            with mapped_record(path, KIND, _WRITER) as (record, tensors):
                if record["content"] != content:
                    raise SVRError("it is of other content than its name says")
                found: Decomposition = read(record["neurons"], tensors.__getitem__)
                _check(found)
        except FileNotFoundError:
            return None
        except OtherKindError:
            note(f"{path} is no decomposition of an SVR: it is left alone, and nothing kept there")
            return None
        except (SVRError, OSError) as error:
            note(f"a decomposition in the cache was not used and made anew: {error}")
            return None
        with contextlib.suppress(OSError):  # of another user, or gone: it is mapped
            os.utime(path)
        return read_only(found)

    def fetch(
        self, content: str, make: Make, note: Note, *, wait: bool = True
    ) -> Decomposition | None:
        """Make a decomposition that is not in the folder, and put it there.

        Args:
            content: its name.
            make: decomposes.
            note: is told what is worth saying.
            wait: whether to wait while somebody else makes it.

        Returns:
            The decomposition where it could not be put there; else None: ``find`` finds it.

        Raises:
            TakenError: somebody else makes it.
        """
        with self._alone(content, wait=wait):
            if self.find(content, lambda _: None) is not None:
                return None
            made = make()
            return None if self._put(content, made, note) else made

    def _put(self, content: str, neurons: Decomposition, note: Note) -> bool:
        """Write a decomposition; whether that went well."""
        if self.full:
            return False
        path = self.folder.file(content)
        writer = Writer()
        record = {"content": content, "neurons": writer(neurons, "neurons")}
        takes = sum(each.nbytes for each in writer.tensors.values())
        if self.folder.limit is not None and takes > self.folder.limit:
            note(
                f"a decomposition of {takes / 1e9:.2g} GB is larger than the limit of the cache, "
                "and was kept in memory"
            )
            return False
        try:
            if kind_written(path) not in (KIND, None):
                return False  # which find has told
            write_record(path, KIND, record, writer.tensors)
        except OSError as error:
            if error.errno in FULL:
                self.full = True
            note(
                f"the cache could not be written to ({error.strerror or error}: "
                f"{self.folder.path}): what follows is kept in memory"
            )
            return False
        self._grow(takes)
        return True

    def _grow(self, by: int) -> None:
        """Keep the folder within its limit, as others fill it as well."""
        if self.folder.limit is None:
            return
        with self._lock:
            if self._size is None:
                self._size = sum(entry.size for entry in entries_in(self.folder.path))
            else:
                self._size += by
            if self._size > self.folder.limit:
                self._size = keep_within(self.folder)

    @contextlib.contextmanager
    def _alone(self, content: str, *, wait: bool) -> Iterator[None]:
        """Be the one who makes it; the system ends the lock of a process that it ends."""
        lock = FileLock(self.folder.lock(content), thread_local=False)
        # Where there are no locks, or no room for one, two may do the same, and come to the same.
        with contextlib.suppress(OSError, NotImplementedError):
            try:
                lock.acquire(timeout=-1 if wait else 0)
            except Timeout as error:
                raise TakenError from error
        try:
            yield
        finally:
            if lock.is_locked:
                with contextlib.suppress(OSError):  # while it is held, so that nobody waits for it
                    Path(lock.lock_file).unlink()
                lock.release()


def _check(neurons: Decomposition) -> None:
    """Raise ``SVRError`` where it cannot be a decomposition of any map."""
    count = len(neurons.S)
    vectors = neurons.U, neurons.V, neurons.null, neurons.clusters, neurons.groups
    if any(each.shape[-1] != count for each in vectors):
        raise SVRError("its tensors do not belong together")
