"""Which links run backward, and how deep each map lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import networkx as nx

from svr_widget.engine.errors import TraceError
from svr_widget.engine.maps.links import Link


def directed(links: Iterable[Link], rank: Mapping[str, int]) -> tuple[Link, ...]:
    """The links, those marked backward that close a cycle (recurrence, a module used twice).

    Args:
        links: every link.
        rank: the maps' places in the order of execution; maps that run at once share a place.
            On a cycle, the links that run against this order are the backward ones.
    """
    links = tuple(links)
    component: dict[str, int] = {}
    for at, names in enumerate(nx.strongly_connected_components(_graph(links))):
        component |= dict.fromkeys(names, at)
    return tuple(
        replace(
            link,
            backward=component[link.producer] == component[link.consumer]
            and rank[link.producer] >= rank[link.consumer],
        )
        for link in links
    )


def depths(links: Sequence[Link], names: Sequence[str]) -> dict[str, int]:
    """Depth of each map: the longest way from a map without producers; backward links ignored.

    Raises:
        TraceError: the other links form a cycle.
    """
    found = dict.fromkeys(names, 0)
    graph = _graph(link for link in links if not link.backward)
    try:
        for name in nx.topological_sort(graph):
            found[name] = max((found[producer] + 1 for producer in graph.pred[name]), default=0)
    except nx.NetworkXUnfeasible:
        cycle = " → ".join(producer for producer, _ in nx.find_cycle(graph))
        raise TraceError(
            f"links: {cycle} → ... is a cycle; mark one of its links with backward=True"
        ) from None
    return found


def _graph(links: Iterable[Link]) -> nx.DiGraph[str]:
    return nx.DiGraph((link.producer, link.consumer) for link in links)
