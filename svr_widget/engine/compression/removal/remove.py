"""``SVR.remove_dead_channels``: remove, measure, remove less where that is too much, report."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from svr_widget.engine.analysis.activations.activations import (
    examples_of,
    is_one_batch,
    one_example,
)
from svr_widget.engine.compression.footprint import Change, Footprint, footprint
from svr_widget.engine.compression.removal.bound import Bound
from svr_widget.engine.compression.removal.outputs import Outputs
from svr_widget.engine.compression.removal.report import RemovalReport
from svr_widget.engine.compression.removal.rounds import Removing
from svr_widget.engine.environment.settings import normal_like
from svr_widget.engine.errors import OutputChangeError, SVRError, nearest_name
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.model.example_inputs import Example
from svr_widget.engine.model.user_model import copied
from svr_widget.engine.network.network import Network

TOLERANCE = 1e-3
"""Largest change of the output that is allowed, relative to its largest entry."""

RANDOM_INPUTS = 8


def remove_dead_channels(
    graph: SpectralGraph,
    tolerance: float,
    check_inputs: object,
    maps: str | Iterable[str] | None,
    influence: float,
) -> tuple[nn.Module, RemovalReport]:
    """A smaller model and what was done; see ``SVR.remove_dead_channels``."""
    if not tolerance >= 0:
        raise SVRError(f"tolerance = {tolerance!r} is out of range: 0 <= tolerance")
    model, example = graph.model, graph.own_example
    if model is None:
        raise SVRError(
            f"{graph.title}: channels cannot be removed from bare weights; make the SVR from the "
            "nn.Module that they belong to"
        )
    if example is None:
        raise SVRError(
            f"{graph.title}: removal follows channels through a run of the model, and this SVR was "
            "made with links= alone; give it example_inputs as well"
        )
    live = graph.run_live
    copy = copied(model, "so nothing is removed")
    work = Removing(copy, example, list(graph.parts), influence, live)
    before = work.network
    work.chosen = _chosen(before, maps)
    work.run()
    checks, words = _checks(graph, example, check_inputs)
    outputs = Outputs(model, checks, live)
    measured = whole = outputs.difference(work.model)
    if math.isnan(whole.relative):
        raise OutputChangeError(
            f"the output of {graph.title} has NaN or infinite entries on {words}, so that it "
            "cannot be told what removing channels changes: nothing was removed. Give "
            "check_inputs= on which it is finite"
        )
    if whole.relative > tolerance:
        bound = Bound(outputs, tolerance, graph.progress)
        copy = copied(model, "so nothing is removed")
        work = Removing(copy, example, work.names, influence, live, work.chosen, bound)
        work.run()
        measured = outputs.difference(work.model)
    footprints = tuple(footprint(each, example, live) for each in (model, work.model))
    report = RemovalReport(
        maps=_by_map(before, work.network, *footprints),
        removed=work.removed,
        kept=work.kept,
        moved=work.moved,
        parameters=Change(*(taken.parameters for taken in footprints)),
        multiply_adds=Change(*(taken.multiply_adds for taken in footprints)),
        change=measured.change,
        relative_change=measured.relative,
        change_of_all=whole.relative,
        tolerance=tolerance,
        checked=words,
        rounds=work.rounds,
    )
    return work.model, report


def _chosen(network: Network, maps: str | Iterable[str] | None) -> Collection[str] | None:
    if maps is None:
        return None
    names = [maps] if isinstance(maps, str) else list(maps)
    for name in names:
        if name not in network.maps:
            raise SVRError(f"no map {name!r}{nearest_name(name, network.maps)}")
    return names


def _checks(graph: SpectralGraph, example: Example, given: object) -> tuple[list[Example], str]:
    """The inputs on which the change of the output is measured, and what to call them."""
    if given is None:
        found = [example, *(_random(example, seed) for seed in range(RANDOM_INPUTS))]
        floating = any(_is_floating(leaf) for leaf in example.tensors())
        shapes = ", ".join(
            "x".join(map(str, leaf.shape)) for leaf in example.tensors() if isinstance(leaf, Tensor)
        )
        if not floating:
            return found[:1], f"the traced example ({shapes})"
        return found, f"the traced example and {RANDOM_INPUTS} random normal inputs ({shapes})"
    if is_one_batch(graph, given):
        return [one_example(graph, given)], "the given inputs"
    batches = list(examples_of(graph, given))
    if not batches:
        raise SVRError("check_inputs holds no batch")
    return batches, f"the given inputs ({len(batches)} batches)"


def _is_floating(leaf: Any) -> bool:
    return isinstance(leaf, Tensor) and leaf.is_floating_point()


def _random(example: Example, seed: int) -> Example:
    generator = torch.Generator().manual_seed(seed)

    def fresh(leaf: Any) -> Any:
        return normal_like(leaf, generator) if _is_floating(leaf) else leaf

    return Example(tree_map(fresh, example.args), tree_map(fresh, dict(example.kwargs)))


def _by_map(before: Network, after: Network, old: Footprint, new: Footprint) -> pd.DataFrame:
    rows = []
    for name, part in before.parts.items():
        now = after.parts[name]
        row: dict[str, object] = {"map": name}
        for key, was, is_now in (
            ("outputs", part.outputs, now.outputs),
            ("inputs", part.inputs, now.inputs),
            ("parameters", before.maps[name].weight.numel(), after.maps[name].weight.numel()),
        ):
            row |= {key: was, f"{key}_after": is_now}
        if not part.suffix:
            row["parameters"] = old.parameters_of[part.path]
            row["parameters_after"] = new.parameters_of[part.path]
            row["multiply_adds"] = old.multiply_adds_of.get(part.path)
            row["multiply_adds_after"] = new.multiply_adds_of.get(part.path)
        rows.append(row)
    frame = pd.DataFrame(rows)
    counts = dict.fromkeys(("multiply_adds", "multiply_adds_after"), "Int64")
    return frame.astype(counts)
