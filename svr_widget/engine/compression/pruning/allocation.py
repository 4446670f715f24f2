"""One budget of parameters for the neurons of all maps (paper, section 6: global SVD schemes).

A neuron of a map ``[out, in, *kernel]`` costs ``out + in z`` parameters, and all neurons together
never more than the weight itself. What is minimised is the sum over the maps of
``(||W - W'|| / ||W||)^2``: relative errors, because a network with ReLU does the same when one
layer is divided by what the next is multiplied by.

Every map keeps a neuron, for a network with an empty map computes nothing. Then comes what takes
most off that sum for each parameter. The last neurons of a map come together, at the price of what
the whole weight holds more than its factors. Where the budget ends between two steps, further
neurons fill what is left; a bound says how near that is to the least possible sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Item(NamedTuple):
    """A map as the budget sees it.

    Attributes:
        gains: float64, what each neuron, in order, takes off the map's squared relative error; for
            a map in groups each entry is the next neuron of every group.
        cost: the parameters of one of them.
        whole: those of the map as it is.
    """

    gains: NDArray[np.float64]
    cost: int
    whole: int

    @property
    def useful(self) -> int:
        """How many neurons still hold fewer parameters than the whole map."""
        return min(len(self.gains), max(0, (self.whole - 1) // self.cost))

    @property
    def least(self) -> int:
        """How many have to be kept: one, or all where one costs as much."""
        return 1 if self.useful else len(self.gains)

    def spent(self, kept: int) -> int:
        """The parameters of so many neurons."""
        return min(kept * self.cost, self.whole)


class Allocation(NamedTuple):
    """What a budget buys.

    Attributes:
        kept: how many neurons of each map.
        error: the sum of the squared relative errors of the maps.
        bound: no choice within the budget has a smaller sum than this.
    """

    kept: dict[str, int]
    error: float
    bound: float


class _Step(NamedTuple):
    rate: float
    name: str
    upto: int
    cost: int
    gain: float


def allocate(items: Mapping[str, Item], budget: int) -> Allocation:
    """Spend at most ``budget`` parameters on the neurons of all maps together.

    The budget is enough for the ``least`` of every map.
    """
    kept = {name: item.least for name, item in items.items()}
    left = budget - sum(item.spent(item.least) for item in items.values())
    error = sum(float(item.gains[item.least :].sum()) for item in items.values())
    bound, full = error, False
    closed: set[str] = set()
    for step in sorted(
        (step for name, item in items.items() for step in _steps(name, item)),
        key=lambda step: -step.rate,
    ):
        fits = step.name not in closed and step.cost <= left
        if not full:
            # With a fraction of the first step that does not fit, the sum is as small as can be.
            full = not fits
            bound -= step.gain if fits else step.rate * left
        if fits:
            kept[step.name], left, error = step.upto, left - step.cost, error - step.gain
        else:
            closed.add(step.name)
    singles = sorted(
        (-gain / items[name].cost, name, place)
        for name in closed
        for place, gain in enumerate(items[name].gains[: items[name].useful])
    )
    for rate, name, place in singles:
        if place == kept[name] and items[name].cost <= left:
            kept[name], left = place + 1, left - items[name].cost
            error += rate * items[name].cost
    return Allocation(kept, max(error, 0.0), max(bound, 0.0))


def _steps(name: str, item: Item) -> list[_Step]:
    """Neurons one by one, and from where that gives more for each parameter, all others at once."""
    counts = np.arange(item.least, item.useful + 1)
    if not counts.size:
        return []
    rest = np.append(item.gains[::-1].cumsum()[::-1], 0.0)[counts]
    price = item.whole - item.cost * counts
    together = rest / price
    rates = item.gains[counts[:-1]] / item.cost
    better = np.flatnonzero(together[:-1] >= rates)
    start = int(better[0]) if better.size else len(rates)
    steps = [
        _Step(float(rate), name, int(count) + 1, item.cost, float(rate) * item.cost)
        for rate, count in zip(rates[:start], counts, strict=False)
    ]
    rate, others = float(together[start]), len(item.gains)
    return [*steps, _Step(rate, name, others, int(price[start]), float(rest[start]))]
