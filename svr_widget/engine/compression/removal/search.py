"""One search: the channels that are dead in a network as it is, and which of them can go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.compression.removal.channel_groups import (
    Axis,
    Ints,
    Mask,
    Structure,
    out_features,
)
from svr_widget.engine.compression.removal.emission import DRAWS, STILL, Emission, emissions
from svr_widget.engine.compression.removal.surgery import bias_shift, pads_zeros
from svr_widget.engine.model.example_inputs import Example

LAST = "a layer needs at least one channel"
UNREAD = "nothing is known to read it"


class Moved(NamedTuple):
    """Constants that a map read and that its bias stands for from now on.

    Attributes:
        name: the map.
        shift: float64 ``[out]``, what is added to its bias.
        features: int64 ``[n]``, the input features.
        constant: float64 ``[n]``, what it read in them.
        padded: bool ``[n]``, whether the bias stands for it away from the borders only.
    """

    name: str
    shift: Tensor
    features: Ints
    constant: NDArray[np.float64]
    padded: Mask


class Search:
    """Which channel groups can go.

    Attributes:
        structure: the channel groups of the network.
        table: its dead channels, as ``without_influence`` lists them.
        why: of groups that hold dead channels and stay, the reason.
        gone: bool ``[nodes]``, what can go.
    """

    def __init__(
        self,
        structure: Structure,
        table: pd.DataFrame,
        rigid: Mapping[Axis, str],
        example: Example,
        kept_back: Mapping[tuple[str, int], str],
    ) -> None:
        """Search.

        Args:
            structure: the channel groups of the network.
            table: its dead channels.
            rigid: axes that turned out to have a fixed length, and why.
            example: what the model is called with.
            kept_back: channels of maps that are to stay for what the output would change, and
                words for that.
        """
        self.structure, self.table = structure, table.reset_index(drop=True)
        self._example = example
        self._dead = {
            str(name): self._features(str(name), rows.to_numpy())
            for name, rows in self.table.groupby("map", sort=False)["channel"]
        }
        self.why = self._held(rigid, kept_back)
        candidates = np.setdiff1d(self._groups_of_dead(), list(self.why))
        self._emissions = self._emit(candidates) if candidates.size else {}
        free = [int(number) for number in candidates if self._is_constant(int(number))]
        self.gone = np.isin(structure.group, free)
        self._spare_one()

    def reasons(self) -> list[str]:
        """For each row of the table why it is still there."""
        groups = self.structure.group[self.nodes_of_rows()]
        return [self.why.get(int(group), UNREAD) for group in groups]

    def nodes_of_rows(self) -> Ints:
        """int64 ``[rows]``: a node of each row of the table."""
        pairs = zip(self.table["map"], self.table["channel"], strict=True)
        nodes = [self._nodes(str(name), np.array([channel]))[0] for name, channel in pairs]
        return np.array(nodes, dtype=np.int64)

    def moved(self, gone: Mask) -> Iterator[Moved]:
        """The constants that maps read in nodes that go."""
        network = self.structure.network
        for name, emission in self._emissions.items():
            going = self.structure.mask(Axis("in", name), gone)[emission.features.numpy()]
            if not going.any():
                continue
            part, chosen = network.parts[name], torch.from_numpy(going)
            shift = bias_shift(part, part.weight(), emission, chosen)
            constant = emission.constant[chosen].numpy()
            uneven = emission.uneven[chosen].numpy() | pads_zeros(part.module)
            features = emission.features[chosen].numpy()
            yield Moved(name, shift, features, constant, uneven & (constant != 0))

    def _features(self, name: str, channels: Ints) -> Tensor:
        linear = self.structure.network.maps[name]
        return out_features(linear, torch.from_numpy(channels.astype(np.int64))).flatten()

    def _nodes(self, name: str, channels: Ints) -> Ints:
        """The nodes of some channels of a map."""
        start = self.structure.places[Axis("out", name)].start
        return np.asarray(start + self._features(name, channels).numpy())

    def _groups_of_dead(self) -> Ints:
        named = self.table.groupby("map", sort=False)["channel"]
        nodes = [self._nodes(str(name), channels.to_numpy()) for name, channels in named]
        return np.unique(self.structure.group[np.concatenate([np.empty(0, np.int64), *nodes])])

    def _held(
        self, rigid: Mapping[Axis, str], kept_back: Mapping[tuple[str, int], str]
    ) -> dict[int, str]:
        held = dict(self.structure.held)
        for (name, channel), why in kept_back.items():
            for number in np.unique(self.structure.group[self._nodes(name, np.array([channel]))]):
                held.setdefault(int(number), why)
        for axis, why in rigid.items():
            place = self.structure.places.get(axis, range(0))
            for number in np.unique(self.structure.group[place.start : place.stop]):
                held.setdefault(int(number), why)
        return held

    def _emit(self, candidates: Ints) -> dict[str, Emission]:
        network = self.structure.network
        assert network.model is not None
        of_candidates = np.isin(self.structure.group, candidates)
        wanted = {}
        for name, part in network.parts.items():
            features = np.flatnonzero(self.structure.mask(Axis("in", name), of_candidates))
            if part.groups == 1 and features.size:
                wanted[name] = torch.from_numpy(features)
        return emissions(
            network.model, network.parts, self._dead, wanted, self._example, network.run_live
        )

    def _is_constant(self, number: int) -> bool:
        """Whether all that reads a group reads constants; else says why not."""
        members = self.structure.group == number
        read = False
        for name, emission in self._emissions.items():
            mine = self.structure.mask(Axis("in", name), members)[emission.features.numpy()]
            if not mine.any():
                continue
            read = True
            if emission.calls != DRAWS:
                self.why[number] = f"{name!r} is not applied by calling its module"
                return False
            if bool((emission.moved[torch.from_numpy(mine)] > STILL).any()):
                self.why[number] = self._alive(name, members)
                return False
        if not read:
            self.why[number] = UNREAD
        return read

    def _alive(self, reader: str, members: Mask) -> str:
        """Why a map still reads something that varies."""
        alive = []
        for axis in self.structure.axes_of(members):
            if axis.kind == "out":
                here = np.flatnonzero(self.structure.mask(axis, members))
                dead = self._dead.get(axis.name, torch.empty(0)).numpy()
                if np.setdiff1d(here, dead).size:
                    alive.append(repr(axis.name))
        if alive:
            return f"{reader!r} reads it joined with channels of {', '.join(alive)} that are alive"
        return f"what {reader!r} reads in it still varies"

    def _spare_one(self) -> None:
        """Let no axis lose all of its nodes."""
        structure = self.structure
        while True:
            empty = [a for a in structure.places if structure.mask(a, self.gone).all()]
            if not empty:
                return
            number = int(structure.group[structure.places[empty[0]].start])
            self.gone &= structure.group != number
            self.why[number] = LAST
