"""The graph of spectral neurons for networkx and whatever reads its files."""

from __future__ import annotations

import networkx as nx

from svr_widget.engine.analysis.tables import edges_by_link
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold, cut_of

Neuron = tuple[str, int]


def to_networkx(graph: SpectralGraph, threshold: Threshold) -> nx.DiGraph[Neuron]:
    """All neurons and the significant edges; see ``SVR.to_networkx``."""
    tests, cut = cut_of(graph, threshold)
    parallel = len({graph.ends(key) for key in graph.links}) < len(graph.links)
    made: nx.DiGraph[Neuron] = nx.MultiDiGraph() if parallel else nx.DiGraph()
    made.graph.update(title=graph.title, method=graph.method)
    for name, column in graph.columns.items():
        linear, neurons = graph.maps[column.map], graph[name]
        values = neurons.S.tolist(), graph.intensity(name).tolist(), neurons.null.tolist()
        for k, (singular_value, intensity, null) in enumerate(zip(*values, strict=True)):
            made.add_node(
                (name, k),
                map=name,
                k=k,
                singular_value=singular_value,
                intensity=intensity,
                kind=linear.kind,
                depth=linear.depth,
                null=null,
            )
    for key, (edges, log10_p) in edges_by_link(graph, tests, cut).items():
        producer, consumer = graph.ends(key)
        link = " -> ".join(map(str, key))
        columns = edges.m.tolist(), edges.n.tolist(), edges.weight.tolist(), log10_p.tolist()
        made.add_edges_from(
            ((producer, m), (consumer, n), {"weight": weight, "log10_p": p, "link": link})
            for m, n, weight, p in zip(*columns, strict=True)
        )
    return made
