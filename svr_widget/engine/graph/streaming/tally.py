"""Entries of one law as they pass: counted on a grid of p-values, and the strongest kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import special
from torch import Tensor

from svr_widget.engine.significance.entries import Counts, Cuts, LinkTests, least_weights
from svr_widget.engine.significance.nulls import Kind, NullLaw
from svr_widget.engine.significance.stops import ROUND
from svr_widget.engine.significance.tails import Floats

KINDS: tuple[Kind, ...] = get_args(Kind)
Weights = NDArray[np.floating]
Numbers = NDArray[np.int32]
# Cuts whose logarithms differ by less are the same: the same level, computed in two ways.
_SAME = 1e-12


@lru_cache(maxsize=1)
def grid() -> Floats:
    """Natural logs of the p-values that are counted at, from strict to loose.

    Numbers of three digits, some 1 % apart from 1e-12 on, and all the round levels there are.
    """
    decades = np.concatenate([np.linspace(-300, -12, 1153)[:-1], np.linspace(-12, 0, 2761)])
    p = np.array([float(f"{each:.2e}") for each in 10.0**decades])
    sigma = np.unique([*np.arange(0, 8, 0.05).round(2), *ROUND["sigma"]])
    log_p = np.concatenate([np.log(p), np.log(ROUND["p"]), special.log_ndtr(-sigma)])
    found: Floats = np.unique(log_p[log_p <= 0])
    apart = np.append(True, np.diff(found) > _SAME * np.abs(found[1:]))
    found = found[apart]
    found.flags.writeable = False
    return found


class Kept(NamedTuple):
    """Entries with their places, as parallel arrays ``[k]``.

    Attributes:
        weight: the entries.
        key: the number of each one's test key.
        n, m: the consumer's neuron, the producer's.
    """

    weight: Weights
    key: Numbers
    n: Numbers
    m: Numbers

    @classmethod
    def joined(cls, parts: Sequence[Kept], dtype: np.dtype[np.floating]) -> Kept:
        """All of them, in the order given."""
        none = np.empty(0, np.int32)
        empty = cls(np.empty(0, dtype), none, none, none)
        return cls._make(np.concatenate(columns) for columns in zip(empty, *parts, strict=True))

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp] | slice) -> Kept:
        """Some of them."""
        return Kept._make(column[which] for column in self)


class Tally:
    """The entries of one law and precision.

    Args:
        law: their law, the exact one.
        dtype: their precision.
        counted: whether they are counted on the grid; else all of them are kept.

    Attributes:
        size: how many there are.
        kept_from: entries that are at least this are kept.
        kept: those, once the pass is over by ascending weight.
    """

    def __init__(self, law: NullLaw, dtype: np.dtype[np.floating], *, counted: bool) -> None:
        self.laws = {kind: replace(law, kind=kind) for kind in KINDS}
        self.dtype, self.counted = dtype, counted
        self.size = 0
        self.kept_from = dtype.type(0)
        self.weights: dict[Kind, Weights] = {}
        self.counts: dict[Kind, Counts] = {}
        if counted:
            self.weights = {k: least_weights(law, grid(), dtype) for k, law in self.laws.items()}
            self.counts = {kind: np.zeros(len(grid()), np.int64) for kind in KINDS}
        self._parts: list[Kept] = []
        self.kept_size = 0
        self.brackets: dict[Kind, dict[int, Kept]] = {kind: {} for kind in KINDS}

    # While the entries pass.

    def add(self, entries: Tensor) -> dict[Kind, Counts]:
        """Count entries, in any order; gives back what that adds on the grid."""
        self.size += entries.numel()
        if not self.counted:
            return {}
        added = {
            kind: entries.numel() - below
            for kind, below in zip(
                self.weights, _below(entries, list(self.weights.values())), strict=True
            )
        }
        for kind, counts in added.items():
            self.counts[kind] += counts
        return added

    def keep(self, entries: Kept) -> None:
        """Keep entries, all of them at least ``kept_from``."""
        if entries.weight.size:
            self._parts.append(entries)
            self.kept_size += entries.weight.size

    def kept_at(self) -> Counts:
        """How many of those kept are significant at the grid's cuts, by the exact law."""
        ascending = np.sort(self.kept.weight)
        return ascending.size - np.searchsorted(ascending, self.weights["exact"])

    def keep_from(self, place: int) -> None:
        """Let go of what is not significant at a cut of the grid, by the exact law."""
        self.kept_from = max(self.kept_from, self.weights["exact"][place])
        kept = self.kept
        self._parts = [kept.chosen(kept.weight >= self.kept_from)]
        self.kept_size = self._parts[0].weight.size

    @property
    def kept(self) -> Kept:
        """What is kept so far."""
        if len(self._parts) != 1:
            self._parts = [Kept.joined(self._parts, self.dtype)]
        return self._parts[0]

    def end(self) -> None:
        """Sort what was kept."""
        kept = self.kept
        self._parts = [kept.chosen(np.argsort(kept.weight, kind="stable"))]

    # After it.

    def unresolved(self, kind: Kind, log_p: Floats) -> NDArray[np.intp]:
        """Brackets of the grid in which a pass has to look for the counts at cuts."""
        if not self.counted:
            return np.empty(0, np.intp)
        inside, _ = self.among_kept(kind, log_p)
        places, on_grid = _places(log_p)
        open_ = np.unique(places[~inside & ~on_grid])
        return np.array([at for at in open_ if at not in self.brackets[kind]], np.intp)

    def bracket(self, kind: Kind, place: int) -> tuple[float, float]:
        """The entries between two cuts of the grid: from the first on, below the second."""
        weights = self.weights[kind]
        above = float(weights[place - 1]) if place else np.inf
        return float(weights[place]), above

    def among_kept(self, kind: Kind, log_p: Floats) -> tuple[NDArray[np.bool_], Counts]:
        """Whether what is kept tells the counts at cuts ``[k]``; the counts among what is kept."""
        cuts = Cuts.of(self.laws[kind], log_p, self.dtype)
        inside = cuts.doubtful >= self.kept_from
        if not self.counted:
            inside[:] = True
        return inside, LinkTests(self.laws[kind], self.kept.weight).count(cuts)

    def around(self, kind: Kind, log_p: float) -> tuple[int, Kept | None]:
        """The loosest cut of the grid that is not looser, and the entries beyond it.

        -1 where there is none, None where the cut lies on the grid.
        """
        places, on_grid = _places(np.array([log_p]))
        place = int(places[0])
        return (place, None) if on_grid[0] else (place - 1, self.brackets[kind][place])

    def count(self, kind: Kind, log_p: Floats) -> Counts:
        """How many entries are significant at cuts ``[k]``, all of which are resolved."""
        inside, found = self.among_kept(kind, log_p)
        for at in np.flatnonzero(~inside):
            place, bracketed = self.around(kind, log_p[at])
            found[at] = self.counts[kind][place] if place >= 0 else 0
            if bracketed is not None:
                found[at] += self.among(bracketed, kind, log_p[at : at + 1])[0]
        return found

    def among(self, ascending: Kept, kind: Kind, log_p: Floats) -> Counts:
        """How many of some entries are significant at cuts ``[k]``."""
        law = self.laws[kind]
        return LinkTests(law, ascending.weight).count(Cuts.of(law, log_p, self.dtype))


def _below(entries: Tensor, borders: list[Weights]) -> list[Counts]:
    """How many entries lie below each of some numbers."""
    if entries.device.type == "cpu":  # NumPy sorts many times as fast there
        ascending = np.sort(entries.numpy(), axis=None)
        return [np.searchsorted(ascending, each) for each in borders]
    sorted_ = entries.flatten().sort().values
    at = [torch.from_numpy(each).to(entries.device) for each in borders]
    return [torch.searchsorted(sorted_, each).cpu().numpy() for each in at]


def _places(log_p: Floats) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The place of the first cut of the grid that is not stricter, and whether it is the same."""
    tolerance = _SAME * np.abs(log_p)
    places = np.searchsorted(grid(), log_p - tolerance)
    on_grid = np.abs(grid()[places] - log_p) <= tolerance
    return places, on_grid
