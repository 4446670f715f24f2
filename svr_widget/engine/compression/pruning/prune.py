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
from svr_widget.engine.compression.pruning.report import (
    Evaluate,
    PruningReport,
    Score,
    Scores,
    score,
)
from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.errors import SVRError, listed, nearest_name
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.model.find_maps import matches
from svr_widget.engine.model.user_model import copied


def prune(
    graph: SpectralGraph,
    ranks: Ranks | None = None,
    *,
    cut_out: Ranks | None = None,
    energy: float | None = None,
    budget: float | None = None,
    factored: bool = False,
    evaluate: Evaluate | None = None,
) -> tuple[nn.Module, PruningReport]:
    """A pruned copy of the model and what was done; see ``SVR.prune``."""
    check_prunable(graph)
    choice = choose(graph, ranks, energy, budget, cut_out)
    model, cuts = (cut_into_two if factored else cut)(graph, choice.kept)
    before = _measured(graph, graph.model)
    changed = any(each.form == "factored" for each in cuts.values())
    after = _measured(graph, model) if changed else before
    scores, control = None, ""
    if evaluate is not None:
        scores, control = _scores(graph, choice.kept, model, evaluate)
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
        control=control,
        squared_error=None if choice.allocation is None else choice.allocation.error,
        bound=None if choice.allocation is None else choice.allocation.bound,
    )


def _scores(
    graph: SpectralGraph, kept: Mapping[str, Kept], model: nn.Module, evaluate: Evaluate
) -> tuple[Scores, str]:
    """Scores before and after and of the negative control, and what that is."""
    lowest = {
        name: np.arange(len(graph[name]) - len(each), len(graph[name]))
        for name, each in kept.items()
    }
    assert graph.model is not None
    given, pruned = (copied(each, "so it is not scored") for each in (graph.model, model))
    before = score(evaluate, given)
    after = score(evaluate, pruned, before)
    if why := _no_control(graph, kept, lowest):
        return Scores(before, after, None), f"no negative control: {why}"
    control = score(evaluate, cut(graph, lowest)[0], before)
    return Scores(before, after, control), "as many cut from the top instead"


def _no_control(graph: SpectralGraph, kept: Mapping[str, Kept], lowest: Mapping[str, Kept]) -> str:
    """Why keeping the neurons at the bottom is what was done already; empty where it is not.

    Null neurons make no difference to a weight, so it does not matter which are kept.
    """
    live = {name: np.flatnonzero(~graph[name].null.numpy()) for name in kept}
    for name, mine in live.items():
        if not np.array_equal(np.intersect1d(kept[name], mine), np.intersect1d(lowest[name], mine)):
            return ""
    if all(np.isin(live[name], each).all() for name, each in kept.items()):
        return "nothing but null neurons is cut"
    if not any(np.isin(live[name], each).any() for name, each in kept.items()):
        return "no neuron is kept"
    return "null neurons aside, those that are kept are the ones at the bottom"


def _measured(graph: SpectralGraph, model: nn.Module | None) -> Footprint | None:
    if graph.own_example is None or model is None:
        return None
    return footprint(model, graph.own_example, graph.run_live)


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
    graph: SpectralGraph,
    evaluate: Evaluate,
    neurons: Iterable[int] | None = None,
    maps: str | Iterable[str] | None = None,
) -> pd.DataFrame:
    """Scores by the number of neurons; see ``SVR.pruning_curve``."""
    check_prunable(graph)
    names = _curved(graph, maps)
    most = max(len(graph[name]) for name in names)
    counts = np.arange(most + 1) if neurons is None else np.unique(np.fromiter(neurons, np.int64))
    found: dict[str, list[Score]] = {"kept": [], "cut": []}
    like: Score | None = None
    for count in counts.tolist():
        for column, rank in (("kept", count), ("cut", slice(count, None))):
            model, _ = cut(graph, choose(graph, dict.fromkeys(names, rank), None, None).kept)
            like = score(evaluate, model, like)
            found[column].append(like)
    if not isinstance(like, pd.Series):
        return pd.DataFrame({"neurons": counts, **found})
    several = {name: pd.DataFrame(scores).reset_index(drop=True) for name, scores in found.items()}
    number = pd.DataFrame({"": counts})
    return pd.concat({"neurons": number, **several}, axis=1)


def _curved(graph: SpectralGraph, maps: str | Iterable[str] | None) -> list[str]:
    """The maps that a curve cuts: those named, else all that a link leaves."""
    if maps is not None:
        globs = [maps] if isinstance(maps, str) else list(maps)
        for glob in globs:
            if not any(matches(name, (glob,)) for name in graph.maps):
                raise SVRError(f"maps: {glob!r} matches no map{nearest_name(glob, graph.maps)}")
        if not globs:
            raise SVRError("maps=[] names no map: leave it out, or name some of svr.maps")
        return [name for name in graph.maps if matches(name, globs)]
    producers = {link.producer for link in graph.links.values()}
    names = [name for name in graph.maps if name in producers]
    if not names:
        raise SVRError(
            f"{graph.title} has no link, so no map is cut by itself: name them, "
            f"maps={listed([repr(name) for name in graph.maps], 1)}"
        )
    return names
