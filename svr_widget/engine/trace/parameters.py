"""What becomes of a parameter before it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from svr_widget.engine.errors import SVRError
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call
from svr_widget.engine.trace.flow.flow import Carrier, Flow, Source
from svr_widget.engine.trace.rules.factors import normalised_input
from svr_widget.engine.trace.rules.table import keeps_elements, keeps_values, rule_for


def parameter(name: str, shape: tuple[int, ...], value: Callable[[], Tensor]) -> Flow:
    """A parameter or buffer as the model holds it."""
    index = tuple(Carrier(Source(name, dim), labels.along(dim, shape)) for dim in range(len(shape)))
    return Flow(shape, weights=frozenset({name}), value=value, index=index)


def prepared(call: Call) -> list[Flow]:
    """The results of an operator that reads no map's output."""
    flows = list(call.flows())
    if any(flow.data for flow in flows):
        inlet = normalised_input(call)
        return [Flow(shape, data=True, inlet=inlet) for shape in call.shapes]
    weights = frozenset[str]().union(*(flow.weights for flow in flows))
    indices = _indices(call) if any(flow.index for flow in flows) else [()] * len(call.shapes)
    computed = not keeps_values(call) or any(flow.computed for flow in flows)
    return [
        Flow(shape, weights=weights, index=index, computed=computed)
        for shape, index in zip(call.shapes, indices, strict=True)
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
