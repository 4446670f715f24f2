"""Decomposes maps: here or by an executor, kept in this process or in a folder."""

from __future__ import annotations

import os
import weakref
from collections import deque
from collections.abc import Callable, Collection, Iterable, MutableMapping
from concurrent.futures import Executor
from functools import partial

import torch
from torch import Tensor

from svr_widget.engine.decompose import Decomposition, Flattening
from svr_widget.engine.decompose.preview import Preview
from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.read_only import array_of, read_only
from svr_widget.engine.maps.stored import StoredTensor
from svr_widget.engine.work import memory
from svr_widget.engine.work.entries import Entries, Make, Note, TakenError
from svr_widget.engine.work.executors import Sending, check_executor, through
from svr_widget.engine.work.folder import Folder
from svr_widget.engine.work.tasks import Task, derived

Cache = bool | str | os.PathLike[str] | Folder
"""What ``cache=`` takes."""

PUT_OFF = 1 << 26
"""Bytes from which on vectors of a transposed map are made whenever they are asked for."""

ColumnKey = tuple[str, Flattening]

Keep = Callable[[Task, Decomposition], object]
"""Called with each decomposition as it is there."""


class Decomposer:
    """Decomposes the maps of a network.

    Args:
        cache: where decompositions are kept; True and False are the caller's own business.
        executor: what decomposes several; None for this thread.

    Raises:
        SVRError: the cache is no folder that can be written to, or the executor is none.
    """

    def __init__(self, cache: Cache = True, executor: Executor | None = None) -> None:
        check_executor(executor)
        self.cache, self.executor = cache, executor
        self._entries: Entries | None = None
        if not isinstance(cache, bool):
            folder = cache if isinstance(cache, Folder) else _folder(cache)
            folder.open()
            self._entries = Entries(folder)
        # What decompositions are called in the folder, to find what is derived of them there.
        self._contents: weakref.WeakKeyDictionary[Decomposition, str]
        self._contents = weakref.WeakKeyDictionary()

    def decomposition(self, task: Task, note: Note, *, wait: bool = True) -> Decomposition:
        """Decompose one map here, unless it was done before.

        Raises:
            SVRError: it takes more memory than there is.
            TakenError: another process does it, and ``wait`` is False.
        """
        weights = task.read()

        def make() -> Decomposition:
            memory.check(task)
            return task.decompose(weights)

        if self._entries is None:
            return read_only(make())
        return self._by(task.content(weights), make, note, wait=wait)

    def preview(self, task: Task) -> Preview | None:
        """The leading singular values of a map; None where the folder has all that it has."""
        weights = task.read()
        if self._entries is not None and self._entries.has(task.content(weights)):
            return None
        return task.preview(weights)

    def by_executor(
        self,
        tasks: Collection[Task],
        report: Callable[[str, int], object],
        keep: Keep,
        note: Note,
    ) -> None:
        """Let the executor, where there is one, decompose maps.

        Args:
            tasks: one a map. Those of workers that were lost are left for this process.
            report: called with the name of a map that is waited for and how many are done; what
                it raises stops the work, and what is done is kept.
            keep: called with each task as it is done, and its decomposition.
            note: is told what is worth saying.

        Raises:
            SVRError: the executor takes no work, or a map takes more memory than a worker has.
        """
        if self.executor is None or not tasks:
            return
        done = 0

        def kept(task: Task, neurons: Decomposition) -> None:
            nonlocal done
            done += 1
            keep(task, neurons)

        sending = Sending(self._entries, kept, note, lambda name: report(name, done))
        through(self.executor, tasks, sending, self._known)

    def check_memory(self, tasks: Iterable[Task]) -> None:
        """Raise ``SVRError`` where one map takes more memory than there is, and is not kept."""
        there = memory.available()
        for task in tasks:
            if memory.needed(task) <= there:
                continue
            if self._entries is None or not self._entries.has(task.content(task.read())):
                memory.check(task)

    def transposed(self, neurons: Decomposition, note: Note) -> Decomposition:
        """The neurons of the transposed map, which are kept as the others are."""
        make = partial(neurons.transposed, _scaled)
        return self._derived(neurons, "transposed", make, note)

    def flattened(self, neurons: Decomposition, method: Flattening) -> Decomposition:
        """The same neurons under another method, in the same memory."""
        if neurons.method == method:
            return neurons
        found = read_only(neurons.flattened_as(method))
        if neurons in self._contents:
            self._contents[found] = derived(self._contents[neurons], method)
        return found

    def _derived(self, neurons: Decomposition, what: str, make: Make, note: Note) -> Decomposition:
        if self._entries is None or neurons not in self._contents:
            return read_only(make())
        return self._by(derived(self._contents[neurons], what), make, note)

    def _by(self, content: str, make: Make, note: Note, *, wait: bool = True) -> Decomposition:
        """What is kept in the folder by a name, or made and put there."""
        assert self._entries is not None
        found = self._entries.find(content, note)
        if found is None:
            made = self._entries.fetch(content, make, note, wait=wait)
            found = self._entries.find(content, note) if made is None else read_only(made)
        return self._known(content, read_only(make()) if found is None else found)

    def _known(self, content: str, neurons: Decomposition) -> Decomposition:
        self._contents[neurons] = content
        return neurons


def _scaled(vectors: Tensor, signs: Tensor) -> Tensor:
    """Vectors times their signs; those over a vocabulary, whenever somebody asks for them.

    Hardly anybody does, and an output head that shares the embedding's weight has them twice.
    """
    if vectors.nbytes < PUT_OFF:
        return vectors * signs
    form = torch.empty_strided(vectors.shape, vectors.stride(), dtype=vectors.dtype, device="meta")

    def read() -> Tensor:  # by NumPy, as all that is done between two products of tiles
        return torch.from_numpy(array_of(vectors) * array_of(signs))

    return StoredTensor(form, read)


def kept_by(cache: Cache) -> MutableMapping[ColumnKey, Decomposition]:
    """What keeps decompositions: with ``cache=False`` none longer than anybody else does."""
    return weakref.WeakValueDictionary() if cache is False else {}


def in_turn(
    columns: Iterable[ColumnKey],
    make: Callable[[str, Flattening, bool], Decomposition],
    report: Callable[[str, int], object],
) -> list[Decomposition]:
    """Make decompositions one after the other; those that other processes are at come last.

    Args:
        columns: map and flattening of each.
        make: makes one; where its last argument is False it raises ``TakenError`` rather than wait
            for another process.
        report: called with a map's name and how many are done, before each that is left.
    """
    waiting, taken, made = deque(columns), 0, list[Decomposition]()
    while waiting:
        name, method = waiting.popleft()
        report(name, len(made))
        try:
            made.append(make(name, method, taken > len(waiting)))
            taken = 0
        except TakenError:
            waiting.append((name, method))
            taken += 1
    return made


def _folder(cache: object) -> Folder:
    if not isinstance(cache, str | os.PathLike) or not os.fspath(cache):
        raise SVRError(
            "cache must be True (in this process), False (not at all), or a folder: a path or a "
            f"svr_widget.cache.Folder, got {cache!r}"
        )
    return Folder(cache)
