"""Operators that choose or overwrite elements by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call, Rule
from svr_widget.engine.trace.flow.flow import Carrier, Flow, drop_known, lost, merged, mint
from svr_widget.engine.trace.flow.steps import steps_of
from svr_widget.engine.trace.rules.movement import continues, known, moved, settled


def selection(call: Call) -> Flow:
    """``index``, ``gather``, ``index_select``: by known indices, or along positions only."""
    flow = call.flow("self")
    if call.name in ("index", "_unsafe_index"):
        indices = list(call.get("indices"))
        dims = [dim for dim, index in enumerate(indices) if index is not None]
        unknown = [i for i in indices if isinstance(i, Flow) and _unknown(i)]
    else:
        index = call.flow("index" if call.get("index") is not None else "indices")
        indices, dims = [index], [call.get("dim", 0) % len(flow.shape)]
        unknown = [index] if _unknown(index) else []
    if not unknown:
        return moved(flow, lambda label: _select(call, label, indices))[0]
    # Which positions are taken is decided by values: any of them tells the channels, as long as
    # the channels do not lie along the indexed dimensions.
    kept, mixed = settled(flow.carriers, dims, call.reason())
    labelled = replace(flow, carriers=kept)
    zero = [torch.zeros(i.shape, dtype=torch.int64) if isinstance(i, Flow) else i for i in indices]
    result = moved(labelled, lambda label: _select(call, label, zero))[0]
    drivers = {item for i in unknown for item in i.mixed}
    drivers |= {lost(c, call.reason()) for i in unknown for c in i.carriers}
    everything = frozenset({*flow.mixed, *mixed, *drop_known(drivers, result.carriers)})
    place = mint(call.shape, result.channel_dims()) if result.carriers else None
    return replace(result, mixed=everything, place=place)


def _unknown(index: Flow) -> bool:
    return index.traced or index.value is None


def _select(call: Call, label: Tensor, indices: Sequence[Any]) -> Tensor:
    real = [i.value().cpu() if isinstance(i, Flow) and i.value else i for i in indices]
    if call.name in ("index", "_unsafe_index"):
        chosen: Tensor = torch.ops.aten.index.Tensor(label, real)
        return chosen
    if call.name == "take_along_dim":
        return torch.take_along_dim(label, real[0], call.get("dim"))
    dim: int = call.get("dim")
    if call.name == "gather":
        return torch.gather(label, dim, real[0])
    return torch.index_select(label, dim, real[0])


def scattered(call: Call) -> Flow:
    """``slice_scatter``, ``select_scatter``, ``index_put``...: written elements change owner."""
    names = ("src", "values", "source")
    written = next(call.get(name) for name in names if isinstance(call.get(name), Flow))
    target = call.flow("self")
    if call.get("accumulate", False):
        raise call.refusal("it adds to elements chosen by index")
    at = next(i for i, argument in enumerate(call.args) if argument is written)
    others = [_scatter_argument(call, argument, written) for argument in call.args]
    kwargs = {name: known(call, value) for name, value in call.kwargs.items()}

    def write(base: Tensor, new: Tensor) -> Tensor:
        arguments = [base.contiguous(), *others[1:at], new.contiguous(), *others[at + 1 :]]
        return labels.canonical(call.func(*arguments, **kwargs))

    def blank(flow: Flow) -> Tensor:
        return torch.full(flow.shape, labels.NONE)

    carriers: list[Carrier] = []
    remaining = list(written.carriers)
    for carrier in target.carriers:
        match = next((c for c in remaining if continues(carrier, c, [carrier.label])), None)
        if match is not None:
            remaining.remove(match)
        new = match.label if match is not None else blank(written)
        way = carrier if match is None else carrier.joined(match)
        carriers.append(replace(way, label=write(carrier.label, new)))
    carriers += [replace(c, label=write(blank(target), c.label)) for c in remaining]
    carriers = [c for c in carriers if bool((labels.core(c.label) != labels.NONE).any())]
    held = merged(carriers)
    place = mint(call.shape, Flow(call.shape, held).channel_dims()) if held else None
    return Flow(call.shape, held, target.mixed | written.mixed, place)


def gathered_sum(call: Call) -> Flow:
    """``index_add``, ``scatter_add``, ``scatter_reduce``: sums over positions chosen by index."""
    target = call.flow("self")
    written = next(call.get(n) for n in ("source", "src") if isinstance(call.get(n), Flow))
    dims = [call.get("dim", 0) % len(call.shape)]
    carriers: list[Carrier] = []
    mixed = set(target.mixed | written.mixed)
    for flow in (target, written):
        kept, gone = settled(flow.carriers, dims, call.reason())
        mixed |= gone
        for carrier in kept:
            one = labels.collapse(carrier.label, dims)
            if one is not None:
                carriers.append(replace(carrier, label=one.expand(call.shape)))
    steps = steps_of(call.name)
    held = merged(carrier.passing(call.entry(), steps=steps) for carrier in carriers)
    place = mint(call.shape, Flow(call.shape, held).channel_dims()) if held else None
    return Flow(call.shape, held, frozenset(mixed), place)


def _scatter_argument(call: Call, argument: Any, written: Flow) -> Any:
    if isinstance(argument, (list, tuple)):
        return [_scatter_argument(call, item, written) for item in argument]
    if isinstance(argument, Flow) and argument is not written and argument is not call.get("self"):
        if _unknown(argument):
            raise call.refusal("elements are written at places that depend on values")
        return argument.value().cpu() if argument.value else None
    return None if isinstance(argument, Flow) else argument


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("index", "_unsafe_index", "gather", "index_select", "take_along_dim"), selection
    ),
    **dict.fromkeys(
        (
            *("slice_scatter", "select_scatter", "index_put", "index_copy", "scatter"),
            *("diagonal_scatter", "_unsafe_index_put"),
        ),
        scattered,
    ),
    **dict.fromkeys(("index_add", "scatter_add", "scatter_reduce", "index_reduce"), gathered_sum),
}
