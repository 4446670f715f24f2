"""A link's matrices for the pane that shows them: facts about the whole, then tiles of it.

Three matrices: ``"adjacency"`` by the graph's own method, ``"cross"`` (the absolute value of
``V~^T U``, Fig 7) and ``"output"`` (that of the producer's ``U``, Fig 8). None travels whole: the
pane asks for tiles of ``TILE`` x ``TILE`` cells, each cell the largest of the ``step`` x ``step``
entries that it stands for, so that no strong entry is lost between the pixels. An exported page
holds one coarse tile of every link.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.graph.adjacency import Adjacency
from svr_widget.engine.maps.links import LinkKey
from svr_widget.engine.maps.read_only import array_of
from svr_widget.engine.significance.nulls import Kind
from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import encode
from svr_widget.widget.wire.contract import TILE
from svr_widget.widget.wire.scene import scene_links

Question = dict[str, Any]
Floats = NDArray[np.floating]
Steps = tuple[int, int]


class _Matrix(Protocol):
    """Entries that are at least 0, read a part at a time."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def rows(self) -> Decomposition | None:
        """Whose neurons the rows are; None where they are channels."""

    @property
    def columns(self) -> Decomposition: ...

    def largest(self) -> float:
        """The largest entry."""

    def part(self, rows: slice, columns: slice) -> Floats:
        """Some entries ``[n, m]``."""

    def log10_p(self, rows: slice, columns: slice, steps: Steps, law: Kind) -> Floats | None:
        """The smallest p-value in each cell, 0 where nothing is tested; None without a law."""


class _LinkMatrix:
    """The adjacency of a link, or its square root."""

    def __init__(self, adjacency: Adjacency, *, root: bool) -> None:
        self.adjacency, self._root = adjacency, root
        self.shape = adjacency.shape
        self.rows, self.columns = adjacency.consumer, adjacency.producer
        self._dense = array_of(adjacency.dense())

    def largest(self) -> float:
        largest = float(self._dense.max(initial=0.0))
        return largest**0.5 if self._root else largest

    def part(self, rows: slice, columns: slice) -> Floats:
        entries = self._dense[rows, columns]
        return np.sqrt(entries) if self._root else entries

    def log10_p(self, rows: slice, columns: slice, steps: Steps, law: Kind) -> Floats:
        entries, parts = self._dense[rows, columns], self.adjacency.parts(rows, columns)
        smallest = np.zeros([-(-n // step) for n, step in zip(entries.shape, steps, strict=True)])
        for part, null in enumerate(self.adjacency.laws):
            # Within one law the largest entry has the smallest p-value.
            weights = max_pool(np.where(parts == part, entries, -1.0), steps)
            tested = weights >= 0
            found = replace(null, kind=law).log10_p(weights[tested])
            smallest[tested] = np.minimum(smallest[tested], found)
        return smallest


class _OutputMatrix:
    """The magnitudes of output representations ``[channels, neurons]``; over a kernel, its norm."""

    rows = None

    def __init__(self, neurons: Decomposition) -> None:
        self.columns = neurons
        self._channels = int(neurons.U.shape[0])
        self.shape = self._channels * neurons.group_count, len(neurons)

    def _magnitudes(self, columns: slice) -> torch.Tensor:
        """``[channels of a group, neurons]``."""
        U = self.columns.U[..., columns]
        over_kernel = U.reshape(self._channels, -1, U.shape[-1])
        magnitudes: torch.Tensor = torch.linalg.vector_norm(over_kernel, dim=1)
        return magnitudes

    def largest(self) -> float:
        return float(self._magnitudes(slice(None)).max()) if self.shape[1] else 0.0

    def part(self, rows: slice, columns: slice) -> Floats:
        found = self._magnitudes(columns).numpy()
        start, stop, _ = rows.indices(self.shape[0])
        if self.columns.group_count == 1:
            return found[start:stop]
        first = self.columns.groups[columns].numpy() * self._channels
        channels = first + np.arange(self._channels)[:, None]
        inside = (channels >= start) & (channels < stop)
        part = np.zeros((stop - start, found.shape[1]), found.dtype)
        part[channels[inside] - start, np.nonzero(inside)[1]] = found[inside]
        return part

    def log10_p(self, *_: object) -> None:
        return None


def describe_matrix(svr: SVR, question: Question) -> bytes:
    """The shape, the largest entry and the singular values along the margins.

    ``rows_shown`` and ``columns_shown`` say whether these are neurons of the graph on screen; a
    cross matrix beside another graph has neurons that the graph does not show. ``steps`` are those
    of the one tile there is where ``question["coarse"]`` is set, as for an exported page.
    """
    key = _key(svr, question)
    matrix = _matrix(svr, key, question["matrix"])
    rows_shown, columns_shown = _shown(svr, key, question["matrix"])
    meta = {
        "shape": matrix.shape,
        "max": matrix.largest(),
        "rows_shown": rows_shown,
        "columns_shown": columns_shown,
        "steps": _coarse(matrix.shape) if question.get("coarse") else None,
    }
    arrays = {"columns": matrix.columns.S.numpy()}
    if matrix.rows is not None:
        arrays["rows"] = matrix.rows.S.numpy()
    return encode(meta, arrays)


def tile(svr: SVR, question: Question) -> bytes:
    """The tile ``question["tile"]`` (row, column) of those that ``question["steps"]`` cut.

    With ``question["coarse"]`` the whole matrix is one tile, and a cell one byte: 255 times the
    root of its share of the largest entry.
    """
    matrix = _matrix(svr, _key(svr, question), question["matrix"])
    if question.get("coarse"):
        cells = max_pool(matrix.part(slice(None), slice(None)), _coarse(matrix.shape))
        share = np.sqrt(cells.astype(np.float64) / (matrix.largest() or 1.0))
        return encode({}, {"values": np.rint(255 * share).astype(np.uint8)})
    steps = _steps(question["steps"])
    rows, columns = (
        _extent(place, step, size)
        for place, step, size in zip(question["tile"], steps, matrix.shape, strict=True)
    )
    arrays = {"values": max_pool(matrix.part(rows, columns), steps).astype(np.float32)}
    log10_p = matrix.log10_p(rows, columns, steps, question["law"])
    if log10_p is not None:
        arrays["log10_p"] = log10_p.astype(np.float32)
    return encode({}, arrays)


def internal_dimensions(svr: SVR, question: Question) -> bytes:
    """The internal dimensions of a link (section 3.2); asked for apart, since they take longer."""
    matrix = _matrix(svr, _key(svr, question), question["matrix"])
    if not isinstance(matrix, _LinkMatrix):
        raise TypeError("output representations have no internal dimensions")
    found = matrix.adjacency.internal_dimensions()
    names = ("d_out", "d_in", "deviation", "p_value")
    return encode({name: getattr(found, name) for name in names}, {})


def max_pool(matrix: Floats, steps: Steps) -> Floats:
    """The largest of each ``steps`` entries, counted from the first; the last cells may be less."""
    for axis, step in enumerate(steps):
        if step > 1 and matrix.shape[axis]:
            starts = np.arange(0, matrix.shape[axis], step)
            matrix = np.maximum.reduceat(matrix, starts, axis=axis)
    return matrix


def _key(svr: SVR, question: Question) -> LinkKey:
    links, number = scene_links(svr), question["link"]
    if not 0 <= number < len(links):
        raise ValueError(f"there is no link {number}, only {len(links)}")
    return links[number][0]


def _matrix(svr: SVR, key: LinkKey, which: str) -> _Matrix:
    if which == "adjacency":
        return _LinkMatrix(svr.adjacency(key), root=False)
    if which == "cross":
        return _LinkMatrix(svr.adjacency(key, "cross"), root=True)
    if which == "output":
        return _OutputMatrix(svr[svr.ends(key)[0]])
    raise ValueError(f"there is no matrix {which!r}")


def _shown(svr: SVR, key: LinkKey, which: str) -> tuple[bool, bool]:
    if which == "output":
        return False, True
    if which == "adjacency":
        return True, True
    (producer, emits), (consumer, reads) = (svr.columns[name] for name in svr.ends(key))
    return (
        reads == "cosvr" or svr.maps[consumer].positions == 1,
        emits == "svr" or svr.maps[producer].positions == 1,
    )


def _steps(asked: Sequence[int]) -> Steps:
    rows, columns = asked
    if rows < 1 or columns < 1:
        raise ValueError(f"steps of {rows} and {columns} entries: they begin at 1")
    return int(rows), int(columns)


def _coarse(shape: tuple[int, int]) -> Steps:
    """The steps, powers of two, with which a matrix is no more than one tile."""
    rows, columns = (2 ** max(0, math.ceil(math.log2(max(1, size) / TILE))) for size in shape)
    return rows, columns


def _extent(place: int, step: int, size: int) -> slice:
    start = place * step * TILE
    if not 0 <= start < size:
        raise ValueError(f"tile {place} of {step} x {TILE} entries lies outside of {size}")
    return slice(start, min(size, start + step * TILE))
