"""The largest choice among candidates whose joint change of the output stays within bounds.

What a choice changes is measured by running the network without it, so there can be few runs: one
for each candidate alone, some for choices of several, and one for each that is left at the end.
Which choices are worth a run is foretold from the candidates alone, as if their changes added up
entry by entry: of few candidates all subsets, of many those that a greedy search meets. Whether it
is within bounds is never foretold. Of many, what one changes alone is measured by a glance.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.compression.removal.outputs import Difference

Mask = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

FEW = 12
"""Of so many candidates every subset is foretold."""

TRIES = 4
"""Subsets of one size that are run."""

NEAR = 1.25
"""What is foretold is at most so far off that a run is worth it."""


class Selection(NamedTuple):
    """What may go.

    Attributes:
        chosen: bool ``[n]``.
        alone: float64 ``[n]``, the relative change of the output by each candidate alone; as far
            as a glance tells where there are many.
    """

    chosen: Mask
    alone: NDArray[np.float64]


def largest_choice(
    sizes: Ints,
    without: Callable[[Mask, float], Difference],
    allowed: float,
    glance: Callable[[Mask], Difference] | None = None,
) -> Selection:
    """The choice of most channels that changes the output by at most ``allowed``, by runs.

    Args:
        sizes: int64 ``[n]``, the channels of each candidate.
        without: runs the network without some candidates, bool ``[n]``, as far as the change is not
            known to be more than a number.
        allowed: of ``Difference.relative``; that of no candidate at all is within it.
        glance: runs it without some candidates, quicker, for what many of them change alone.
    """
    count = len(sizes)
    if glance is None or count <= FEW:
        glance = _whole(without)
    single = [glance(np.arange(count) == place) for place in range(count)]
    alone = np.array([each.relative for each in single])
    if not count:
        return Selection(np.zeros(0, bool), alone)
    start = glance(np.zeros(count, bool)).entries
    moved = np.stack([each.entries - start for each in single])
    finite = np.isfinite(alone) & np.isfinite(moved).all(axis=1)
    moved[~finite] = np.inf

    def fits(choice: Mask) -> bool:
        return without(choice, allowed).relative <= allowed

    if count <= FEW:
        proposed = _of_few(sizes, start, moved, NEAR * allowed)
        chosen = next(filter(fits, proposed), np.zeros(count, bool))
    else:
        chosen = _longest(_greedy(sizes, start, moved), fits)
    for place in np.lexsort((np.arange(count), alone / sizes)):
        if not chosen[place] and alone[place] <= NEAR * allowed:
            wider = chosen | (np.arange(count) == place)
            chosen = wider if fits(wider) else chosen
    return Selection(chosen, alone)


def _whole(without: Callable[[Mask, float], Difference]) -> Callable[[Mask], Difference]:
    return lambda choice: without(choice, math.inf)


def _of_few(sizes: Ints, start: Floats, moved: Floats, allowed: float) -> Iterator[Mask]:
    """Subsets that may fit, those of most channels first."""
    count = len(sizes)
    subsets = (np.arange(1, 2**count)[:, None] >> np.arange(count)) & 1 == 1
    subsets = subsets[~subsets[:, ~np.isfinite(moved).all(axis=1)].any(axis=1)]
    finite = np.where(np.isfinite(moved), moved, 0)
    foretold = np.array(
        [np.abs(start + subset @ finite).max(initial=0) for subset in subsets.astype(np.float32)]
    )
    channels = subsets @ sizes
    order = np.lexsort((foretold, -channels))
    tried: dict[int, int] = {}
    for place in order[foretold[order] <= allowed]:
        size = int(channels[place])
        tried[size] = tried.get(size, 0) + 1
        if tried[size] <= TRIES:
            yield subsets[place]


def _greedy(sizes: Ints, start: Floats, moved: Floats) -> list[int]:
    """The candidates, each time the one that adds least for each channel."""
    order: list[int] = []
    left, total = list(range(len(sizes))), start.copy()
    while left:
        now = np.abs(total).max(initial=0)
        after = np.abs(total + moved[left]).max(axis=1, initial=0)
        added = (after - now) / sizes[left]
        best = left.pop(int(np.lexsort((after, added))[0]))
        order.append(best)
        total = total + moved[best]
        if not np.isfinite(total).all():
            return [*order, *left]
    return order


def _longest(order: list[int], fits: Callable[[Mask], bool]) -> Mask:
    """The longest beginning of an order that fits, by halving."""

    def beginning(length: int) -> Mask:
        return np.isin(np.arange(len(order)), order[:length])

    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(beginning(middle)) else (low, middle - 1)
    return beginning(low)
