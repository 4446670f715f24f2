"""What channels meet on their way: the parameters that hold a number for each, and what needs all.

Taking a channel out of a network takes every number that is stored for it: a norm's factors and
statistics, a layer scale, a slope. Which these are is read off the operators as the links are. Some
operators cannot do without a channel, because it changes what they make of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call, Shape, normal_dims
from svr_widget.engine.trace.flow.flow import Carrier, Flow, Source
from svr_widget.engine.trace.rules import pointwise
from svr_widget.engine.trace.rules.factors import norm_operation
from svr_widget.engine.trace.rules.reduction import softmax
from svr_widget.engine.trace.rules.table import rule_for

RETURNED = "the network returns it"

_OF_EACH_CHANNEL = ("batch_norm", "instance_norm")
_STORED = ("weight", "bias", "running_mean", "running_var")
_SLOPES = ("prelu", "_prelu_kernel")


class Meeting(NamedTuple):
    """A parameter that holds numbers for channels of a map.

    Attributes:
        producer: the map.
        tensor: the qualified name of the parameter or buffer; or of a module's attribute that
            counts them, such as ``"bn1.num_features"``.
        dim: along which dimension of it the channels lie.
        pairs: int64 ``[n, 2]``: an output feature of the map, and its place along ``dim``.
    """

    producer: str
    tensor: str
    dim: int
    pairs: Tensor


class Hold(NamedTuple):
    """Channels of a map that cannot be taken out.

    Attributes:
        producer: the map.
        features: its output features; None for all.
        why: as a clause.
    """

    producer: str
    features: Tensor | None
    why: str


class Meetings:
    """Collects them, operator by operator.

    Attributes:
        repeated: the maps that are applied more than once.
    """

    def __init__(self, model: nn.Module) -> None:
        """Start with nothing seen of a model."""
        self._model = model
        self.repeated: frozenset[str] = frozenset()
        self._pairs: dict[tuple[str, str, int], list[Tensor]] = {}
        self._holds: list[Hold] = []

    @property
    def met(self) -> tuple[Meeting, ...]:
        """Every parameter that channels met."""
        return tuple(
            Meeting(*key, torch.unique(torch.cat(pairs), dim=0))
            for key, pairs in self._pairs.items()
        )

    @property
    def holds(self) -> tuple[Hold, ...]:
        """Every reason why channels have to stay."""
        return tuple(self._holds)

    def hold_all(self, producers: Iterable[str], why: str) -> None:
        """All channels of some maps have to stay."""
        self._holds += [Hold(producer, None, why) for producer in producers]

    def returned(self, carriers: Iterable[Carrier]) -> None:
        """The network returns these."""
        self._hold(carriers, RETURNED)

    def see(self, call: Call, made: Sequence[Flow]) -> None:
        """Take note of what an operator that reads a map's output does.

        Args:
            call: the operator.
            made: its results.
        """
        flows = list(call.flows())
        before = {item for flow in flows for item in flow.mixed}
        for source, reason in sorted({item for flow in made for item in flow.mixed} - before):
            self.hold_all([source.name], f"it goes into {reason}")
        carriers = [carrier for flow in flows for carrier in flow.carriers]
        norm = norm_operation(call.name)
        if norm is not None and norm not in _OF_EACH_CHANNEL:
            self._hold(carriers, f"{call.entry(norm)} takes its statistics over it and others")
        elif norm is not None:
            self._met_norm(call, made[0].carriers)
        elif rule_for(call) is softmax:
            [dim] = normal_dims(call.get("dim"), len(call.shape))
            across = (c for c in carriers if dim in labels.varying_dims(c.label))
            self._hold(across, f"{call.entry()} weighs it against others")
        elif rule_for(call) is pointwise.pointwise:
            if call.name != "copy" and call.name not in pointwise.UNTAGGED_SHAPE_ONLY:
                for flow in flows:
                    self._met_pointwise(call, made[0].carriers, flow)
        else:
            for flow in flows:
                if flow.weights and not flow.traced:
                    names = ", ".join(sorted(flow.weights))
                    self._hold(carriers, f"{call.name} combines it with {names}")

    def _met_norm(self, call: Call, carriers: Sequence[Carrier]) -> None:
        """A norm of each channel by itself."""
        for name in _STORED:
            flow = call.get(name)
            if isinstance(flow, Flow):
                self._met_pointwise(call, carriers, _stretched(flow, len(call.shape)))
        module = call.scope.module
        count = getattr(self._model.get_submodule(module), "num_features", None)
        if isinstance(count, int):  # instance norm lines up the channels of all images
            axis = Carrier(Source(f"{module}.num_features", 0), torch.arange(call.shape[1]) % count)
            counted = Flow((call.shape[1],), index=(axis,))
            self._met_pointwise(call, carriers, _stretched(counted, len(call.shape)))

    def _met_pointwise(self, call: Call, carriers: Sequence[Carrier], flow: Flow) -> None:
        """Elements of a tensor that depends on no map, one for each element of the result."""
        if flow.traced:
            return
        if call.name in _SLOPES and len(flow.shape) == 1:
            flow = _stretched(flow, len(call.shape))
        for carrier in carriers:
            if not _varies_with(carrier, flow.shape):
                continue
            known = False
            for axis in flow.index:
                pairs = _pairs(carrier, axis, call.shape)
                if pairs is not None:
                    key = (carrier.source.name, axis.source.name, axis.source.use)
                    self._pairs.setdefault(key, []).append(pairs)
                    known = True
            if not known:
                what = "the network's input" if flow.data else "a tensor that is no parameter"
                names = ", ".join(sorted(flow.weights))
                self._hold([carrier], f"{call.entry()} combines it with {names or what}")

    def _hold(self, carriers: Iterable[Carrier], why: str) -> None:
        for carrier in carriers:
            features = _features(carrier, labels.present(carrier.label)).flatten()
            self._holds.append(Hold(carrier.source.name, features, why))


def _stretched(flow: Flow, ndim: int) -> Flow:
    """A vector with a number for each channel, as the norm layers broadcast it."""
    if len(flow.shape) != 1:
        return flow
    shape = (1, *flow.shape, *[1] * (ndim - 2))
    index = tuple(replace(axis, label=axis.label.view(shape)) for axis in flow.index)
    return replace(flow, shape=shape, index=index)


def _varies_with(carrier: Carrier, shape: Shape) -> bool:
    """Whether a tensor that is broadcast may hold different numbers for different channels."""
    offset = len(carrier.label.shape) - len(shape)
    dims = labels.varying_dims(carrier.label)
    return any(dim >= offset and shape[dim - offset] > 1 for dim in dims)


def _pairs(carrier: Carrier, axis: Carrier, shape: Shape) -> Tensor | None:
    """The features of a carrier and the places along a parameter that meet; None for no relation.

    A parameter's other dimensions, positions for instance, vary where the channels do not.
    """
    held = labels.canonical(axis.label.expand(shape))
    if not labels.varying_dims(held) & labels.varying_dims(carrier.label):
        return None
    stored, own = labels.core(held), labels.core(carrier.label)
    common = [max(sizes) for sizes in zip(own.shape, stored.shape, strict=True)]
    both = torch.stack([part.expand(common).flatten() for part in (own, stored)], dim=1)
    table = torch.unique(both, dim=0)
    table = table[(table != labels.NONE).all(dim=1)]
    features = _features(carrier, table[:, 0])
    places = table[:, 1:].expand_as(features)
    return torch.stack([features.flatten(), places.flatten()], dim=1)


def _features(carrier: Carrier, label: Tensor) -> Tensor:
    """int64 ``[n, positions]``: the output features of the producer behind some labels."""
    return label[:, None] if carrier.layout is None else carrier.layout.index[label]
