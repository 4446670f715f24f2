"""The super-feature: the strongest path through consecutive links (paper, section 5.1)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Map = TypeVar("Map", bound=Hashable)


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


def strongest_path(
    neurons: Mapping[Map, int], links: Sequence[LinkEvidence[Map]]
) -> list[tuple[Map, int]]:
    """The path of significant edges with the most evidence, by dynamic programming.

    Evidence is added along the path: log p-values of independent tests add, and unlike weights
    they compare between links of different width. It is counted from the cut, so that an edge
    which is barely significant adds barely anything, and no path gains by length alone.

    Args:
        neurons: how many neurons each map has, in order of execution. Links that run against
            that order are left out.
        links: the significant edges.

    Returns:
        ``(map, neuron)`` from the first to the last; empty where no edge is significant. Of equal
        paths the one that was found first in the order of maps and links.
    """
    order = {name: place for place, name in enumerate(neurons)}
    best = {name: np.zeros(count) for name, count in neurons.items()}
    origin: dict[tuple[Map, int], tuple[Map, int]] = {}
    forward = [link for link in links if order[link.producer] < order[link.consumer]]
    for link in sorted(forward, key=lambda link: order[link.consumer]):
        reached = best[link.producer][link.m] + link.evidence
        _extend(link, reached, best[link.consumer], origin)
    ends = {end: best[end[0]][end[1]] for end in origin}
    if not ends:
        return []
    path = [max(ends, key=lambda end: float(ends[end]))]
    while path[-1] in origin:
        path.append(origin[path[-1]])
    return path[::-1]


def _extend(
    link: LinkEvidence[Map],
    reached: Floats,
    best: Floats,
    origin: dict[tuple[Map, int], tuple[Map, int]],
) -> None:
    """Let each neuron of the consumer take over the best of the edges that enter it."""
    strongest = np.lexsort((-reached, link.n))
    first = np.unique(link.n[strongest], return_index=True)[1]
    for edge in strongest[first].tolist():
        n = int(link.n[edge])
        if reached[edge] > best[n]:
            best[n] = reached[edge]
            origin[link.consumer, n] = (link.producer, int(link.m[edge]))
