"""A recorded training run: its checkpoints, and the SVR of each."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.file.graph_file import described, network_of, settings_of
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import Link
from svr_widget.engine.network.network import Network
from svr_widget.engine.work.decomposer import Cache
from svr_widget.engine.work.records import read_record, write_record
from svr_widget.engine.work.tensor_json import Writer
from svr_widget.recording.checkpoints import (
    NETWORK,
    NETWORK_KIND,
    WRITER,
    Checkpoint,
    FolderStore,
    Shapes,
    Store,
    Weights,
)
from svr_widget.svr import SVR

NO_GAINS = "the factors of norms are not recorded: dead_channels takes channels behind them as used"


class Recording:
    """The checkpoints of a training run, to be read; ``SVRRecorder`` makes and extends one.

    ``recording[i]`` is the SVR of the ``i``-th checkpoint, made anew at each access, and iterating
    goes through them. Made of links that were traced once and of the weights of the moment, it has
    no model to run: what needs one is refused.

    Attributes:
        title: what the network is called.
        notes: what has to be said about the recording, such as that it was thinned out.

    Examples:
        >>> from svr_widget import Recording, SVRRecorder
        >>> with SVRRecorder(model, every=1, path="run") as recorder:
        ...     _ = recorder.step(loss=0.7)
        >>> recording = Recording.load("run")
        >>> recording
        Recording(Sequential: 2 checkpoints, steps 0 to 1)
        >>> recording.history()[["step", "loss"]]
           step  loss
        0     0   NaN
        1     1   0.7
    """

    def __init__(
        self,
        template: Network,
        settings: dict[str, Any],
        store: Store,
        work: dict[str, Any] | None = None,
    ) -> None:
        self._template, self._settings, self._store = template, settings, store
        self._work = work or {}
        self.title = template.title
        self.notes: tuple[str, ...] = ()
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        device: str | torch.device | None = None,
        executor: Executor | None = None,
        cache: Cache = True,
    ) -> Recording:
        """What an ``SVRRecorder`` wrote to a folder, as far as it came.

        A checkpoint that is damaged or cannot be read is skipped, and a warning names it.

        Args:
            path: of the folder.
            device: as of ``SVR``, for each checkpoint.
            executor: likewise.
            cache: likewise; with a folder no checkpoint is decomposed twice.

        Raises:
            FileNotFoundError: there is no recording.
            SVRError: the file of the network is damaged, or of a newer version.
        """
        folder = Path(path).absolute()
        if not (folder / NETWORK).is_file():
            raise FileNotFoundError(f"there is no recording in {folder}")
        network, settings = read_network_file(folder)
        work = {"device": device, "executor": executor, "cache": cache}
        return Recording(network, settings, FolderStore(folder, shapes_of(network)), work)

    @property
    def checkpoints(self) -> tuple[Checkpoint, ...]:
        """Those that are kept, by their step."""
        return self._store.checkpoints

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of the checkpoints that are kept."""
        return tuple(checkpoint.step for checkpoint in self.checkpoints)

    def __len__(self) -> int:
        return len(self.checkpoints)

    def __getitem__(self, place: int) -> SVR:
        return self.svr(self.steps[place])

    def __iter__(self) -> Iterator[SVR]:
        """Every SVR in turn; what is damaged or dropped on the way is left out."""
        for step in self.steps:
            try:
                weights = self._store.weights(step)
            except KeyError:
                continue
            except (SVRError, OSError) as error:
                warnings.warn(f"a checkpoint is skipped: {error}", RuntimeWarning, stacklevel=2)
                continue
            yield self._svr_of(weights)

    def svr(self, step: int) -> SVR:
        """The SVR of one checkpoint, nothing of it computed yet.

        Raises:
            KeyError: that step is not kept.
            SVRError: its file is damaged.
        """
        try:
            weights = self._store.weights(step)
        except KeyError:
            raise KeyError(f"no checkpoint of step {step}; there are {_some(self.steps)}") from None
        return self._svr_of(weights)

    def _svr_of(self, weights: Weights) -> SVR:
        network = replace(self._template, maps=self._maps(weights))
        return SVR(network, **self._settings, **self._work)

    def history(self) -> pd.DataFrame:
        """A row for each checkpoint: step, label and the numbers that came with it."""
        rows = [{"step": c.step, "label": c.label, **c.metrics} for c in self.checkpoints]
        return pd.DataFrame(rows, columns=None if rows else ["step", "label"])

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call ``listener()`` whenever checkpoints come or go, where they do; returns what ends it.

        It runs inside the training loop and must not take long.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def __repr__(self) -> str:
        steps = self.steps
        reach = f", steps {steps[0]:,} to {steps[-1]:,}" if steps else ""
        notes = "".join(f"; {note}" for note in self.notes)
        return f"{type(self).__name__}({self.title}: {len(steps)} checkpoints{reach}{notes})"

    def _maps(self, weights: Weights) -> dict[str, LinearMap]:
        maps: dict[str, LinearMap] = {}
        for name, linear in self._template.maps.items():
            if linear.tied_to is None:
                maps[name] = replace(linear, factors=weights[name])
                continue
            shared = weights[linear.tied_to][0]
            first = self._template.maps[linear.tied_to].factors[0]
            same = linear.factors[0].stride() == first.stride()
            maps[name] = replace(linear, factors=(shared if same else shared.T,))
        return maps


def template_of(svr: SVR) -> Network:
    """What all checkpoints of a network have in common: everything but the values of weights."""
    maps = {
        name: replace(linear, factors=tuple(factor.to("meta") for factor in linear.factors))
        for name, linear in svr.maps.items()
    }
    links = tuple(_without_gains(link) for link in svr.links.values())
    outlets = tuple(_without_gains(link) for link in svr.outlets)
    told = [NO_GAINS] if any(link.gains is not None for link in (*links, *outlets)) else []
    notes = (*svr.notes, *told)
    return Network(svr.title, maps, links, notes, outlets=outlets, unlinked=svr.unlinked)


def shapes_of(template: Network) -> Shapes:
    """The shapes of the weights that each checkpoint of a network has."""
    return {
        name: tuple(tuple(factor.shape) for factor in linear.factors)
        for name, linear in template.maps.items()
        if linear.tied_to is None
    }


def _without_gains(link: Link) -> Link:
    """A norm's factors change with training: unknown where there are any."""
    if link.gains is None:
        return link
    return replace(link, gains=torch.full_like(link.gains, torch.nan))


def write_network_file(folder: Path, template: Network, settings: dict[str, Any]) -> None:
    """Write what the checkpoints of a folder have in common."""
    writer = Writer()
    record = described(SVR(template, **settings), writer, weights=False)
    write_record(folder / NETWORK, NETWORK_KIND, record, writer.tensors)


def read_network_file(folder: Path) -> tuple[Network, dict[str, Any]]:
    """What ``write_network_file`` wrote: the network without weights, and the settings."""
    with read_record(folder / NETWORK, NETWORK_KIND, WRITER) as (record, tensors):
        network, settings = network_of(record, tensors), settings_of(record)
        SVR(network, **settings)  # raises where they are none
        return network, settings


def check_same(old: Network, new: Network, folder: Path) -> None:
    """Raise ``SVRError`` where a folder holds checkpoints of another network."""
    before, now = (
        {name: linear.shape for name, linear in network.maps.items()} for network in (old, new)
    )
    for name in dict.fromkeys((*before, *now)):
        if before.get(name) != now.get(name):
            shapes = [
                "x".join(map(str, shape)) if shape else "absent"
                for shape in (before.get(name), now.get(name))
            ]
            raise SVRError(
                f"{folder} holds checkpoints of another network: map {name!r} is {shapes[0]} "
                f"there and {shapes[1]} here; give another path, or existing='replace'"
            )


def _some(steps: tuple[int, ...], shown: int = 6) -> str:
    if len(steps) <= shown:
        return ", ".join(map(str, steps)) or "none"
    return f"{', '.join(map(str, steps[: shown - 1]))}, ... {steps[-1]}"
