"""The adjacencies that were asked for last, as many as fit into some memory."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from svr_widget.engine.graph.adjacency import Adjacency, Method
from svr_widget.engine.maps.links import LinkKey

Asked = tuple[LinkKey, Method]
BYTES = 256_000_000


class _Held(NamedTuple):
    adjacency: Adjacency
    bytes: int


class RecentAdjacencies:
    """Adjacencies by link and method; of too many those go first that were not asked for longest.

    Each counts with what its matrix and its sorted entries take, whether they were asked for or
    not. The last one is kept however large it is.
    """

    def __init__(self) -> None:
        self._held: OrderedDict[Asked, _Held] = OrderedDict()
        self._bytes = 0

    def get(self, asked: Asked) -> Adjacency | None:
        """The adjacency, if it is still there."""
        if asked not in self._held:
            return None
        self._held.move_to_end(asked)
        return self._held[asked].adjacency

    def keep(self, asked: Asked, adjacency: Adjacency) -> None:
        """Keep another one."""
        rows, columns = adjacency.shape
        held = _Held(adjacency, 2 * rows * columns * adjacency.dtype.itemsize)
        self._held[asked] = held
        self._bytes += held.bytes
        while self._bytes > BYTES and len(self._held) > 1:
            self._bytes -= self._held.popitem(last=False)[1].bytes

    def clear(self) -> None:
        """Let go of all of them."""
        self._held.clear()
        self._bytes = 0
