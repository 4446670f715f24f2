"""Cutting neurons out of a copy of a model, map by map."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor, nn

from svr_widget.engine.compression.footprint import footprint
from svr_widget.engine.compression.pruning.choice import Kept, every_neuron
from svr_widget.engine.compression.pruning.factored import (
    composed,
    replace_module,
    two_layers,
    why_not,
)
from svr_widget.engine.compression.pruning.heads import check_current_product, write_product
from svr_widget.engine.compression.pruning.truncation import (
    parameters_of_two,
    two_weights,
)
from svr_widget.engine.compression.pruning.writing import check_current, layer_weight, write
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.parts import Part
from svr_widget.engine.model.user_model import copied


class MapCut(NamedTuple):
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
    graph: SpectralGraph, kept: Mapping[str, Kept], factored: Container[str] = ()
) -> tuple[nn.Module, dict[str, MapCut]]:
    """A copy of the model whose maps have only the kept neurons, and what became of each map.

    Args:
        graph: of the model.
        kept: by map.
        factored: maps that two layers replace where they can.

    Raises:
        SVRError: a weight cannot be replaced, or the model cannot be copied.
    """
    assert graph.model is not None
    partial = {name for name, linear in graph.maps.items() if len(kept[name]) < len(graph[name])}
    for name in partial:
        linear = graph.maps[name]
        if linear.product_of is None:
            check_current(graph.parts[name], linear)
        else:
            check_current_product(graph.parts, linear)
    model = copied(graph.model, "so it is not pruned")
    parts = {
        name: replace(part, module=model.get_submodule(part.path))
        for name, part in graph.parts.items()
    }
    cuts = {}
    for name, linear in graph.maps.items():
        if name not in partial:
            cuts[name] = MapCut("whole", 0.0, sum(factor.numel() for factor in linear.factors))
        else:
            cuts[name] = _cut(graph, model, parts, linear, kept[name], name in factored)
    return model, cuts


def cut_into_two(
    graph: SpectralGraph, kept: Mapping[str, Kept]
) -> tuple[nn.Module, dict[str, MapCut]]:
    """The same with two layers in the place of one, wherever the model runs with them.

    Where its code takes more from a layer than its output, the layer stays one. That is found by
    running the model on the example input, as far as there is one.
    """
    every = set(graph.maps)
    model, cuts = cut(graph, kept, every)
    if not _why_it_fails(graph, model):
        return model, cuts
    reasons: dict[str, str] = {}
    whole = every_neuron(graph)
    for name in [name for name, each in cuts.items() if each.form == "factored"]:
        alone, _ = cut(graph, whole | {name: kept[name]}, {name})
        if why := _why_it_fails(graph, alone):
            reasons[name] = f"the model does not run with two layers: {why}"
    model, cuts = cut(graph, kept, every - reasons.keys())
    if why := _why_it_fails(graph, model):
        raise SVRError(
            f"{graph.title} does not run with two layers in the place of one: {why}; prune it with "
            "factored=False"
        )
    return model, cuts | {
        name: cuts[name]._replace(remark=reason) for name, reason in reasons.items()
    }


def _why_it_fails(graph: SpectralGraph, model: nn.Module) -> str:
    """What the model raises for the example input, empty for nothing."""
    if graph.own_example is None:
        return ""
    try:
        footprint(model, graph.own_example, graph.run_live)
    except Exception as error:  # whatever it raises that finds other layers than its own
        return str(error) or type(error).__name__
    return ""


def _cut(
    graph: SpectralGraph,
    model: nn.Module,
    parts: Mapping[str, Part],
    linear: LinearMap,
    kept: Kept,
    factored: bool,
) -> MapCut:
    neurons, weight = graph[linear.name], linear.weight.double()
    held = sum(factor.numel() for factor in linear.factors)
    if linear.product_of is not None:
        written = write_product(parts, graph.maps, linear, neurons, kept)
        remark = "a product of two matrices stays one" if factored else ""
        return MapCut("low rank", _error(weight, written), held, remark)
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
            return MapCut("factored", _error(weight, composed(first, second, linear)), entries)
    own = layer_weight(part, linear, weight)
    written = write(part, layer_weight(part, linear, neurons.weight(linear.shape, kept)))
    return MapCut("low rank", _error(own, written), held, remark)


def _error(weight: Tensor, written: Tensor) -> float:
    return float((weight - written.to(weight)).norm()) / (float(weight.norm()) or 1.0)
