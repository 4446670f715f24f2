"""The strongest path through the significant edges of a whole graph (paper, section 5.1)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from svr_widget.engine.analysis.paths import LinkEvidence, strongest_path
from svr_widget.engine.analysis.tables import edges_of
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold, cut_of


def super_feature(graph: SpectralGraph, threshold: Threshold) -> pd.DataFrame:
    """The path and its edges; columns as in ``SVR.super_feature``."""
    tests, cut = cut_of(graph, threshold)
    keys = [key for key, link in graph.links.items() if not link.backward]
    found = [edges_of(graph, key, tests, cut.weight) for key in keys]
    links = []
    for key, (edges, log10_p) in zip(keys, found, strict=True):
        cuts = np.array([cut.log10_p[key, part] for part in range(len(graph.adjacency(key).laws))])
        # The p-value of the last significant edge may lie above its cut by a rounding.
        evidence = np.maximum(cuts[edges.part] - log10_p, 0.0)
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
