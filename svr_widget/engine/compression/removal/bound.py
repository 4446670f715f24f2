"""Which of the channels that could go may go, where all of them would change the output too much.

A channel group is taken for gone without cutting anything: on a copy of the model no map reads it,
and biases stand for what it emits. Those that share no map with others are measured together first;
where they change next to nothing they are one candidate, else each group is one by itself.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import nn

from svr_widget.engine.compression.removal.channel_groups import Ints, Mask
from svr_widget.engine.compression.removal.outputs import Difference, Outputs
from svr_widget.engine.compression.removal.search import Search
from svr_widget.engine.compression.removal.selection import largest_choice
from svr_widget.engine.compression.removal.surgery import silenced
from svr_widget.engine.model.user_model import copied

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], object]

STEP = "dead channels tried"
"""What progress calls it."""

GLANCE = 2
"""Calls by which it is foretold what each of many candidates changes."""

NEGLIGIBLE = 0.01
"""Share of what is allowed up to which groups are one candidate."""

MOST_CANDIDATES = 256
"""Where there are more, groups of like influence are candidates together."""


class Bound(NamedTuple):
    """How far the output may change.

    Attributes:
        outputs: those of the model as it was.
        tolerance: the largest relative change.
        progress: called while candidates are tried.
    """

    outputs: Outputs
    tolerance: float
    progress: Progress


class KeptBack(NamedTuple):
    """A dead channel that stays for what the output would change.

    Attributes:
        change: how much it changes it alone, relative to the largest entry; with those that are
            one candidate with it.
        why: in words.
    """

    change: float
    why: str


class Trial:
    """The network of a search, run without some of its channel groups.

    Args:
        search: what could go.
        model: that of the search.
        bound: what the output is compared with.
    """

    def __init__(self, search: Search, model: nn.Module, bound: Bound) -> None:
        self._search, self._bound = search, bound
        self._model = copied(model, "so nothing is removed")

    def without(self, gone: Mask, enough: float = math.inf, most: int | None = None) -> Difference:
        """How far the output is from what it was without some nodes, bool ``[nodes]``.

        ``enough`` and ``most`` as in ``Outputs.difference``.
        """
        parts, undo = self._search.structure.network.parts, []
        try:
            for moved in self._search.moved(gone):
                part = parts[moved.name]
                module = self._model.get_submodule(part.path)
                undo.append(silenced(module, part, moved.features, moved.shift))
            return self._bound.outputs.difference(self._model, enough, most)
        finally:
            for put_back in reversed(undo):
                put_back()

    def affordable(
        self, gone: Mask, allowed: float
    ) -> tuple[Mask, dict[tuple[str, int], KeptBack]]:
        """The largest choice of nodes whose change is within bounds, and the channels that stay.

        Args:
            gone: bool ``[nodes]``, what could go.
            allowed: the relative change that it may make.
        """
        candidates = self._candidates(gone, allowed)
        sizes = np.array([self._channels(each) for each in candidates])

        tried = itertools.count()
        total = len(candidates)

        def without(choice: Mask, enough: float) -> Difference:
            self._bound.progress(STEP, min(next(tried), total), total)
            return self.without(self._joined(candidates, choice), enough)

        def glance(choice: Mask) -> Difference:
            self._bound.progress(STEP, min(next(tried), total), total)
            return self.without(self._joined(candidates, choice), most=GLANCE)

        found = largest_choice(sizes, without, allowed, glance)
        self._bound.progress("", total, total)
        chosen = self._joined(candidates, found.chosen)
        alone = np.zeros(len(gone))
        for candidate, change in zip(candidates, found.alone, strict=True):
            alone[candidate] = change
        return chosen, self._kept_back(gone & ~chosen, alone)

    def _kept_back(self, back: Mask, alone: Floats) -> dict[tuple[str, int], KeptBack]:
        search, tolerance = self._search, self._bound.tolerance
        node = search.nodes_of_rows()
        rows = search.table[back[node]].assign(change=alone[node[back[node]]])
        found = {}
        for name, mine in rows.groupby("map", sort=False):
            groups = np.unique(search.structure.group[node[mine.index]])
            together = back & np.isin(search.structure.group, groups)
            count, share = len(mine), self.without(together).relative
            these = f"these {count} together change" if count > 1 else "it changes"
            why = (
                f"{these} the output by {share:.2g} of its largest entry, for which "
                f"tolerance={tolerance:g} leaves no room{self._border(together)}"
            )
            for channel, change in zip(mine["channel"], mine["change"], strict=True):
                found[str(name), int(channel)] = KeptBack(float(change), why)
        return found

    def _border(self, gone: Mask) -> str:
        """Why a bias does not stand for what these nodes emit, if it is for padded zeros."""
        padded = [each for each in self._search.moved(gone) if each.padded.any()]
        if not padded:
            return ""
        largest = max(padded, key=lambda each: float(np.abs(each.constant[each.padded]).max()))
        constant = float(np.abs(largest.constant[largest.padded]).max())
        return (
            f": {largest.name!r} pads zeros beside the constants that it reads there (up to "
            f"{constant:.3g}), so that its bias stands for them only away from the borders"
        )

    def _candidates(self, gone: Mask, allowed: float) -> list[Mask]:
        """Parts of a choice that go or stay as a whole."""
        structure = self._search.structure
        whole: list[Mask] = []
        split: list[list[Mask]] = []
        little = self.without(np.zeros_like(gone)).relative + NEGLIGIBLE * max(allowed, 0.0)
        for unit in structure.units(gone):
            groups = [unit & (structure.group == each) for each in self._by_influence(unit)]
            if len(groups) == 1 or self.without(unit, little).relative <= little:
                whole.append(unit)
            else:
                split.append(groups)
        size = -(-sum(map(len, split)) // MOST_CANDIDATES)
        for groups in split:
            whole += [
                np.logical_or.reduce(groups[start : start + size])
                for start in range(0, len(groups), size)
            ]
        return whole

    def _by_influence(self, unit: Mask) -> Ints:
        """The groups of a part, those of least influence first."""
        group, table = self._search.structure.group, self._search.table
        of_rows = group[self._search.nodes_of_rows()]
        ratio = table["ratio"].groupby(of_rows).max()
        groups = np.unique(group[unit])
        return groups[np.argsort(ratio.reindex(groups).to_numpy(), kind="stable")]

    def _channels(self, nodes: Mask) -> int:
        places = self._search.structure.places
        masks = (self._search.structure.mask(axis, nodes) for axis in places if axis.kind == "out")
        return int(sum(mask.sum() for mask in masks))

    @staticmethod
    def _joined(candidates: list[Mask], choice: Mask) -> Mask:
        joined = np.zeros_like(candidates[0])
        for candidate, taken in zip(candidates, choice, strict=True):
            joined |= candidate & taken
        return joined
