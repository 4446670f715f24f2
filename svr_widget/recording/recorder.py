"""``SVRRecorder``: checkpoints of a training run, taken as it goes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

import torch
from torch import nn

from svr_widget.engine.errors import NonFiniteWeightsError, SVRError, check_option
from svr_widget.engine.maps.copied import kept
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.network.network import Network
from svr_widget.engine.work.records import kind_written
from svr_widget.recording.checkpoints import (
    NETWORK,
    WRITER,
    Checkpoint,
    FolderStore,
    MemoryStore,
    Store,
    Weights,
    sweep_unfinished,
)
from svr_widget.recording.recording import (
    Recording,
    check_same,
    read_network_file,
    shapes_of,
    template_of,
    write_network_file,
)
from svr_widget.svr import SVR

MEGABYTE = 10**6

Existing = Literal["refuse", "resume", "replace"]


class SVRRecorder(Recording):
    """Records the weights of a model every few steps of its training.

    Call ``step()`` after each step of the optimiser, or let the optimiser do so (``watch``).

    The model is traced once, and its weights of that moment are the first checkpoint, step 0. A
    step only copies weights to the CPU; decompositions wait until they are asked for. At the end of
    the ``with`` block the last step is recorded, however the block ends.

    In memory the recording is thinned out when it outgrows its budget: every second checkpoint goes
    and ``every`` doubles, which ``notes`` tells. With a ``path`` each checkpoint is a file,
    complete as soon as it has its name, none stays in memory and none is dropped, unless
    ``most`` says so. A step that cannot be written, on a full disk for instance, is not recorded: a
    warning says so once, the training goes on, and later steps try again.

    Args:
        model: an ``nn.Module``.
        every: record each step that is a multiple of this; may be changed at any time.
        path: a folder for the checkpoints (safetensors, no pickle); ``SVRRecorder.load`` reads it.
        example_inputs: what the model is traced on, as in ``SVR``.
        memory: megabytes (10^6 bytes) of weights to keep in memory.
        most: how many checkpoints to keep, in memory or on disk; None for as many as fit.
        existing: what to do with checkpoints that are in the folder already: ``"refuse"`` them,
            ``"resume"`` after the last that can be read, or ``"replace"`` (delete) them, damaged
            ones too. Files that no recorder wrote stay in every case.
        **keywords: ``SVR``'s; ``norm="fold"`` is refused, because it needs each moment's
            statistics.

    Raises:
        SVRError: the model or an option cannot be used, or the folder holds another recording.
        TypeError: the model is none, or a keyword is unknown.

    Examples:
        >>> from svr_widget import SVRRecorder
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
        >>> with SVRRecorder(model, every=10) as recorder:
        ...     for images in torch.randn(25, 8, 20):
        ...         optimizer.zero_grad()
        ...         loss = model(images).square().mean()
        ...         loss.backward()
        ...         optimizer.step()
        ...         _ = recorder.step(loss=loss)
        >>> recorder.steps
        (0, 10, 20, 25)
        >>> recorder[-1]
        SVR(Sequential: 3 maps, 32 neurons, 2 links, svr)
    """

    def __init__(
        self,
        model: nn.Module,
        every: int = 100,
        path: str | os.PathLike[str] | None = None,
        *,
        example_inputs: Any = None,
        memory: float = 512.0,
        most: int | None = None,
        existing: Existing = "refuse",
        **keywords: Any,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"SVRRecorder takes an nn.Module, not {type(model).__name__}")
        check_option("existing", existing, get_args(Existing))
        if most is not None and most < 2:
            raise SVRError(f"most = {most!r}: a recording has at least two checkpoints")
        self.every = every
        first = SVR(model, example_inputs, **keywords)
        assert first.arrangement is not None
        first.arrangement.check_repeatable()
        self._arrangement = first.arrangement
        weights = own_weights(first.maps)
        self._size = sum(f.nbytes for factors in weights.values() for f in factors)
        if path is None and 2 * self._size > memory * MEGABYTE:
            raise SVRError(
                f"a checkpoint takes {self._size / MEGABYTE:,.1f} MB and memory={memory:g} does "
                "not hold two; give more, or a path to write them to"
            )
        limits = [most, None if path is not None else int(memory * MEGABYTE // (self._size or 1))]
        self._most = min((limit for limit in limits if limit is not None), default=None)
        template, settings = template_of(first), first.settings
        store: Store
        store = _opened(Path(path), existing, template, settings) if path else MemoryStore()
        super().__init__(template, settings, store, first.work)
        steps = self.steps
        self._step = steps[-1] if steps else 0
        self._released: list[Callable[[], None]] = []
        self._diverged = False
        self._unwritten: set[int | None] = set()
        if not steps:
            self._keep(Checkpoint(0), weights)

    @property
    def every(self) -> int:
        """Each step that is a multiple of this is recorded."""
        return self._every

    @every.setter
    def every(self, steps: int) -> None:
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise SVRError(f"every must be an integer of at least 1, got {steps!r}")
        self._every = steps

    def step(self, label: str = "", **metrics: Any) -> bool:
        """Count a step of the optimiser, and record the weights if it is its turn.

        Weights that are not finite are not recorded, nor is what cannot be written: the first time
        a warning says so, and the training goes on.

        Args:
            label: what to call this moment.
            **metrics: numbers to keep with it (``loss=loss``); tensors of one entry are read only
                where the step is recorded.

        Returns:
            Whether it was recorded.
        """
        self._step += 1
        if self._step % self._every:
            return False
        try:
            return self._record(label, metrics, due=True) is not None
        except (NonFiniteWeightsError, OSError) as error:
            if self._is_news(error):
                message = f"step {self._step} is not recorded: {error}"
                warnings.warn(message, RuntimeWarning, stacklevel=2)
            return False

    def record(self, label: str = "", **metrics: Any) -> Checkpoint:
        """Record the weights of now, whatever the step; takes the place of one of the same step.

        Raises:
            NonFiniteWeightsError: weights that are NaN or infinite.
            OSError: the checkpoint cannot be written.
        """
        recorded = self._record(label, metrics, due=False)
        assert recorded is not None
        return recorded

    def watch(self, optimizer: torch.optim.Optimizer) -> Self:
        """Let each ``optimizer.step()`` call ``step()``, until the ``with`` block ends."""

        def stepped(*_: Any) -> None:
            self.step()

        self._released.append(optimizer.register_step_post_hook(stepped).remove)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._released:
            self._released.pop()()
        try:
            if self._step not in self.steps:
                self.record()
        except Exception as failure:
            message = f"the last step is not recorded: {failure}"
            if error is not None:  # which is what is to be told
                _add(error, message)
            elif not isinstance(failure, NonFiniteWeightsError | OSError):
                raise
            elif self._is_news(failure):
                warnings.warn(message, RuntimeWarning, stacklevel=2)

    def _is_news(self, failure: NonFiniteWeightsError | OSError) -> bool:
        """Whether the user was not told yet of what keeps steps from being recorded."""
        if isinstance(failure, OSError):
            told = failure.errno in self._unwritten
            self._unwritten.add(failure.errno)
            return not told
        told, self._diverged = self._diverged, True
        return not told

    def _record(self, label: str, metrics: Mapping[str, Any], *, due: bool) -> Checkpoint | None:
        """Record the weights of now; None where thinning out made it not the step's turn."""
        numbers = {name: _number(value) for name, value in metrics.items()}
        weights = own_weights(self._arrangement.read_again())
        known = self.steps
        if self._most is not None and self._step not in known and len(known) >= self._most:
            self._thin_out(known)
            if due and self._step % self._every:
                self._tell()
                return None
        checkpoint = Checkpoint(self._step, str(label), numbers)
        self._keep(checkpoint, weights)
        return checkpoint

    def _keep(self, checkpoint: Checkpoint, weights: Weights) -> None:
        self._store.add(checkpoint, weights)
        self._tell()

    def _thin_out(self, steps: tuple[int, ...]) -> None:
        for step in steps[1::2]:
            self._store.drop(step)
        self._every *= 2
        self.notes = (
            f"thinned out to every {self._every:,} steps, so that at most {self._most:,} "
            "checkpoints are kept",
        )

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()


def own_weights(maps: Mapping[str, LinearMap]) -> Weights:
    """The factors of every map whose weight is not that of an earlier one."""
    return {
        name: tuple(map(kept, linear.factors))
        for name, linear in maps.items()
        if linear.tied_to is None
    }


def _opened(
    folder: Path, existing: Existing, template: Network, settings: dict[str, Any]
) -> FolderStore:
    """The store of a folder, which is made, continued or emptied."""
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    sweep_unfinished(folder)
    network = folder / NETWORK
    there = network.exists()
    if there and kind_written(network) == "":
        raise SVRError(
            f"{WRITER} did not write {network}, and writes a file of that name itself; give "
            "another path"
        )
    store = FolderStore(folder, shapes_of(template))
    # A recording that could not be begun, on a full disk for instance, has nothing to lose.
    if (store.written or (there and existing == "resume")) and existing != "replace":
        if existing == "refuse":
            raise SVRError(
                f"{folder} holds a recording of {store.written} checkpoints, which "
                "SVRRecorder.load reads; give another path, or existing='resume' or 'replace'"
            )
        old, as_before = read_network_file(folder)
        check_same(old, template, folder)
        if as_before != settings:
            raise SVRError(f"{folder} was recorded with {as_before}, not {settings}")
        return store
    store.clear()
    write_network_file(folder, template, settings)
    return store


def _add(error: BaseException, message: str) -> None:
    """Say something beside an error that the user is about to see, and nothing in its place."""
    try:
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    except Warning:  # which are errors here
        error.add_note(message)


def _number(value: Any) -> float:
    return float(value.detach() if isinstance(value, torch.Tensor) else value)
