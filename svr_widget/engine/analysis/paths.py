"""The super-feature: the strongest path through consecutive links (paper, section 5.1)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Map = TypeVar("Map", bound=Hashable)
Neuron = tuple[Map, int]


class LinkEvidence(NamedTuple, Generic[Map]):
    """The significant edges of a link.

    Attributes:
        producer: name of the map that they leave.
        consumer: name of the map that they enter.
        m: the producer's neurons ``[k]``.
        n: the consumer's neurons ``[k]``.
        evidence: what each edge adds to a path ``[k]``, at least 0: orders of magnitude by which
            its p-value lies below the cut, ``cut.log10_p - log10_p``.
    """

    producer: Map
    consumer: Map
    m: NDArray[np.integer]
    n: NDArray[np.integer]
    evidence: Floats


class Step(NamedTuple, Generic[Map]):
    """A neuron on a path and the edge that enters it there.

    Attributes:
        map: the neuron's map.
        neuron: its index.
        link: the place of the edge's link among those given; None at the first neuron.
        edge: the edge's place in that link; None at the first neuron.
    """

    map: Map
    neuron: int
    link: int | None = None
    edge: int | None = None


def strongest_path(
    neurons: Mapping[Map, int], links: Sequence[LinkEvidence[Map]]
) -> list[Step[Map]]:
    """The path of significant edges with the most evidence, by dynamic programming.

    Evidence is added along the path: log p-values of independent tests add, and unlike weights
    they compare between links of different width. It is counted from the cut, so that an edge
    which is barely significant adds barely anything, and no path gains by length alone.

    Args:
        neurons: how many neurons each map has. Links that run against the order of the maps are
            left out.
        links: the significant edges.

    Returns:
        The neurons from the first to the last, each with the edge that leads to it; empty where
        no edge has any evidence. Of equal paths the one that was found first in the order of maps
        and links.
    """
    order = {name: place for place, name in enumerate(neurons)}
    best = {name: np.zeros(count) for name, count in neurons.items()}
    origin: dict[Neuron[Map], tuple[Neuron[Map], Step[Map]]] = {}
    forward = [i for i, link in enumerate(links) if order[link.producer] < order[link.consumer]]
    for i in sorted(forward, key=lambda i: order[links[i].consumer]):
        link = links[i]
        reached = best[link.producer][link.m] + link.evidence
        for edge in _improving(link, reached, best[link.consumer]):
            m, n = int(link.m[edge]), int(link.n[edge])
            best[link.consumer][n] = reached[edge]
            origin[link.consumer, n] = (link.producer, m), Step(link.consumer, n, i, edge)
    if not origin:
        return []
    place = max(origin, key=lambda end: float(best[end[0]][end[1]]))
    path: list[Step[Map]] = []
    while place in origin:
        place, step = origin[place]
        path.append(step)
    return [Step(*place), *reversed(path)]


def _improving(link: LinkEvidence[Map], reached: Floats, best: Floats) -> list[int]:
    """The strongest edge into each of the consumer's neurons, where it beats what is known."""
    strongest = np.lexsort((-reached, link.n))
    first = strongest[np.unique(link.n[strongest], return_index=True)[1]]
    found: list[int] = first[reached[first] > best[link.n[first]]].tolist()
    return found
