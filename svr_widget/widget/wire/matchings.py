"""Which neurons of several networks are the same, in one container for the page.

Neurons are numbered as in the scenes of their networks, column after column. The first network is
the base, the others are compared with it. ``js/src/wire/matchings.ts`` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from svr_widget.engine.analysis.matching import Matching
from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import Array, encode


def encode_matchings(svrs: Sequence[SVR], matchings: Sequence[Matching | None]) -> bytes:
    """Pack the matchings of the base, the first, with each of the others; None where there is none.

    Of each neuron: its partner, or where it has none the nearest neuron of the other network, -1
    for none; their overlap, NaN where the neuron takes no part; its log10_p; whether it is new or
    gone.
    """
    arrays: dict[str, Array] = {}
    base, *others = map(_Numbering, svrs)
    for place, (other, matching) in enumerate(zip(others, matchings, strict=True), start=1):
        if matching is None:
            continue
        pairs = matching.pairs
        for side, mine, theirs, alone, flag in (
            ("base", base, other, matching.deaths, "gone"),
            ("other", other, base, matching.births, "new"),
        ):
            own, far = ("", "other_") if side == "base" else ("other_", "")
            partner, nearest = mine.all(-1), mine.all(-1)
            overlap, log10_p = np.full(mine.total, np.nan), np.zeros(mine.total)
            alone_flags = np.zeros(mine.total, np.uint8)
            at = mine.of(pairs, own)
            partner[at] = nearest[at] = theirs.of(pairs, far)
            overlap[at], log10_p[at] = pairs["overlap"], pairs["log10_p"]
            at = mine.of(alone, own)
            nearest[at] = np.where(alone[f"{far}k"] >= 0, theirs.of(alone, far), -1)
            overlap[at], log10_p[at] = alone["overlap"], alone["log10_p"]
            alone_flags[at] = alone[flag]
            arrays |= {
                f"partner_{side}_{place}": partner,
                f"nearest_{side}_{place}": nearest,
                f"overlap_{side}_{place}": overlap.astype(np.float32),
                f"log10_p_{side}_{place}": log10_p,
                f"alone_{side}_{place}": alone_flags,
            }
    meta = {"neurons": [base.total, *(other.total for other in others)]}
    return encode({**meta, "matched": [each is not None for each in matchings]}, arrays)


class _Numbering:
    """The numbers of a network's neurons, column after column."""

    def __init__(self, svr: SVR) -> None:
        counts = [len(svr[name]) for name in svr.columns]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.total = int(starts[-1])
        self._start = pd.Series(starts[:-1], index=list(svr.columns), dtype=np.int64)

    def all(self, value: int) -> NDArray[np.int32]:
        return np.full(self.total, value, np.int32)

    def of(self, frame: pd.DataFrame, side: str) -> NDArray[np.int64]:
        starts = self._start.reindex(frame[f"{side}map"]).to_numpy(np.int64)
        return np.asarray(starts + frame[f"{side}k"].to_numpy(np.int64))
