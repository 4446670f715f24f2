"""The factors that norms and products put on the channels of a carrier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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


def of_operands(call: Call, carrier: Carrier, flows: Sequence[Flow], product: bool) -> Steps:
    """What meeting the other operands of an elementwise operator does to a carrier.

    Args:
        call: the operator.
        carrier: one of those that it combines, of the result's shape.
        flows: all operands.
        product: it multiplies or divides them.
    """
    steps: Steps = ()
    if sum(carrier.source in flow.sources for flow in flows) > 1:
        return NONLINEAR if product else ()
    for at, flow in enumerate(flows):
        if carrier.source not in flow.sources:
            steps += _met(call, carrier, flow, product, divided=call.name in DIVISIONS and at == 1)
        elif call.name in DIVISIONS and at == 1:
            return NONLINEAR
    return steps


DIVISIONS = frozenset({"div", "true_divide", "divide"})


def _met(call: Call, carrier: Carrier, flow: Flow, product: bool, divided: bool) -> Steps:
    offset = len(call.shape) - len(flow.shape)
    varies = any(flow.shape[d - offset] > 1 for d in _channel_dims(carrier) if d >= offset)
    reasons = {reason for source, reason in flow.mixed if source == carrier.source}
    if any(reason.weighs and reason.operation != ATTENTION for reason in reasons):
        if product and not varies:
            return ()  # one number for all channels at a position
        return _unfoldable(call.entry("a statistic of the channels"), _PARTS if product else _SHIFT)
    if not product or not varies:
        return ()
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
