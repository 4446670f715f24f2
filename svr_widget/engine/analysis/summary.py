"""A network at a glance: a row for every map and every link."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from svr_widget.engine.analysis.dead_channels import without_influence
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.graph.thresholds import Threshold, cut_of
from svr_widget.engine.maps.links import LinkKey, TestKey, number_of

_COUNTS = (
    *("out", "in", "neurons", "rank", "dead_channels"),
    *("link", "d_out", "d_in", "n", "m", "significant"),
)
_MEASURES = ("stable_rank", "energy", "largest", "p_value", "weight", "log10_p")
_COLUMNS = (
    *("kind", "name", "layer", "out", "in", "kernel"),
    *("neurons", "rank", "stable_rank", "energy", "largest", "dead_channels"),
    *("producer", "consumer", "link", "by_construction", "d_out", "d_in", "p_value"),
    *("weight", "n", "m", "log10_p", "significant"),
)


def summary(graph: SpectralGraph, threshold: Threshold) -> pd.DataFrame:
    """A row a map and a link; columns as in ``SVR.summary``."""
    tests, cut = cut_of(graph, threshold)
    significant = dict.fromkeys(graph.links, 0)
    parts: dict[LinkKey, list[TestKey]] = {key: [] for key in graph.links}
    for key, count in cut.counts.items():
        significant[key[0]] += count
        parts[key[0]].append(key)

    def links() -> Iterator[dict[str, Any]]:
        for key in graph.links:
            found = graph.internal_dimensions(key)
            producer, consumer = graph.ends(key)
            strongest = _strongest(tests, parts[key])
            yield {
                "kind": "link",
                "producer": producer,
                "consumer": consumer,
                "link": number_of(key),
                "by_construction": graph.links[key].by_construction,
                "d_out": found.d_out,
                "d_in": found.d_in,
                "p_value": found.p_value,
                **strongest,
                "significant": significant[key],
            }

    table = pd.DataFrame([*_maps(graph), *links()], columns=list(_COLUMNS))
    # Counts stay whole numbers beside rows that have none.
    kinds = dict.fromkeys(_COUNTS, "Int64") | dict.fromkeys(_MEASURES, "float64")
    return table.astype({**kinds, "by_construction": "boolean"})


def _strongest(tests: GraphTests, keys: list[TestKey]) -> dict[str, Any]:
    """The largest entry that is a test; nothing where none is."""
    found = [(edge, key) for key in keys if (edge := tests.strongest(key)) is not None]
    if not found:
        return {}
    (m, n, weight), key = max(found, key=lambda each: each[0].weight)
    log10_p = float(tests.law(key).log10_p(weight))
    return {"weight": weight, "n": n, "m": m, "log10_p": log10_p}


def _maps(graph: SpectralGraph) -> Iterator[dict[str, Any]]:
    factors = [factor for linear in graph.maps.values() for factor in linear.factors]
    dead: pd.Series[int] | None = None
    if not any(factor.is_meta for factor in factors):  # as after SVR.load, where none were saved
        found = without_influence(graph.maps, graph.links.values(), graph.outlets)
        dead = found["map"].value_counts()
    for name, linear in graph.maps.items():
        neurons = graph.decomposition(name)
        energy, largest = neurons.energy, float(neurons.S.max())
        yield {
            "kind": "map",
            "name": name,
            "layer": linear.kind,
            "out": linear.out_channels,
            "in": linear.in_channels,
            "kernel": "x".join(map(str, linear.kernel)),
            "neurons": len(neurons),
            "rank": int((~neurons.null).sum()),
            "stable_rank": energy / largest**2 if largest else 0.0,
            "energy": energy,
            "largest": largest,
            "dead_channels": None if dead is None else int(dead.get(name, 0)),
        }
