"""How the adjacencies of many links are cut into tiles, of which one at a time is in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from svr_widget.engine.graph.group_blocks import TILE


class Span(NamedTuple):
    """Neurons that stand beside each other along one side of a tile.

    Attributes:
        end: which of the maps along that side they are of.
        neurons: their places in that map.
        places: theirs in the tile.
    """

    end: int
    neurons: slice
    places: slice


Pack = tuple[Span, ...]
"""The neurons along one side of a tile."""


def packs(sizes: Sequence[int]) -> list[Pack]:
    """Maps of so many neurons, one after the other, in packs of at most ``TILE``.

    A map that fits into a pack is in one; of a larger one each pack but the last is full.
    """
    found: list[Pack] = []
    pack: list[Span] = []
    filled = 0
    for end, size in enumerate(sizes):
        for first in range(0, size, TILE):
            count = min(TILE, size - first)
            if filled + count > TILE:
                found.append(tuple(pack))
                pack, filled = [], 0
            pack.append(
                Span(end, slice(first, first + count), slice(filled, filled + count)),
            )
            filled += count
    if pack:
        found.append(tuple(pack))
    return found


def extent(pack: Pack) -> int:
    """How many neurons there are in a pack."""
    return int(pack[-1].places.stop)
