"""The authors' path metric: all paths through the network, weighted and added up."""

from __future__ import annotations

import torch

from svr_widget.engine.analysis.super_feature import by_depth
from svr_widget.engine.graph.spectral_graph import SpectralGraph


def path_metric(graph: SpectralGraph, *, singular_values: bool, least: float) -> float:
    """The sum over all paths; see ``SVR.path_metric``."""
    forward = [key for key, link in graph.links.items() if not link.backward]
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
