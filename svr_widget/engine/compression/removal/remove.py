"""``SVR.remove_dead_channels``: remove, measure, refuse or report."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from svr_widget.engine.activations.activations import examples_of, is_one_batch
from svr_widget.engine.activations.hooks import placed_example
from svr_widget.engine.compression.footprint import Change, Footprint, footprint
from svr_widget.engine.compression.removal.report import RemovalReport
from svr_widget.engine.compression.removal.rounds import Removing
from svr_widget.engine.environment.settings import normal_like
from svr_widget.engine.environment.threads import uninterrupted
from svr_widget.engine.errors import OutputChangeError, SVRError, nearest_name
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.model.example_inputs import Example
from svr_widget.engine.model.user_model import copied, running
from svr_widget.engine.network.network import Network

TOLERANCE = 1e-3
"""Largest change of the output that is allowed, relative to its largest entry."""

RANDOM_INPUTS = 8


class _Measured(NamedTuple):
    """The largest change of an entry of the output, and the largest entry itself."""

    change: float
    largest: float

    @property
    def relative(self) -> float:
        return self.change / self.largest if self.largest else math.inf if self.change else 0.0


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
    model, example = graph.model, graph.example
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
    chosen = _chosen(before, maps)
    work.chosen = chosen
    work.run()
    checks, words = _checks(model, example, check_inputs)
    measured = _measure(model, work.model, checks, live)
    if measured.relative > tolerance or math.isnan(measured.relative):
        raise _refusal(model, work, measured, tolerance, checks, words)
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


def _checks(model: nn.Module, example: Example, given: object) -> tuple[list[Example], str]:
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
    if is_one_batch(given):
        return [placed_example(model, given)], "the given inputs"
    batches = list(examples_of(model, given))
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


@uninterrupted
def _outputs(model: nn.Module, call: Example, live: bool) -> list[Tensor]:
    with running(model, live=live) as run:
        leaves = tree_leaves(run(*call.args, **call.kwargs))
    return [leaf.detach().double() for leaf in leaves if _is_floating(leaf)]


def _measure(
    before: nn.Module, after: nn.Module, calls: Sequence[Example], live: bool
) -> _Measured:
    change = largest = 0.0
    for call in calls:
        both = (_outputs(model, call, live) for model in (before, after))
        for old, new in zip(*both, strict=True):
            change = max(change, float((new - old).abs().max()), key=_nan_first)
            largest = max(largest, float(old.abs().max()), key=_nan_first)
    return _Measured(change, largest)


def _nan_first(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _refusal(
    model: nn.Module,
    work: Removing,
    measured: _Measured,
    tolerance: float,
    checks: Sequence[Example],
    words: str,
) -> OutputChangeError:
    """The error that says how much would change, by which maps, and why."""
    names = list(dict.fromkeys(work.removed.loc[work.removed["ratio"].notna(), "map"]))
    alone: dict[str, float] = {}
    for name in names:
        copy = copied(model, "so nothing is removed")
        single = Removing(copy, work.example, work.names, work.influence, work.live, [name])
        single.run()
        alone[name] = _measure(model, single.model, checks, work.live).relative
    shares = ", ".join(f"{name!r} {share:.2g}" for name, share in alone.items())
    fitting = [name for name, share in alone.items() if share <= tolerance / len(alone)]
    padded = work.moved[work.moved["padded"]]
    why = ""
    if len(padded):
        at = int(padded["constant"].abs().argmax())
        name, constant = padded["map"].iloc[at], padded["constant"].iloc[at]
        why = (
            f" {name!r} pads zeros beside the constants that it reads in dead channels "
            f"(up to {abs(constant):.3g}), so that its bias stands for them only away "
            "from the borders."
        )
    instead = f", or pass maps={fitting!r}" if fitting else ""
    return OutputChangeError(
        f"removing {len(work.removed)} channels changes the output by {measured.change:.3g}, "
        f"{measured.relative:.2g} of its largest entry, more than tolerance={tolerance:g}, on "
        f"{words}. Each map alone: {shares}.{why} Nothing was changed. Raise the tolerance, train "
        f"on with more weight decay, choose a smaller influence than {work.influence:g}{instead}."
    )


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
