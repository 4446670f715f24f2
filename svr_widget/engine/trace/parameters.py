"""What becomes of a parameter before it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.parts import Part
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call
from svr_widget.engine.trace.flow.flow import Carrier, Flow, Reason, Source, as_data, mint
from svr_widget.engine.trace.rules.contraction import CONVOLUTIONS, FACTORS, LOOKUPS, factors
from svr_widget.engine.trace.rules.factors import normalised_input
from svr_widget.engine.trace.rules.table import keeps_elements, keeps_values, rule_for


def parameter(name: str, shape: tuple[int, ...], value: Callable[[], Tensor] | None) -> Flow:
    """A parameter or buffer as the model holds it."""
    index = tuple(Carrier(Source(name, dim), labels.along(dim, shape)) for dim in range(len(shape)))
    return Flow(shape, weights=frozenset({name}), value=value, index=index)


READ = -1
"""The number of the use of a map whose weight is read as data."""


def read_as_data(name: str, flow: Flow, parts: Sequence[Part]) -> Flow:
    """The output channels of the maps that a parameter holds, as a source of the network.

    Args:
        name: the parameter's qualified name.
        flow: the parameter.
        parts: its maps.
    """
    part = parts[0]
    dim = int(part.kind.transposed)
    if part.held is None or flow.shape[dim : dim + 1] != (part.total,):
        reason = Reason(f"{name}, which is read as data,", "")
        mixed = frozenset((Source(each.name, READ), reason) for each in parts)
        return Flow(flow.shape, mixed=mixed)
    along = labels.along(dim, flow.shape)
    carriers = []
    for each in parts:
        mine = (along >= each.rows.start) & (along < each.rows.stop)
        label = torch.where(mine, along - each.rows.start, labels.NONE)
        carriers.append(Carrier(Source(each.name, READ), labels.canonical(label)))
    return Flow(flow.shape, tuple(carriers), place=mint(flow.shape, [dim]))


def with_data(call: Call) -> Call:
    """A call that reads data or channels: the weights in it are data, too, unless they multiply."""
    weights = _multiplied(call)

    def read(argument: Any) -> Any:
        if isinstance(argument, Flow):
            return argument if any(argument is weight for weight in weights) else as_data(argument)
        if isinstance(argument, (list, tuple)):
            return [read(item) for item in argument]
        return argument

    kwargs = {name: read(value) for name, value in call.kwargs.items()}
    return replace(call, args=tuple(map(read, call.args)), kwargs=kwargs)


def _multiplied(call: Call) -> list[Flow]:
    """The arguments of a product that stand for a linear map rather than for channels."""
    if call.name in CONVOLUTIONS or call.name in LOOKUPS:
        return [call.flow("weight")]
    if call.name not in FACTORS:
        return []
    left, right = factors(call)
    contracted = -1 if call.name == "linear" or len(right.shape) < 2 else -2
    return [
        flow
        for flow, dim in ((left, len(left.shape) - 1), (right, len(right.shape) + contracted))
        if flow.as_data is not None and dim in as_data(flow).channel_dims()
    ]


class _Later:
    """The results of an operator on weights, as they would be on data."""

    def __init__(self, call: Call, apply: Callable[[Call], list[Flow]]) -> None:
        self._call, self._apply = call, apply
        self._made: list[Flow] | None = None

    def __call__(self, place: int) -> Flow:
        if self._made is None:
            self._made = self._apply(_on_data(self._call))
        return self._made[place]


def _on_data(call: Call) -> Call:
    """The call with all that it reads as data, but for one factor of a product."""
    if call.name not in FACTORS:
        return with_data(call)
    left, right = factors(call)
    weight = right if right.as_data is not None else left

    def read(argument: Any) -> Any:
        if argument is not weight and (argument is left or argument is right):
            return replace(as_data(argument), weights=frozenset(), data=True)
        return argument

    return replace(call, args=tuple(map(read, call.args)))


def prepared(call: Call, apply: Callable[[Call], list[Flow]]) -> list[Flow]:
    """The results of an operator that reads no map's output.

    Args:
        call: the operator.
        apply: interprets it, if what it makes of weights turns out to be read as data.
    """
    flows = list(call.flows())
    if any(flow.data for flow in flows):
        inlet = normalised_input(call)
        return [Flow(shape, data=True, inlet=inlet) for shape in call.shapes]
    weights = frozenset[str]().union(*(flow.weights for flow in flows))
    indices = _indices(call) if any(flow.index for flow in flows) else [()] * len(call.shapes)
    computed = not keeps_values(call) or any(flow.computed for flow in flows)
    later = _Later(call, apply) if any(flow.as_data is not None for flow in flows) else None
    return [
        Flow(
            shape,
            weights=weights,
            index=index,
            computed=computed,
            as_data=None if later is None else partial(later, place),
        )
        for place, (shape, index) in enumerate(zip(call.shapes, indices, strict=True))
    ]


def _indices(call: Call) -> list[tuple[Carrier, ...]]:
    """Which elements of which parameters the results hold, where the operator keeps elements.

    A parameter's rows and columns move as channels do, so the same rules apply.
    """
    rule = rule_for(call) if keeps_elements(call) else None
    nothing: list[tuple[Carrier, ...]] = [()] * len(call.shapes)
    if rule is None:
        return nothing

    def as_channels(argument: Any) -> Any:
        if isinstance(argument, Flow):
            return replace(argument, carriers=argument.index, index=())
        if isinstance(argument, (list, tuple)):
            return [as_channels(item) for item in argument]
        return argument

    kwargs = {name: as_channels(value) for name, value in call.kwargs.items()}
    moved = replace(call, args=tuple(map(as_channels, call.args)), kwargs=kwargs)
    try:
        result = rule(moved)
    except (SVRError, RuntimeError, TypeError, ValueError, IndexError, StopIteration):
        return nothing  # then the weight counts as computed, and has to be used whole
    made = result if isinstance(result, list) else [result]
    if [flow.shape for flow in made] != list(call.shapes):
        return nothing
    return [flow.carriers for flow in made]
