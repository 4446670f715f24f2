"""A copy of a model with fewer spectral neurons (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from svr_widget.engine.compression.footprint import Change, Footprint, footprint
from svr_widget.engine.compression.pruning.choice import Choice, Kept, Ranks, choose
from svr_widget.engine.compression.pruning.cutting import MapCut, check_prunable, cut, cut_into_two
from svr_widget.engine.compression.pruning.report import Evaluate, PruningReport, Scores, score
from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.model.user_model import copied


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
    model, cuts = (cut_into_two if factored else cut)(graph, choice.kept)
    before = _measured(graph, graph.model)
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
        squared_error=None if choice.allocation is None else choice.allocation.error,
        bound=None if choice.allocation is None else choice.allocation.bound,
    )


def _scores(
    graph: SpectralGraph, kept: Mapping[str, Kept], model: nn.Module, evaluate: Evaluate
) -> Scores:
    lowest = {
        name: np.arange(len(graph[name]) - len(each), len(graph[name]))
        for name, each in kept.items()
    }
    control, _ = cut(graph, lowest)
    assert graph.model is not None
    given, pruned = (copied(each, "so it is not scored") for each in (graph.model, model))
    return Scores(*(score(evaluate, each) for each in (given, pruned, control)))


def _measured(graph: SpectralGraph, model: nn.Module | None) -> Footprint | None:
    if graph.example is None or model is None:
        return None
    return footprint(model, graph.example, graph.run_live)


def _parameters(model: nn.Module | None) -> int:
    assert model is not None
    return sum(parameter.numel() for parameter in model.parameters())


def _table(
    graph: SpectralGraph,
    choice: Choice,
    cuts: Mapping[str, MapCut],
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


def pruning_curve(
    graph: SpectralGraph, evaluate: Evaluate, neurons: Iterable[int] | None = None
) -> pd.DataFrame:
    """Scores by the number of neurons; see ``SVR.pruning_curve``."""
    check_prunable(graph)
    producers = {link.producer for link in graph.links.values()}
    names = [name for name in graph.maps if name in producers]
    if not names:
        raise SVRError(f"{graph.title} has no link, so no map is cut: use prune(ranks=...)")
    most = max(len(graph[name]) for name in names)
    counts = np.arange(most + 1) if neurons is None else np.unique(np.fromiter(neurons, np.int64))
    rows = []
    for count in counts.tolist():
        first, others = (
            cut(graph, choose(graph, dict.fromkeys(names, rank), None, None).kept)[0]
            for rank in (count, slice(count, None))
        )
        rows.append(
            {"neurons": count, "kept": score(evaluate, first), "cut": score(evaluate, others)}
        )
    return pd.DataFrame(rows)
