"""The factors that norms and products put on the channels of a carrier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from svr_widget.engine.maps.links import OUTSIDE, Norm, Step
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import NORM_MODULES, Call
from svr_widget.engine.trace.flow.flow import ATTENTION, Carrier, Flow, Source
from svr_widget.engine.trace.flow.steps import CHANNELWISE, NONLINEAR, SEVERAL_FACTORS, Steps

_OWN_STATISTICS = "it has no stored statistics: each input brings its own"
_PARTS = "it takes its statistics over parts of the channels, so no factor of its own is stored"
_SHIFT = "it shifts the channels by a statistic that is not known to be their mean"


def norm_operation(operator: str) -> str | None:
    """The kind of norm that an operator is."""
    kinds = ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm")
    return next((kind for kind in kinds if kind in operator), None)


def normalised_input(call: Call) -> Carrier | None:
    """What a norm layer does to the channels of the model's own input."""
    operation = norm_operation(call.name)
    if operation is None:
        return None
    dim = 1 if operation in ("batch_norm", "instance_norm") else len(call.shape) - 1
    carrier = Carrier(Source(OUTSIDE, 0), labels.along(dim, call.shape))
    return carrier.passing(steps=normalised(call, carrier, operation))


def normalised(call: Call, carrier: Carrier, operation: str) -> Steps:
    """What a norm layer does to a carrier.

    Args:
        call: the operator of the layer.
        carrier: what it reads.
        operation: what it is: ``"batch_norm"``, ``"layer_norm"``, ``"rms_norm"`` or another.
    """
    name = call.entry(operation)
    try:
        factor = _stored(call, "weight")
        if operation in ("batch_norm", "instance_norm"):
            if (
                call.get("training")
                or call.get("use_input_stats")
                or call.get("running_var") is None
            ):
                return _unfoldable(name, _OWN_STATISTICS)
            epsilon = call.get("eps", call.get("epsilon"))
            factor = factor / (_stored(call, "running_var") + epsilon).sqrt()
            return (scaled(name, carrier, factor.view(1, -1, *[1] * (len(call.shape) - 2))),)
    except LookupError:
        return _unfoldable(name, "its factors are computed by the network")
    if operation not in ("layer_norm", "rms_norm"):
        return _unfoldable(name, _PARTS)
    over = list(call.get("normalized_shape"))
    if any(dim < len(call.shape) - len(over) for dim in _channel_dims(carrier)):
        return _unfoldable(name, _PARTS)
    return (scaled(name, carrier, factor, prod(over) if operation == "layer_norm" else 0),)


def _stored(call: Call, argument: str) -> Tensor:
    """A tensor of the norm's own in float64, 1 where it has none.

    Raises:
        LookupError: it is computed from data.
    """
    flow = call.get(argument)
    if flow is None:
        return torch.ones((), dtype=torch.float64)
    if not isinstance(flow, Flow) or flow.value is None or flow.data:
        raise LookupError(argument)
    return flow.value().detach().cpu().double()


DIVISIONS = frozenset({"div", "true_divide", "divide"})


class Operands:
    """The operands of an elementwise operator, and what meeting them does to a carrier."""

    def __init__(self, call: Call, flows: Sequence[Flow], product: bool) -> None:
        """Look at nothing yet.

        Args:
            call: the operator.
            flows: all operands.
            product: it multiplies or divides them.
        """
        self._call, self._flows, self._product = call, flows, product
        self._dims: dict[int, list[int]] = {}
        self._factors: dict[tuple[int, ...], Steps] = {}

    def met(self, carrier: Carrier) -> Steps:
        """What it does to one of the carriers that it combines, of the result's shape."""
        steps: Steps = ()
        among = [carrier.source in flow.sources for flow in self._flows]
        if sum(among) > 1:
            return NONLINEAR if self._product else ()
        for at, holds in enumerate(among):
            if not holds:
                steps += self._met(carrier, at)
            elif self._divides(at):
                return NONLINEAR
        return steps

    def _divides(self, at: int) -> bool:
        return self._call.name in DIVISIONS and at == 1

    def _met(self, carrier: Carrier, at: int) -> Steps:
        flow = self._flows[at]
        if carrier.source in self._weighed[at]:
            if self._product and not self._varies(carrier, flow):
                return ()  # one number for all channels at a position
            why = _PARTS if self._product else _SHIFT
            return _unfoldable(self._call.entry("a statistic of the channels"), why)
        if not self._product or not self._varies(carrier, flow):
            return ()
        # In a residual stream the channels of many maps lie alike.
        key = at, id(carrier.label), id(carrier.attended), id(carrier.layout)
        if key not in self._factors:
            self._factors[key] = self._factor(carrier, flow, self._divides(at))
        return self._factors[key]

    @cached_property
    def _weighed(self) -> list[set[Source]]:
        """Of each operand the sources of which it holds a statistic."""
        return [
            {
                source
                for source, reason in flow.mixed
                if reason.weighs and reason.operation != ATTENTION
            }
            for flow in self._flows
        ]

    def _varies(self, carrier: Carrier, flow: Flow) -> bool:
        """Whether an operand may have different values for the channels of a carrier."""
        if id(carrier.label) not in self._dims:
            self._dims[id(carrier.label)] = _channel_dims(carrier)
        offset = len(self._call.shape) - len(flow.shape)
        dims = self._dims[id(carrier.label)]
        return any(flow.shape[dim - offset] > 1 for dim in dims if dim >= offset)

    def _factor(self, carrier: Carrier, flow: Flow, divided: bool) -> Steps:
        call = self._call
        if call.name in ("addcmul", "addcdiv"):
            return NONLINEAR
        if flow.traced or flow.data or flow.value is None:
            return CHANNELWISE
        values = flow.value().detach()
        if values.is_complex() or not bool((values != 0).all() or not divided):
            return CHANNELWISE
        names = ", ".join(sorted(flow.weights)) or "a constant"
        name = call.entry(f"product with {names}")
        norm = call.scope.custom_leaf or call.scope.kind in NORM_MODULES
        step = scaled(name, carrier, 1 / values.double() if divided else values, plain=not norm)
        if step.factors is None:
            return (step,) if norm else CHANNELWISE
        factors = step.factors[~step.factors.isnan()]
        return () if bool((factors == factors[:1]).all()) else (step,)


def scaled(
    name: str, carrier: Carrier, values: Tensor, centred: int = 0, plain: bool = False
) -> Step:
    """The step of a stored factor for each channel, by the producer's output features.

    Args:
        name: what to call it.
        carrier: whose channels.
        values: the factors, of a shape that broadcasts to the carrier's.
        centred: how many channels' mean is subtracted before; 0 for none.
        plain: it is no norm.
    """
    if carrier.attended is not None:
        label = carrier.attended.channels(labels.core(carrier.label)).expand(carrier.label.shape)
        carrier = replace(carrier, label=labels.canonical(label), attended=None)
    values = values.detach().cpu().double()
    stored = labels.core(labels.canonical(values.expand(carrier.label.shape)))
    own = labels.core(carrier.label)
    shape = [max(sizes) for sizes in zip(stored.shape, own.shape, strict=True)]
    channel = own.expand(shape).flatten()
    factor = stored.expand(shape).flatten()[channel != labels.NONE]
    channel = channel[channel != labels.NONE]
    table = torch.full((int(channel.max()) + 1,), torch.nan, dtype=torch.float64)
    table[channel] = factor
    if not torch.equal(table[channel], factor):
        return Step("unfoldable", name, why=SEVERAL_FACTORS)
    if carrier.layout is not None:
        index = carrier.layout.index[: len(table)]
        features = torch.full((int(index.max()) + 1,), torch.nan, dtype=torch.float64)
        features[index] = table[: len(index), None].expand_as(index)
        table = features
    norm = Norm(name, tuple(values.flatten().tolist()), centred, plain)
    return Step("scale", name, norm, table)


def _channel_dims(carrier: Carrier) -> list[int]:
    """Dimensions along which different channels lie; absent ones do not count."""
    varying = sorted(labels.varying_dims(carrier.label))
    return [dim for dim in varying if labels.collapse(carrier.label, [dim]) is None]


def _unfoldable(name: str, why: str) -> Steps:
    return (Step("unfoldable", name, why=why),)
