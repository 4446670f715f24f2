"""Where the graph's columns stand and how high its neurons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.graph.brackets import Seen, seen_of
from svr_widget.engine.graph.folding import modules_of
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.maps.labels import labels_of

Floats = NDArray[np.float64]
YScale = Literal["auto", "linear", "log", "relative", "rank"]

_BRANCH_GAP = 0.5
"""Parallel branches stand this far apart, where maps of successive depths stand 1 apart."""


@dataclass(frozen=True)
class Places:
    """Where columns stand.

    Attributes:
        seen: what is seen as one column each, from left to right.
        x: the place of each of these.
        ranks: their depths, counted among those that occur.
        of: the place in ``seen`` of every column, by its name.
        shared: what the names of most columns begin with and no label says.
    """

    seen: Seen
    x: list[float]
    ranks: list[int]
    of: dict[str, int]
    shared: str


def places(graph: SpectralGraph, folded: Iterable[str] | None = None) -> Places:
    """The place of each column: by depth, parallel branches side by side.

    Args:
        graph: whose columns they are.
        folded: names of modules that are one column each; None for as many as leave some 24.

    Raises:
        SVRError: a name is that of no module.
    """
    names = list(graph.columns)
    depths = [graph.maps[column.map].depth for column in graph.columns.values()]
    labels = labels_of({name: graph.maps[column.map] for name, column in graph.columns.items()})
    seen = seen_of(names, depths, modules_of(names), labels, folded)
    least = [min(depths[at] for at in column.columns) for column in seen.columns]
    rank_of = {depth: rank for rank, depth in enumerate(sorted(set(least)))}
    steps = [_BRANCH_GAP if a == b else 1.0 for a, b in pairwise(least)]
    return Places(
        seen,
        list(accumulate(steps, initial=0.0))[: len(least)],
        [rank_of[depth] for depth in least],
        {names[at]: place for place, (_, held, _) in enumerate(seen.columns) for at in held},
        labels.shared,
    )


@dataclass(frozen=True)
class Heights:
    """How high the neurons of each column stand.

    Attributes:
        y: by column, in the units of the axis.
        label: what the axis shows.
        limits: its lower and upper end.
        logarithmic: whether it is a logarithmic one.
        ticks: what stands at which height; empty for round numbers.
    """

    y: dict[str, Floats]
    label: str
    limits: tuple[float, float]
    logarithmic: bool = False
    ticks: Mapping[float, str] = field(default_factory=dict)

    def share(self, y: Floats) -> Floats:
        """The share of the axis below each height."""
        low, high = self._scaled(np.array(self.limits))
        return np.asarray((self._scaled(y) - low) / (high - low))

    def at(self, share: Floats) -> Floats:
        """The height below which there is this share of the axis: the inverse of ``share``."""
        low, high = self._scaled(np.array(self.limits))
        height = low + share * (high - low)
        return np.asarray(np.exp(height) if self.logarithmic else height)

    def with_room(self, share: float) -> Heights:
        """The same with so much more above: a share of what the axis has now."""
        return replace(self, limits=(self.limits[0], float(self.at(np.array(1 + share)))))

    def _scaled(self, y: Floats) -> Floats:
        return np.asarray(np.log(y) if self.logarithmic else y)


def heights(graph: SpectralGraph, scale: YScale) -> Heights:
    """Heights by singular value, on one of the widget's axes.

    Raises:
        SVRError: an unknown scale.
    """
    if scale not in (known := get_args(YScale)):
        names = ", ".join(map(repr, known))
        raise SVRError(f"y_scale must be one of {names}, got {scale!r}{nearest_name(scale, known)}")
    return _SCALES[scale_of(graph) if scale == "auto" else scale](graph)


_SQUASHED = 5.0
"""Kinds of maps whose medians lie further apart than this do not share a linear axis."""
_LONGEST_LOG = 1e6
"""Singular values that span more have no logarithmic axis on which anything is told apart."""


def scale_of(graph: SpectralGraph) -> YScale:
    """The scale on which no kind of map is squashed, as the widget chooses it.

    Linear, unless the medians of two kinds differ by more than ``_SQUASHED``; then logarithmic, or
    relative where singular values span too much for that. Gates and heads are kinds of their own.
    """
    values: dict[tuple[str, str], list[Floats]] = {}
    for name, column in graph.columns.items():
        live = graph[name].S.numpy()[~graph[name].null.numpy()]
        part = re.sub(r"\d+", "", name.partition("[")[2])
        values.setdefault((graph.maps[column.map].kind, part), []).append(live[live > 0])
    kinds = [np.concatenate(each) for each in values.values()]
    kinds = [each for each in kinds if each.size]
    medians = [float(np.median(each)) for each in kinds]
    if len(medians) < 2 or max(medians) <= _SQUASHED * min(medians):
        return "linear"
    largest, smallest = max(map(np.max, kinds)), min(map(np.min, kinds))
    return "log" if largest <= _LONGEST_LOG * smallest else "relative"


def _values(graph: SpectralGraph) -> dict[str, Floats]:
    return {name: graph[name].S.numpy() for name in graph.columns}


def _linear(graph: SpectralGraph) -> Heights:
    values = _values(graph)
    largest = max((float(S.max(initial=0.0)) for S in values.values()), default=0.0) or 1.0
    return Heights(values, "singular value", (-0.015 * largest, 1.04 * largest))


def _relative(graph: SpectralGraph) -> Heights:
    values = {name: S / (float(S.max(initial=0.0)) or 1.0) for name, S in _values(graph).items()}
    return Heights(values, "singular value, relative to its map's largest", (-0.015, 1.04))


def _rank(graph: SpectralGraph) -> Heights:
    values = {
        name: 1 - np.arange(len(S)) / max(len(S) - 1, 1) for name, S in _values(graph).items()
    }
    ticks = {0.0: "last", 0.5: "", 1.0: "first"}
    return Heights(values, "rank in its map", (-0.02, 1.04), ticks=ticks)


def _log(graph: SpectralGraph) -> Heights:
    """What is zero but for rounding lies at the bottom: its logarithm would mean nothing."""
    values = _values(graph)
    live = [S[~graph[name].null.numpy()] for name, S in values.items()]
    every = np.concatenate(live)
    every = every[every > 0]
    if not every.size:
        return _linear(graph)
    largest = float(every.max())
    smallest = min(float(every.min()), largest / 2)
    room = (largest / smallest) ** 0.04
    floor = smallest / room
    return Heights(
        {
            name: np.where(graph[name].null.numpy() | (floor > S), floor, np.maximum(S, floor))
            for name, S in values.items()
        },
        "singular value, logarithmic",
        (floor / room**0.25, largest * room),
        logarithmic=True,
    )


_SCALES: dict[str, Callable[[SpectralGraph], Heights]] = {
    "linear": _linear,
    "log": _log,
    "relative": _relative,
    "rank": _rank,
}
