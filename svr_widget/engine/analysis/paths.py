"""Paths through consecutive links: the super-feature (paper, 5.1) and the path metric."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from svr_widget.engine.analysis.tables import edges_by_link
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold, cut_of

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


class PathStep(NamedTuple, Generic[Map]):
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
) -> list[PathStep[Map]]:
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
    origin: dict[Neuron[Map], tuple[Neuron[Map], PathStep[Map]]] = {}
    forward = [i for i, link in enumerate(links) if order[link.producer] < order[link.consumer]]
    for i in sorted(forward, key=lambda i: order[links[i].consumer]):
        link = links[i]
        reached = best[link.producer][link.m] + link.evidence
        for edge in _improving(link, reached, best[link.consumer]):
            m, n = int(link.m[edge]), int(link.n[edge])
            best[link.consumer][n] = reached[edge]
            origin[link.consumer, n] = (link.producer, m), PathStep(link.consumer, n, i, edge)
    if not origin:
        return []
    place = max(origin, key=lambda end: float(best[end[0]][end[1]]))
    path: list[PathStep[Map]] = []
    while place in origin:
        place, step = origin[place]
        path.append(step)
    return [PathStep(*place), *reversed(path)]


def _improving(link: LinkEvidence[Map], reached: Floats, best: Floats) -> list[int]:
    """The strongest edge into each of the consumer's neurons, where it beats what is known."""
    strongest = np.lexsort((-reached, link.n))
    first = strongest[np.unique(link.n[strongest], return_index=True)[1]]
    found: list[int] = first[reached[first] > best[link.n[first]]].tolist()
    return found


def super_feature(graph: SpectralGraph, threshold: Threshold) -> pd.DataFrame:
    """The path and its edges; columns as in ``SVR.super_feature``."""
    tests, cut = cut_of(graph, threshold)
    keys = [key for key, link in graph.links.items() if not link.backward]
    every = edges_by_link(graph, tests, cut)
    found = [every[key] for key in keys]
    cuts = {link: log10_p for (link, _), log10_p in cut.log10_p.items()}  # of all its laws
    links = []
    for key, (edges, log10_p) in zip(keys, found, strict=True):
        # The p-value of the last significant edge may lie above its cut by a rounding.
        evidence = np.maximum(cuts.get(key, 0.0) - log10_p, 0.0)
        links.append(LinkEvidence(*graph.ends(key), edges.m, edges.n, evidence))
    path = strongest_path({name: len(graph[name]) for name in by_depth(graph)}, links)
    entered = [
        (found[step.link][0].weight[step.edge], found[step.link][1][step.edge])
        if step.link is not None and step.edge is not None
        else (np.nan, np.nan)
        for step in path
    ]
    return pd.DataFrame(
        {
            "map": np.array([step.map for step in path], dtype=object),
            "k": np.array([step.neuron for step in path], dtype=np.int64),
            "singular_value": np.array([float(graph[step.map].S[step.neuron]) for step in path]),
            "link": pd.Series(
                [None if step.link is None else keys[step.link] for step in path], dtype=object
            ),
            "weight": np.array([weight for weight, _ in entered], dtype=np.float64),
            "log10_p": np.array([log10_p for _, log10_p in entered], dtype=np.float64),
        }
    )


def by_depth(graph: SpectralGraph) -> list[str]:
    """The columns in an order in which every forward link leads on."""
    return sorted(graph.columns, key=lambda name: graph.maps[graph.columns[name].map].depth)


def path_metric(graph: SpectralGraph, *, singular_values: bool, least: float) -> float:
    """The sum over all paths; see ``SVR.path_metric``."""
    graph.check_linked("path_metric")
    forward = [
        key for key, link in graph.links.items() if not (link.backward or link.by_construction)
    ]
    ends = {key: graph.ends(key) for key in forward}
    entered = {consumer for _, consumer in ends.values()}
    left = {producer for producer, _ in ends.values()}
    arriving = {
        name: torch.full((len(graph[name]),), float(name not in entered), dtype=torch.float64)
        for name in graph.columns
    }
    total = 0.0
    for name in by_depth(graph):
        neurons = graph[name]
        passes = (~neurons.null & (least <= neurons.S)).double()
        through = arriving[name] * passes * (neurons.S if singular_values else 1.0)
        if name not in left:
            total += float(through.sum())
        for key in forward:
            if ends[key][0] == name:
                arriving[ends[key][1]] += graph.adjacency(key).dense().double() @ through
    return total
