"""The rounds of a removal: search, cut, read the smaller model, search again."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import nn

from svr_widget.engine.analysis.dead_channels import without_influence
from svr_widget.engine.compression.removal.bound import Bound, KeptBack, Trial
from svr_widget.engine.compression.removal.channel_groups import (
    Axis,
    Mask,
    Structure,
    out_features,
    structure_of,
)
from svr_widget.engine.compression.removal.search import Search
from svr_widget.engine.compression.removal.surgery import cut, shift_bias
from svr_widget.engine.environment.threads import uninterrupted
from svr_widget.engine.errors import SVRError
from svr_widget.engine.model.example_inputs import Example
from svr_widget.engine.model.user_model import copied, running
from svr_widget.engine.network.network import Network
from svr_widget.engine.network.sources import read_network

COMPANION = "belongs to one"


@dataclass
class Removing:
    """A model that loses its dead channels, round by round.

    Attributes:
        model: as it is now; the one that was given is never touched.
        example: what it is called with.
        names: the modules that count as maps.
        influence: the share of the largest influence up to which a channel is dead.
        live: the model can only be run as it is.
        chosen: the maps whose channels may go; None for all.
        bound: how far the output may change; None for as far as it does.
        removed, kept, moved: the frames of the report.
        rounds: how often something went.
    """

    model: nn.Module
    example: Example
    names: Sequence[str]
    influence: float
    live: bool = False
    chosen: Collection[str] | None = None
    bound: Bound | None = None
    removed: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["map", "channel", "round", "ratio", "why"])
    )
    kept: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["map", "channel", "ratio", "change", "why"])
    )
    moved: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["map", "channel", "constant", "padded"])
    )
    rounds: int = 0

    def __post_init__(self) -> None:
        self._structure = self._read(self.model)
        self._rigid: dict[Axis, str] = {}
        self._kept_back: dict[tuple[str, int], KeptBack] = {}
        self._read_from = {
            name: np.arange(part.inputs) for name, part in self.network.parts.items()
        }
        self._written = {
            name: np.arange(linear.out_channels) for name, linear in self.network.maps.items()
        }

    @property
    def network(self) -> Network:
        """The network as it is now."""
        return self._structure.network

    def run(self) -> None:
        """Remove until a search finds nothing more that can go."""
        while self._round():
            pass

    def _read(self, model: nn.Module) -> Structure:
        network = read_network(
            model,
            self.example,
            include=self.names,
            attention="plain",
            meetings=True,
            run_live=self.live,
        )
        return structure_of(network)

    def _round(self) -> bool:
        network = self.network
        dead = without_influence(network.maps, network.links, network.outlets, self.influence)
        if self.chosen is not None:
            dead = dead[dead["map"].isin(list(self.chosen))]
        search = Search(self._structure, dead, self._rigid, self.example, self._staying())
        if not search.gone.any():
            self._note_kept(search)
            return False
        gone, made = self._without(search.gone, search)
        if made is not None and self.bound is not None:
            gone, made = self._within(self.bound, gone, made, search)
        if made is None:
            return self._round()  # all of it is rigid now or kept back, and said to be
        self.rounds += 1
        self._note_gone(gone, search)
        self.model, self._structure = made
        return True

    def _staying(self) -> dict[tuple[str, int], str]:
        """The channels that are kept back, by their numbers of now, and why."""
        return {
            (name, int(np.flatnonzero(self._written[name] == channel)[0])): kept.why
            for (name, channel), kept in self._kept_back.items()
        }

    def _within(
        self, bound: Bound, gone: Mask, made: tuple[nn.Module, Structure], search: Search
    ) -> tuple[Mask, tuple[nn.Module, Structure] | None]:
        """The model without as much as the bound allows; what is over is kept back."""
        trial: Trial | None = None
        margin = 0.0
        while True:
            change = bound.outputs.difference(made[0]).relative
            if change <= bound.tolerance:
                return gone, made
            trial = trial or Trial(search, self.model, bound)
            chosen, back = trial.affordable(gone, bound.tolerance - margin)
            for (name, channel), kept in back.items():
                self._kept_back[name, int(self._written[name][channel])] = kept
            if not chosen.any():
                return chosen, None
            if (chosen == gone).all():
                # What is cut sums in another order than what is silenced: rounding decides.
                margin = max(2 * margin, 2 * (change - bound.tolerance))
            gone, cut_out = self._without(chosen, search)
            if cut_out is None:
                return gone, None
            made = cut_out

    def _without(
        self, wanted: Mask, search: Search
    ) -> tuple[Mask, tuple[nn.Module, Structure] | None]:
        """The model without some nodes, as far as it then pairs the other channels as before."""
        made, why = self._attempt(wanted, search)
        if not why:
            return wanted, made
        done = np.zeros_like(wanted)
        for unit in self._structure.units(wanted):
            tried, why = self._attempt(done | unit, search)
            if why:
                self._rigid |= dict.fromkeys(self._structure.axes_of(unit), why)
            else:
                done, made = done | unit, tried
        return done, made

    def _attempt(
        self, gone: Mask, search: Search
    ) -> tuple[tuple[nn.Module, Structure] | None, str]:
        """The model without some nodes; or why it is then another function."""
        model = copied(self.model, "so nothing is removed")
        for moved in search.moved(gone):
            path = self.network.parts[moved.name].path
            shift_bias(model.get_submodule(path), moved.shift)
        cut(model, self._structure, gone)
        try:
            smaller = self._read(model)
            _run(model, self.example, self.live)
        except Exception as error:  # whatever the model raises for a width that it does not take
            cause = (isinstance(error, SVRError) and error.__cause__) or error
            words = (str(cause).strip().splitlines() or [""])[0]
            return None, f"the model's own code fixes the width ({type(cause).__name__}: {words})"
        if not self._structure.survives(gone, smaller):
            return None, "the model's own code counts on the width: others would change places"
        return (model, smaller), ""

    def _note_gone(self, gone: Mask, search: Search) -> None:
        """Rows of the report, and the numbers of the channels that are left."""
        rows = [self.removed, *self._rows(gone, search)]
        self.removed = _joined(rows)
        moved = [self.moved]
        for constants in search.moved(gone):
            name = constants.name
            frame = {
                "map": name,
                "channel": self._read_from[name][constants.features],
                "constant": constants.constant,
                "padded": constants.padded,
            }
            moved.append(pd.DataFrame(frame))
        self.moved = _joined(moved)
        for name in self.network.parts:
            left = ~self._structure.mask(Axis("in", name), gone)
            self._read_from[name] = self._read_from[name][left]
        for name, lost in self._channels(gone):
            self._written[name] = self._written[name][~lost]

    def _rows(self, gone: Mask, search: Search) -> Iterator[pd.DataFrame]:
        for name, lost in self._channels(gone):
            dead = search.table[search.table["map"] == name].set_index("channel")
            here = dead.reindex(np.flatnonzero(lost))
            yield pd.DataFrame(
                {
                    "map": name,
                    "channel": self._written[name][lost],
                    "round": self.rounds,
                    "ratio": here["ratio"].to_numpy(dtype=float),
                    "why": here["why"].fillna(COMPANION).to_numpy(dtype=object),
                }
            )

    def _channels(self, gone: Mask) -> Iterator[tuple[str, Mask]]:
        """Which channels of each map go, all of their features."""
        for name, linear in self.network.maps.items():
            features = out_features(linear, torch.arange(linear.out_channels)).numpy()
            yield name, self._structure.mask(Axis("out", name), gone)[features].all(axis=1)

    def _note_kept(self, search: Search) -> None:
        rows = search.table[["map", "channel", "ratio"]].copy()
        pairs = zip(rows["map"], rows["channel"], strict=True)
        numbers = [self._written[str(name)][channel] for name, channel in pairs]
        back = (self._kept_back.get((str(n), k)) for n, k in zip(rows["map"], numbers, strict=True))
        self.kept = rows.assign(
            channel=np.array(numbers, dtype=int),
            change=np.array([np.nan if each is None else each.change for each in back]),
            why=search.reasons(),
        )


@uninterrupted
def _run(model: nn.Module, example: Example, live: bool) -> None:
    with running(model, live=live) as run:
        run(*example.args, **example.kwargs)


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One frame of several; those without rows have no types to keep."""
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else frames[0]
