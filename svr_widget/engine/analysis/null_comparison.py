"""What a link shows beside what its weights show without their order, their mean, their training.

The law of an edge assumes random singular vectors. Weights can break that without having learned
anything: a mean alone gives two maps a common direction, and so a top edge. A claim about a link
therefore stands beside the same statistics of weights that keep some of that and lose the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.adjacency import Adjacency
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.thresholds import Threshold, cut_at
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import LinkKey
from svr_widget.engine.model.user_model import copied
from svr_widget.engine.network.network import Network
from svr_widget.engine.significance.multiple_testing import Significance


def null_comparison(
    graph: SpectralGraph,
    link: LinkKey,
    threshold: Threshold,
    *,
    draws: int,
    initial: object,
    seed: int | None,
) -> pd.DataFrame:
    """Statistics of a link, a row for each kind of weights; see ``SVR.null_comparison``."""
    if draws < 0:
        raise SVRError(f"draws = {draws}: a number of shuffles is at least 0")
    threshold = {**threshold, "null": threshold.get("null") or graph.null}
    trained = graph.adjacency(link)
    rows: list[dict[str, Any]] = [
        {"weights": "trained", "draw": pd.NA, **_statistics(trained, threshold)}
    ]
    random = torch.Generator().manual_seed(graph.seed if seed is None else seed)
    for draw in range(draws):
        adjacency = _changed(graph, link, lambda weight: _shuffled(weight, random))
        rows.append({"weights": "shuffled", "draw": draw, **_statistics(adjacency, threshold)})
    centred = _changed(graph, link, lambda weight: weight - weight.mean())
    rows.append({"weights": "centred", **_statistics(centred, threshold)})
    if initial is not None:
        before = _untrained(graph, initial, link).adjacency(link, graph.method)
        rows.append({"weights": "initial", **_statistics(before, threshold)})
    return pd.DataFrame(rows).astype({"draw": "Int64"})


def _statistics(adjacency: Adjacency, threshold: Threshold) -> dict[str, Any]:
    tests = Significance(dict(enumerate(adjacency.tests(threshold.get("null")))))
    cut = cut_at(tests, threshold)
    d_out, d_in, deviation, p_value, _ = adjacency.internal_dimensions()
    return {
        **_strongest(adjacency, tests),
        "significant": cut.significant,
        "expected": cut.expected,
        "d_out": d_out,
        "d_in": d_in,
        "deviation": deviation,
        "p_value": p_value,
    }


def _strongest(adjacency: Adjacency, tests: Significance[int]) -> dict[str, Any]:
    """The edge with the smallest p-value."""
    found = {
        part: float(each.law.log10_p(each.smallest(1)))
        for part, each in tests.tests.items()
        if each.weights.size
    }
    if not found:
        raise SVRError(f"{adjacency.name} has no edge to test: it joins null neurons only")
    best = min(found, key=lambda part: found[part])
    least = [float("inf")] * len(adjacency.laws)
    least[best] = tests.tests[best].smallest(1)
    edge = adjacency.above(least)
    m, n, weight = int(edge.m[0]), int(edge.n[0]), float(edge.weight[0])
    return {"m": m, "n": n, "weight": weight, "log10_p": found[best]}


def _shuffled(weight: Tensor, random: torch.Generator) -> Tensor:
    return weight.flatten()[torch.randperm(weight.numel(), generator=random)].reshape(weight.shape)


def _changed(graph: SpectralGraph, key: LinkKey, change: Callable[[Tensor], Tensor]) -> Adjacency:
    """The adjacency of a link whose weights are changed; maps that share one keep sharing it.

    Of a product both matrices are changed, so that it keeps its rank. What a folded layer norm
    takes away from the weights is taken away from the changed ones.
    """
    maps = dict(graph.maps)
    link = graph.links[key]
    for name in dict.fromkeys(maps[end].tied_to or end for end in (link.producer, link.consumer)):
        first = maps[name]
        maps[name] = _centred_as(first, tuple(change(factor) for factor in first.factors))
        for other in graph.maps.values():
            if other.tied_to == name:
                (weight,) = maps[name].factors
                turned = other.factors[0].stride() != first.factors[0].stride()
                maps[other.name] = replace(other, factors=(weight.T if turned else weight,))
    network = Network(graph.title, maps, tuple(graph.links.values()))
    return type(graph)(network, **graph.settings).adjacency(key)


def _centred_as(linear: LinearMap, factors: tuple[Tensor, ...]) -> LinearMap:
    """A map with other factors, orthogonal to the same normals over its channels."""
    for place, dim, normal in zip((0, -1), (0, 1), linear.normals, strict=True):
        if normal is not None:
            across = factors[place].double().movedim(dim, 0).flatten(1)
            unit = normal.double() / normal.double().norm()
            across = across - torch.outer(unit, unit @ across)
            moved = factors[place].movedim(dim, 0)
            within = across.reshape(moved.shape).movedim(0, dim).to(moved.dtype).contiguous()
            factors = (within, *factors[1:]) if place == 0 else (*factors[:-1], within)
    return replace(linear, factors=factors)


def _untrained(graph: SpectralGraph, initial: object, key: LinkKey) -> SpectralGraph:
    if isinstance(initial, SpectralGraph):
        before = initial
    else:
        if isinstance(initial, Mapping) and graph.model is not None:
            initial = _loaded(graph.model, initial)
        # Bare weights do not say which feeds which; here the same as in this graph.
        links = None if isinstance(initial, nn.Module) else [(key[0], key[1])]
        try:
            before = type(graph)(initial, links=links, **graph.settings)
        except SVRError as error:
            raise SVRError(f"initial: it has no link {key!r}: {error}") from error
    if key not in before.links:
        raise SVRError(f"initial: {before.title} has no link {key!r}")
    for name in (graph.links[key].producer, graph.links[key].consumer):
        mine, theirs = (of.maps[name].shape for of in (graph, before))
        if mine != theirs:
            raise SVRError(f"initial: map {name!r} is {theirs}, here {mine}")
    return before


def _loaded(model: nn.Module, state: Mapping[str, Any]) -> nn.Module:
    """A copy of the model with other weights."""
    other = copied(model, "so initial= cannot be loaded into it; pass initial=SVR(other_model)")
    other.load_state_dict(state)
    return other
