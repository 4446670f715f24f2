"""Spectral neurons followed through a sequence of checkpoints (births, lives and deaths).

From one checkpoint to the next neurons are paired as ``SVR.match`` pairs them, and a neuron keeps
its number as long as it has a partner. What matches nothing of the checkpoint before is born and
gets a number of its own; what has no partner in the next one has died, for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from svr_widget.engine.graph.columns import Column
from svr_widget.svr import SVR

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Moment:
    """The neurons of one checkpoint among those of all.

    Attributes:
        numbers: for each column, int64 ``[M]``: which neuron of the sequence each is; numbers are
            never used twice in a column. Null neurons, whose vectors are arbitrary, have -1.
        births: ``Matching.births`` since the checkpoint before; empty at the first.
        deaths: ``Matching.deaths`` likewise.
    """

    numbers: Mapping[str, Numbers]
    births: pd.DataFrame
    deaths: pd.DataFrame


class Followed:
    """Numbers the neurons of checkpoints that come one after the other.

    Args:
        level: as in ``SVR.match``, for each pair of checkpoints.
    """

    def __init__(self, level: float = 0.05) -> None:
        self.level = level
        self._last: tuple[SVR, Mapping[str, Numbers]] | None = None
        self._next: dict[str, int] = {}

    def prepare(self) -> None:
        """Make the laws that the next match needs, which takes longer than a match itself."""
        if self._last is not None:
            self._last[0].match(self._last[0], level=self.level)

    def add(self, svr: SVR) -> Moment:
        """Number the neurons of the next checkpoint.

        Raises:
            SVRError: its maps have other names or shapes than those of the one before.
        """
        if self._last is None:
            moment = Moment(self._numbered(svr, {}), pd.DataFrame(), pd.DataFrame())
        else:
            before, numbers = self._last
            known: dict[Column, dict[int, int]] = {}
            matchings = {
                side: before.by_method(side).match(
                    svr, {name: name for name in before.maps}, level=self.level
                )
                for side in {side for _, side in svr.columns.values()}
            }
            columns = {column: numbers[name] for name, column in before.columns.items()}
            for side, matching in matchings.items():
                pairs = matching.pairs
                for name, k, other in zip(pairs["map"], pairs["k"], pairs["other_k"], strict=True):
                    column = Column(name, side)
                    if column in columns:
                        known.setdefault(column, {})[other] = int(columns[column][k])
            said = matchings.get(svr.flattening) or next(iter(matchings.values()))
            moment = Moment(self._numbered(svr, known), said.births, said.deaths)
        self._last = svr, moment.numbers
        return moment

    def _numbered(self, svr: SVR, known: Mapping[Column, Mapping[int, int]]) -> dict[str, Numbers]:
        numbers: dict[str, Numbers] = {}
        for name, column in svr.columns.items():
            neurons, paired = svr[name], known.get(column, {})
            mine = np.full(len(neurons), -1)
            for k in np.flatnonzero(~neurons.null.numpy()).tolist():
                if k in paired:
                    mine[k] = paired[k]
                else:
                    mine[k] = self._next[name] = self._next.get(name, -1) + 1
            numbers[name] = mine
        return numbers
