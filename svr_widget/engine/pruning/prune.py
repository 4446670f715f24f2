"""A copy of a model with fewer spectral neurons (paper, section 3.1)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import Tensor, nn

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.errors import SVRError
from svr_widget.engine.footprint import Change, Footprint, footprint
from svr_widget.engine.maps import LinearMap
from svr_widget.engine.parts import Part
from svr_widget.engine.pruning.choice import Choice, Kept, Ranks, choose
from svr_widget.engine.pruning.factored import composed, replace_module, two_layers, why_not
from svr_widget.engine.pruning.heads import check_current_product, write_product
from svr_widget.engine.pruning.report import Evaluate, PruningReport, Scores
from svr_widget.engine.pruning.truncation import low_rank, parameters_of_two, two_weights
from svr_widget.engine.pruning.writing import check_current, layer_weight, write
from svr_widget.engine.spectral_graph import SpectralGraph


class Cut(NamedTuple):
    """What became of a map.

    Attributes:
        form: ``"whole"``, ``"low rank"`` or ``"factored"``.
        error: ``||W - W'|| / ||W||`` with the weight as written.
        parameters: of the weight, or of the two that replace it.
        remark: why it was not factored.
    """

    form: str
    error: float
    parameters: int
    remark: str = ""


def prune(
    graph: SpectralGraph,
    ranks: Ranks | None = None,
    *,
    energy: float | None = None,
    budget: float | None = None,
    factored: bool = False,
    evaluate: Evaluate | None = None,
) -> tuple[nn.Module, PruningReport]:
    """A pruned copy of the model and what was done; see ``SVR.prune``."""
    check_prunable(graph)
    choice = choose(graph, ranks, energy, budget)
    before = _measured(graph, graph.model)
    model, cuts = cut(graph, choice.kept, factored=factored)
    changed = any(each.form == "factored" for each in cuts.values())
    after = _measured(graph, model) if changed else before
    scores = None if evaluate is None else _scores(graph, choice.kept, model, evaluate)
    maps = _table(graph, choice, cuts, before, after)
    operations = None
    if before is not None and after is not None:
        operations = Change(before.multiply_adds, after.multiply_adds)
    return model, PruningReport(
        rule=choice.rule,
        maps=maps,
        parameters=Change(_parameters(graph.model), _parameters(model)),
        multiply_adds=operations,
        scores=scores,
        bound=None if choice.allocation is None else choice.allocation.bound,
    )


def check_prunable(graph: SpectralGraph) -> None:
    """Raise ``SVRError`` where there is no model, or its neurons are not those of its weights."""
    if graph.model is None:
        raise SVRError(
            "prune makes a copy of the model, and this SVR is of bare weights or was loaded from a "
            "file: make it from the nn.Module"
        )
    if graph.norm == "fold":
        raise SVRError(
            "prune cuts the weights of the layers, and norm='fold' has the norms in them: make the "
            "SVR with norm='ignore'"
        )
    if graph.rank is not None:
        raise SVRError("prune needs every neuron: make the SVR without rank=")


def cut(
    graph: SpectralGraph, kept: Mapping[str, Kept], *, factored: bool = False
) -> tuple[nn.Module, dict[str, Cut]]:
    """A copy of the model whose maps have only the kept neurons, and what became of each map.

    Raises:
        SVRError: a weight cannot be replaced, or the model cannot be copied.
    """
    assert graph.model is not None
    partial = {name for name, linear in graph.maps.items() if len(kept[name]) < _count(graph, name)}
    for name in partial:
        linear = graph.maps[name]
        if linear.product_of is None:
            check_current(graph.parts[name], linear)
        else:
            check_current_product(graph.parts, linear)
    try:
        model = copy.deepcopy(graph.model)
    except Exception as error:  # whatever a model's own attributes raise
        raise SVRError(f"{graph.title} cannot be copied, so it is not pruned: {error}") from error
    parts = {
        name: replace(part, module=model.get_submodule(part.path))
        for name, part in graph.parts.items()
    }
    cuts = {}
    for name, linear in graph.maps.items():
        if name not in partial:
            cuts[name] = Cut("whole", 0.0, sum(factor.numel() for factor in linear.factors))
        else:
            cuts[name] = _cut(graph, model, parts, linear, kept[name], factored)
    return model, cuts


def _cut(
    graph: SpectralGraph,
    model: nn.Module,
    parts: Mapping[str, Part],
    linear: LinearMap,
    kept: Kept,
    factored: bool,
) -> Cut:
    neurons, weight = graph[linear.name], linear.weight.double()
    held = sum(factor.numel() for factor in linear.factors)
    if linear.product_of is not None:
        written = write_product(parts, graph.maps, linear, neurons, kept)
        remark = "a product of two matrices stays one" if factored else ""
        return Cut("low rank", _error(weight, written), held, remark)
    part, remark = parts[linear.name], ""
    if factored:
        remark = why_not(model, part, linear, neurons.method)
        entries = parameters_of_two(linear, neurons, kept)
        if not remark and not entries:
            remark = "no neuron is kept"
        elif not remark and entries >= held:
            remark = f"two layers would hold {entries:,} parameters"
        if not remark:
            assert part.held is not None
            precision = part.held.dtype
            first, second = (each.to(precision) for each in two_weights(linear, neurons, kept))
            layers = two_layers(part, linear, neurons.method, first, second)
            replace_module(model, part.module, layers)
            return Cut("factored", _error(weight, composed(first, second, linear)), entries)
    own = layer_weight(part, linear, weight)
    written = write(part, layer_weight(part, linear, low_rank(linear, neurons, kept)))
    return Cut("low rank", _error(own, written), held, remark)


def _error(weight: Tensor, written: Tensor) -> float:
    return float((weight - written.to(weight)).norm()) / (float(weight.norm()) or 1.0)


def _scores(
    graph: SpectralGraph, kept: Mapping[str, Kept], model: nn.Module, evaluate: Evaluate
) -> Scores:
    lowest = {
        name: np.arange(_count(graph, name) - len(each), _count(graph, name))
        for name, each in kept.items()
    }
    control, _ = cut(graph, lowest)
    given, pruned = copy.deepcopy(graph.model), copy.deepcopy(model)
    assert given is not None
    return Scores(evaluate(given), evaluate(pruned), evaluate(control))


def _count(graph: SpectralGraph, name: str) -> int:
    return len(graph[name])


def _measured(graph: SpectralGraph, model: nn.Module | None) -> Footprint | None:
    if graph.example is None or model is None:
        return None
    try:
        return footprint(model, graph.example)
    except Exception as error:  # whatever the model raises that finds other layers than its own
        if model is graph.model:
            raise
        raise SVRError(
            f"{graph.title} does not run with two layers in the place of one ({error}); prune it "
            "with factored=False, or leave the layer whole that its code uses directly"
        ) from error


def _parameters(model: nn.Module | None) -> int:
    assert model is not None
    return sum(parameter.numel() for parameter in model.parameters())


def _table(
    graph: SpectralGraph,
    choice: Choice,
    cuts: Mapping[str, Cut],
    before: Footprint | None,
    after: Footprint | None,
) -> pd.DataFrame:
    rows = []
    for name, linear in graph.maps.items():
        neurons, kept, each = graph[name], choice.kept[name], cuts[name]
        S = neurons.S.numpy()
        rows.append(
            {
                "map": name,
                "form": each.form,
                "neurons": len(neurons),
                "kept": len(kept),
                "energy": _energy(S, kept, each.form),
                "error": each.error,
                "parameters": sum(factor.numel() for factor in linear.factors),
                "parameters_after": each.parameters,
                "multiply_adds": _operations(graph, name, before),
                "multiply_adds_after": _operations(graph, name, after),
                "remark": "; ".join(
                    [*choice.remarks.get(name, []), *_warnings(neurons, kept), each.remark]
                ).strip("; "),
            }
        )
    table = pd.DataFrame(rows)
    return table.astype(dict.fromkeys(("multiply_adds", "multiply_adds_after"), "Int64"))


def _energy(S: Any, kept: Kept, form: str) -> float:
    total = float((S**2).sum())
    return 1.0 if form == "whole" or total == 0 else float((S[kept] ** 2).sum()) / total


def _warnings(neurons: Decomposition, kept: Kept) -> list[str]:
    """Where the choice of neurons rests on vectors that are arbitrary."""
    chosen = np.zeros(len(neurons), dtype=bool)
    chosen[kept] = True
    null, clusters = neurons.null.numpy(), neurons.clusters.numpy()
    said = []
    if not chosen.all():
        if (chosen & null).any():
            said.append(f"{int((chosen & null).sum())} null neurons kept")
        for label in np.intersect1d(clusters[chosen & ~null], clusters[~chosen & ~null]):
            mine = np.flatnonzero(clusters == label)
            said.append(
                f"cuts through the equal singular values of neurons {mine[0]} to {mine[-1]}"
            )
    return said


def _operations(graph: SpectralGraph, name: str, taken: Footprint | None) -> int | None:
    """Multiply-adds inside the module of a map that is all of it."""
    part = graph.parts.get(name)
    if taken is None or part is None or part.suffix:
        return None
    return taken.multiply_adds_of.get(part.path)
