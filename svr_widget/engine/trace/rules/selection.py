"""Operators that choose or overwrite elements by index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call, Rule
from svr_widget.engine.trace.flow.flow import (
    Carrier,
    Flow,
    Reason,
    Source,
    drop_known,
    lost,
    merged,
    mint,
)
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
    """``slice_scatter``, ``index_put``, ``masked_scatter``...: written elements change owner."""
    target, written = call.flow("self"), _written(call)
    if call.get("accumulate", False) or call.get("reduce") is not None:
        return gathered_sum(call)
    places = [each for each in call.flows() if each is not written and each is not target]
    if any(_unknown(place) for place in places):
        return _somewhere(call, target, written, places)
    names = [argument.name for argument in call.func._schema.arguments]
    at = next(i for i, name in enumerate(names) if name in _SOURCES)
    given = [known(call, None if i in (0, at) else each) for i, each in enumerate(call.args)]
    kwargs = {name: known(call, value) for name, value in call.kwargs.items()}

    def write(base: Tensor, new: Tensor) -> Tensor:
        base = base.clone(memory_format=torch.contiguous_format)
        arguments = [base, *given[1:at], new.contiguous(), *given[at + 1 :]]
        return labels.canonical(call.func(*arguments, **kwargs))

    carriers: list[Carrier] = []
    remaining = list(written.carriers)
    for carrier in target.carriers:
        label = write(carrier.label, _blank(written.shape))
        match = next((c for c in remaining if continues(carrier, c, [label])), None)
        if match is not None:
            remaining.remove(match)
            label, carrier = write(carrier.label, match.label), carrier.joined(match)
        carriers.append(replace(carrier, label=label))
    carriers += [replace(c, label=write(_blank(target.shape), c.label)) for c in remaining]
    return _held(call, carriers, target.mixed | written.mixed)


def filled(call: Call) -> Flow:
    """``index_fill``, ``scatter`` of a number: elements that were written to carry nothing."""
    target, place = call.flow("self"), call.flow("index")
    if _unknown(place):
        return _somewhere(call, target, Flow(call.shape), [place])
    dim, index = call.get("dim"), known(call, place)
    fill = torch.index_fill if call.name == "index_fill" else torch.scatter
    carriers = [replace(c, label=fill(c.label, dim, index, labels.NONE)) for c in target.carriers]
    made = [replace(c, label=labels.canonical(c.label)) for c in carriers]
    return _held(call, made, target.mixed)


def gathered_sum(call: Call) -> Flow:
    """``index_add``, ``scatter_add``, ``scatter_reduce``: sums over positions chosen by index."""
    target, written = call.flow("self"), _written(call)
    places = [each for each in call.flows() if each is not written and each is not target]
    return _somewhere(call, target, written, places, entry=call.entry())


def _somewhere(
    call: Call, target: Flow, written: Flow, places: Sequence[Flow], entry: str = ""
) -> Flow:
    """Channels written to places that do not matter, or depend on values, beside what was there."""
    steps = steps_of(call.name) if entry else ()
    carriers, mixed = list(target.carriers), set(target.mixed | written.mixed)
    for carrier in written.carriers:
        label = _everywhere(call, carrier.label)
        if label is None:
            mixed.add(lost(carrier, call.reason()))
        else:
            carriers.append(replace(carrier, label=label))
    if entry:
        carriers = [carrier.passing(entry, steps=steps) for carrier in carriers]
    unknown = [place for place in places if place.traced]
    drivers = {item for place in unknown for item in place.mixed}
    drivers |= {lost(c, call.reason()) for place in unknown for c in place.carriers}
    return _held(call, carriers, mixed | drop_known(drivers, carriers))


def _everywhere(call: Call, label: Tensor) -> Tensor | None:
    """Labels of what is written by index: where it leads to, or wherever it may.

    ``None`` where what is chosen by index are channels.
    """
    if call.name == "masked_scatter":
        return None
    if call.name in ("index_put", "_unsafe_index_put"):
        return _over_indexed(call, label)
    dim, index = call.get("dim") % len(call.shape), call.flow("index")
    by_element = "scatter" in call.name
    if by_element:  # the index, not what is written, says how much of it that is
        for each, size in enumerate(index.shape):
            label = label.narrow(each, 0, size)
    one = labels.collapse(labels.canonical(label), [dim])
    wide = None
    if one is not None:
        wide = _blank([1 if each == dim else size for each, size in enumerate(call.shape)])
        wide[tuple(slice(0, size) for size in one.shape)] = one
        wide = wide.expand(call.shape)
    if _unknown(index):
        return None if wide is None else labels.canonical(wide)
    at = known(call, index)
    if wide is None:
        numbered = torch.arange(label.numel()).view(label.shape)
        place = torch.scatter if by_element else torch.index_copy
        where = place(_blank(call.shape), dim, at, numbered)
        if int((where != labels.NONE).sum()) < label.numel():
            return None  # several channels meet in one element
        return labels.canonical(place(_blank(call.shape), dim, at, label.contiguous()))
    count = torch.scatter_add if by_element else torch.index_add
    return _there(count(_none(call.shape), dim, at, (label != labels.NONE).long()), wide)


def _over_indexed(call: Call, label: Tensor) -> Tensor | None:
    """Labels of the values that ``index_put`` writes, the same at every index."""
    indices: list[Flow | None] = list(call.get("indices"))
    dims = [dim for dim, index in enumerate(indices) if index is not None]
    block = np.broadcast_shapes(*(index.shape for index in indices if index is not None))
    together = dims == list(range(dims[0], dims[-1] + 1))
    others = [size for dim, size in enumerate(call.shape) if dim not in dims]
    first = dims[0] if together else 0
    label = labels.canonical(label.expand((*others[:first], *block, *others[first:])))
    chosen = list(range(first, first + len(block)))
    one = labels.collapse(label, chosen)
    if one is None:
        return None
    for dim in reversed(chosen):
        one = one.select(dim, 0)
    for dim in dims:
        one = one.unsqueeze(dim)
    wide = one.expand(call.shape)
    if any(_unknown(index) for index in indices if index is not None):
        return labels.canonical(wide)
    at = [None if index is None else known(call, index) for index in indices]
    held = (label != labels.NONE).long()
    return _there(torch.ops.aten.index_put(_none(call.shape), at, held, accumulate=True), wide)


def _there(count: Tensor, label: Tensor) -> Tensor:
    return labels.canonical(torch.where(count > 0, label, labels.NONE))


def _none(shape: Sequence[int]) -> Tensor:
    return torch.zeros(tuple(shape), dtype=torch.int64)


def _held(call: Call, carriers: Sequence[Carrier], mixed: Iterable[tuple[Source, Reason]]) -> Flow:
    kept = [c for c in carriers if bool((labels.core(c.label) != labels.NONE).any())]
    held = merged(kept)
    place = mint(call.shape, Flow(call.shape, held).channel_dims()) if held else None
    return Flow(call.shape, held, frozenset(mixed), place)


def _blank(shape: Sequence[int]) -> Tensor:
    return torch.full(tuple(shape), labels.NONE)


_SOURCES = ("src", "values", "source")


def _written(call: Call) -> Flow:
    return next(each for each in map(call.get, _SOURCES) if isinstance(each, Flow))


def _by_source(call: Call) -> Flow:
    """Writes of a tensor, or of a number."""
    of_tensor = any(isinstance(call.get(name), Flow) for name in _SOURCES)
    return scattered(call) if of_tensor else filled(call)


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("index", "_unsafe_index", "gather", "index_select", "take_along_dim"), selection
    ),
    **dict.fromkeys(
        (
            *("slice_scatter", "select_scatter", "index_put", "index_copy", "scatter"),
            *("diagonal_scatter", "_unsafe_index_put", "masked_scatter", "index_fill"),
        ),
        _by_source,
    ),
    **dict.fromkeys(("index_add", "scatter_add", "scatter_reduce", "index_reduce"), gathered_sum),
}
