"""The graph as pandas tables: one row an edge, one row a neuron."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from svr_widget.engine.graph.adjacency import Edges
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.graph.streaming.tally import Kept
from svr_widget.engine.graph.thresholds import Threshold, cut_of
from svr_widget.engine.maps.links import LinkKey, TestKey, entered, number_of
from svr_widget.engine.significance.multiple_testing import Cut


def edges(
    graph: SpectralGraph, threshold: Threshold, *, by_construction: bool = False
) -> pd.DataFrame:
    """The significant edges, strongest first; arguments and columns as in ``SVR.edges``."""
    tests, cut = cut_of(graph, threshold, by_construction=by_construction)
    found = tests.edges(cut.weight)
    ends = [
        (producer, entered(consumer, link.side))
        for link, (producer, consumer) in ((graph.links[k], graph.ends(k)) for k in graph.links)
    ]
    sizes = np.diff(found.starts)
    every = pd.DataFrame(
        {
            "producer": _repeated([producer for producer, _ in ends], sizes),
            "m": found.entries.m.astype(np.int64),
            "consumer": _repeated([consumer for _, consumer in ends], sizes),
            "n": found.entries.n.astype(np.int64),
            "weight": found.entries.weight.astype(np.float64),
            "log10_p": tests.log10_p(found.entries),
        }
    )
    numbers = [number_of(key) for key in graph.links]
    if any(numbers):
        every["link"] = np.repeat(np.array(numbers), sizes)
    return every.sort_values("weight", ascending=False, kind="stable", ignore_index=True)


def edges_by_link(
    graph: SpectralGraph, tests: GraphTests, cut: Cut[TestKey]
) -> dict[LinkKey, tuple[Edges, NDArray[np.float64]]]:
    """The significant edges of every link, strongest first, and their log10 p.

    Args:
        graph: whose links they are.
        tests: those of the whole graph.
        cut: what is significant.
    """
    (weight, key, n, m), starts = tests.edges(cut.weight)
    log10_p = tests.log10_p(Kept(weight, key, n, m))
    part = np.array([part for _, part in tests.keys], np.int16)[key]
    every = Edges(m.astype(np.int64), n.astype(np.int64), weight, part)
    return {
        link: (Edges._make(column[first:last] for column in every), log10_p[first:last])
        for link, first, last in zip(graph.links, starts[:-1], starts[1:], strict=True)
    }


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


def _repeated(names: list[str], times: NDArray[np.intp]) -> NDArray[np.object_]:
    return np.repeat(np.array(names, dtype=object), times)
