"""Maps decomposed by an executor: sent with what they need, and taken back, whoever is lost."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.environment.files import this_process
from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.errors import SVRError, said
from svr_widget.engine.maps.read_only import read_only
from svr_widget.engine.work import memory
from svr_widget.engine.work.entries import Entries, Note
from svr_widget.engine.work.folder import Folder
from svr_widget.engine.work.tasks import Sent, Task
from svr_widget.engine.work.threads import one_thread, turn

PART_OF_MEMORY = 4
"""Weights on their way to workers take this part of the memory that is available at most."""


@dataclass(frozen=True, eq=False)
class Order:
    """What a worker is to do.

    Attributes:
        task: the map.
        content: its name in a folder; empty where nobody asks for it.
        folder: where decompositions are kept; None for nowhere.
        identity: of that folder, as the caller sees it.
        caller: the caller's process.
    """

    task: Task
    content: str
    folder: Folder | None
    identity: str
    caller: str


class Answer(NamedTuple):
    """What a worker gives back.

    Attributes:
        neurons: the decomposition; None where it is in the folder, or something is wrong.
        notes: what has to be said.
        error: what the task raised.
        unread: the worker does not see the file that the weights are in.
    """

    neurons: Sent | None = None
    notes: tuple[str, ...] = ()
    error: Exception | None = None
    unread: bool = False


@dataclass(frozen=True, eq=False)
class Sending:
    """What becomes of tasks that are sent.

    Attributes:
        entries: the folder, as the caller uses it; None for none.
        keep: called with each task and its decomposition.
        note: is told what is worth saying.
        report: called with the name of a map that is waited for.
    """

    entries: Entries | None
    keep: Callable[[Task, Decomposition], None]
    note: Note
    report: Callable[[str], object]


def check_executor(executor: object) -> None:
    """Raise ``SVRError`` for what is no executor."""
    if executor is None or isinstance(executor, Executor):
        return
    advice = ""
    if hasattr(executor, "get_executor"):  # a Client of dask.distributed
        advice = "; a dask Client gives one: executor=client.get_executor()"
    elif hasattr(executor, "executor"):  # a view of ipyparallel
        advice = "; a view of ipyparallel has one: executor=view.executor"
    raise SVRError(
        f"executor must be a concurrent.futures.Executor, not a {type(executor).__name__}{advice}"
    )


def through(
    executor: Executor,
    tasks: Iterable[Task],
    sending: Sending,
    known: Callable[[str, Decomposition], Decomposition],
) -> None:
    """Decompose maps by an executor; what is lost on the way is not kept, and left to the caller.

    Raises:
        SVRError: the executor takes no tasks, or a task was refused.
    """
    _Run(executor, tasks, sending, known).until_done()


class _Run:
    """One run of tasks through an executor."""

    def __init__(
        self,
        executor: Executor,
        tasks: Iterable[Task],
        sending: Sending,
        known: Callable[[str, Decomposition], Decomposition],
    ) -> None:
        self._executor, self._sending, self._known = executor, sending, known
        # The longest first: what is begun last is what everybody waits for.
        self._waiting = deque(sorted(tasks, key=memory.needed, reverse=True))
        self._pending: dict[Future[Answer], tuple[Task, Order]] = {}
        self._told: set[type[Exception]] = set()
        self._taken = False

    def until_done(self) -> None:
        try:
            while self._waiting or self._pending:
                self._send()
                if self._pending:
                    self._sending.report(next(iter(self._pending.values()))[0].name)
                    for future in wait(self._pending, return_when=FIRST_COMPLETED).done:
                        self._take(future)
        finally:
            for future in list(self._pending):
                if not future.cancel() and future.done():
                    self._take_if_done(future)

    def _send(self) -> None:
        """Send so many tasks that their weights leave most of the memory free."""
        budget = memory.available() // PART_OF_MEMORY - sum(
            _held(order.task) for _, order in self._pending.values()
        )
        while self._waiting and (budget > 0 or not self._pending):
            task = self._waiting.popleft()
            self._sending.report(task.name)
            order = self._order(task)
            if order is None:
                continue
            try:
                future = _submitted(self._executor, order)
            except Exception as error:
                if not self._taken:
                    raise SVRError(
                        f"executor= takes no work ({said(error)}): it is shut down or broken. Give "
                        "a new one; what was decomposed before is kept"
                    ) from error
                self._lost(error)
                self._waiting.clear()
                return
            self._taken = True
            self._pending[future] = task, order
            budget -= _held(order.task)

    def _order(self, task: Task, *, by_handle: bool = True) -> Order | None:
        """What to send of a task; None where it was done before."""
        weights = task.read()
        sent = task.to_send(weights, by_handle=by_handle)
        entries = self._sending.entries
        content = task.content(weights) if entries is not None or sent.by_handle else ""
        if entries is None:
            return Order(sent, content, None, "", this_process())
        found = entries.find(content, self._sending.note)
        if found is not None:
            self._sending.keep(task, self._known(content, found))
            return None
        folder = None if entries.full else entries.folder
        identity = "" if folder is None else folder.identity
        return Order(sent, content, folder, identity, this_process())

    def _take(self, future: Future[Answer]) -> None:
        """Keep what a worker gives back."""
        task, order = self._pending.pop(future)
        error: BaseException | None
        try:
            error = future.exception()
        except CancelledError as cancelled:  # by somebody else
            error = cancelled
        if error is not None:  # the worker's or the way's: what the task raises is in the answer
            if not isinstance(error, Exception):
                raise error
            self._lost(error)
            return
        answer = future.result()
        for each in answer.notes:
            self._sending.note(each)
        if answer.error is not None:
            raise answer.error
        if answer.unread:
            self._again(task)
            return
        self._take_answer(task, order, answer)

    def _take_answer(self, task: Task, order: Order, answer: Answer) -> None:
        entries = self._sending.entries
        found = None if answer.neurons is None else read_only(answer.neurons.neurons)
        if entries is not None:
            if found is None:
                found = entries.find(order.content, self._sending.note)
            else:  # of a worker that does not see the folder, or could not write to it
                made = found
                if entries.fetch(order.content, lambda: made, self._sending.note) is None:
                    found = entries.find(order.content, self._sending.note)
        if found is not None:
            self._sending.keep(task, self._known(order.content, found) if order.content else found)

    def _again(self, task: Task) -> None:
        """Send the weights to a worker that does not see their file."""
        order = self._order(task, by_handle=False)
        if order is None:
            return
        try:
            self._pending[_submitted(self._executor, order)] = task, order
        except Exception as error:
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        """Say that there is something left to be done without the executor."""
        if type(error) not in self._told:
            self._told.add(type(error))
            broken = isinstance(error, BrokenExecutor)
            what = "the executor broke" if broken else "workers were lost"
            told = f"{what} ({said(error)}): their maps were decomposed in this process"
            self._sending.note(told)

    def _take_if_done(self, future: Future[Answer]) -> None:
        """Keep what was done when the work was stopped."""
        if not future.cancelled() and future.exception() is None and not future.result().error:
            self._take(future)


def _submitted(executor: Executor, order: Order) -> Future[Answer]:
    """A worker's future answer."""
    if not type(executor).__module__.startswith("distributed."):
        return executor.submit(run, order)
    # Dask warns of weights, which it would rather have the workers load; so they do, from files.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
        return executor.submit(run, order)


def _held(task: Task) -> int:
    """Bytes of memory that an order's weights take here."""
    return sum(each.nbytes for each in task.weights if isinstance(each, Tensor))


@with_own_settings
def run(order: Order) -> Answer:
    """Decompose one map, wherever this is called; nothing that it raises is lost on the way."""
    elsewhere = order.caller != this_process()
    notes: list[str] = []
    try:
        with one_thread() if elsewhere else turn():
            return _done(order, elsewhere, notes)
    except Exception as error:
        return Answer(notes=tuple(notes), error=_sendable(error))


def _done(order: Order, elsewhere: bool, notes: list[str]) -> Answer:
    task, folder = order.task, order.folder
    try:
        weights = task.read()
    except Exception:
        if not task.by_handle:
            raise
        return Answer(unread=True)  # there is no such file here, or it is none
    if task.by_handle and task.content(weights) != order.content:
        return Answer(unread=True)  # another file of that path

    def make() -> Decomposition:
        memory.check(task)
        return task.decompose(weights)

    seen = folder is not None and (not elsewhere or folder.identity == order.identity != "")
    if folder is None or not seen:
        return Answer(Sent(make()))
    made = Entries(folder).fetch(order.content, make, notes.append)
    return Answer(None if made is None else Sent(made), tuple(notes))


def _sendable(error: Exception) -> Exception:
    """An error that arrives wherever it is sent, with what it says."""
    if isinstance(error, SVRError | MemoryError | OSError):
        return error
    return RuntimeError(f"{said(error)} (process {os.getpid()})")
