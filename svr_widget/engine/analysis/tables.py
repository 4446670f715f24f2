"""The graph as pandas tables: one row an edge, one row a neuron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from svr_widget.engine.graph.adjacency import Edges
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold, cut_of
from svr_widget.engine.maps.links import LinkKey, TestKey, entered, number_of
from svr_widget.engine.significance.multiple_testing import Significance

Array = NDArray[Any]


def edges(
    graph: SpectralGraph, threshold: Threshold, *, by_construction: bool = False
) -> pd.DataFrame:
    """The significant edges, strongest first; arguments and columns as in ``SVR.edges``."""
    tests, cut = cut_of(graph, threshold, by_construction=by_construction)
    found = [edges_of(graph, key, tests, cut.weight) for key in graph.links]
    ends = [
        (producer, entered(consumer, link))
        for link, (producer, consumer) in ((graph.links[k], graph.ends(k)) for k in graph.links)
    ]
    every = pd.DataFrame(
        {
            "producer": _repeated([producer for producer, _ in ends], found),
            "m": _joined([edges.m for edges, _ in found], np.int64),
            "consumer": _repeated([consumer for _, consumer in ends], found),
            "n": _joined([edges.n for edges, _ in found], np.int64),
            "weight": _joined([edges.weight for edges, _ in found], np.float64),
            "log10_p": _joined([log10_p for _, log10_p in found], np.float64),
        }
    )
    numbers = [number_of(key) for key in graph.links]
    if any(numbers):
        every["link"] = np.repeat(np.array(numbers), [len(edges.m) for edges, _ in found])
    return every.sort_values("weight", ascending=False, kind="stable", ignore_index=True)


def edges_of(
    graph: SpectralGraph,
    key: LinkKey,
    tests: Significance[TestKey],
    weights: Mapping[TestKey, float],
) -> tuple[Edges, NDArray[np.float64]]:
    """The edges of one link that reach the weight given for their law, and their log10 p.

    Args:
        graph: whose link it is.
        key: of the link.
        tests: the tests of the whole graph.
        weights: the least weight for each law, as ``Cut.weight`` has it.
    """
    adjacency = graph.adjacency(key)
    parts = range(len(adjacency.laws))
    edges = adjacency.above([weights[key, part] for part in parts])
    log10_p = np.zeros(len(edges.m))
    for part in parts:
        mine = edges.part == part
        log10_p[mine] = tests.tests[key, part].law.log10_p(edges.weight[mine])
    return edges, log10_p


def neurons(graph: SpectralGraph) -> pd.DataFrame:
    """Every spectral neuron; columns as in ``SVR.neurons``."""
    frames = []
    for name in graph.columns:
        neurons = graph[name]
        columns = {
            "map": name,
            "k": np.arange(len(neurons)),
            "singular_value": neurons.S.numpy(),
            "intensity": graph.intensity(name),
            "p_value": graph.intensity_p_values(name),
            "p_adjusted": graph.intensity_p_values(name, adjusted=True),
            "null": neurons.null.numpy(),
            "cluster": neurons.clusters.numpy(),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _repeated(names: list[str], found: list[tuple[Edges, Array]]) -> Array:
    return np.repeat(np.array(names, dtype=object), [len(edges.m) for edges, _ in found])


def _joined(arrays: list[Array], dtype: type) -> Array:
    return np.concatenate([np.empty(0, dtype), *arrays], dtype=dtype)
