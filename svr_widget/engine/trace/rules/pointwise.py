"""Elementwise operators: channels pass, branches unite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call, Rule, Shape
from svr_widget.engine.trace.flow.flow import (
    ATTENTION,
    AttentionScores,
    Carrier,
    Flow,
    Place,
    drop_known,
    merged,
    mint,
)
from svr_widget.engine.trace.flow.steps import NONLINEAR, Steps, steps_of
from svr_widget.engine.trace.rules.factors import Operands, norm_operation, normalised

PRODUCTS = frozenset({"mul", "div", "true_divide", "addcmul", "addcdiv", "multiply", "divide"})

COPIES = frozenset(
    {
        *("clone", "copy", "_to_copy", "to", "contiguous", "detach", "alias", "lift_fresh"),
        *("lift_fresh_copy", "detach_copy", "dropout", "native_dropout"),
    }
)

# Steps without a name of their own in ``Link.through``: affine arithmetic, copies and casts.
SILENT = PRODUCTS | {
    *("add", "sub", "rsub", "neg", "subtract", "clone", "copy", "_to_copy", "to", "contiguous"),
    *("detach", "alias", "dropout", "native_dropout", "alpha_dropout", "feature_dropout"),
    *("feature_alpha_dropout", "where", "masked_fill", "lift_fresh_copy", "lift_fresh"),
    *("fake_quantize_per_tensor_affine", "type_as", "tril", "triu", "nan_to_num", "lerp"),
    *("detach_copy", "_conj", "conj", "resolve_conj", "resolve_neg", "_conj_physical", "positive"),
    *("real", "imag", "complex", "quantize_per_tensor", "quantize_per_channel", "dequantize"),
    *("quantize_per_tensor_dynamic",),
}

# Elementwise operators that PyTorch does not tag as such.
UNTAGGED = frozenset(
    {
        *("hardswish", "hardsigmoid", "mish", "silu", "prelu", "_prelu_kernel", "softplus"),
        *("log_sigmoid", "logsigmoid", "softshrink", "hardshrink", "tanhshrink", "softsign"),
        *("rrelu", "rrelu_with_noise", "selu", "celu", "relu6", "hardtanh", "floor_divide"),
        *("clamp", "clip", "clone", "copy", "_to_copy", "to", "contiguous", "detach", "alias"),
        *("dropout", "native_dropout", "alpha_dropout", "feature_dropout", "lift_fresh"),
        *("feature_alpha_dropout", "type_as", "tril", "triu", "nan_to_num", "where"),
        *("masked_fill", "isnan", "isinf", "isfinite", "bernoulli", "logit", "special_expit"),
        *("fake_quantize_per_tensor_affine", "addcmul", "addcdiv", "lerp", "true_divide"),
        *("real", "imag", "conj", "_conj", "complex", "polar", "abs", "angle", "dequantize"),
        *("quantize_per_tensor", "quantize_per_channel", "quantize_per_tensor_dynamic"),
        *("add", "mul"),
    }
)
UNTAGGED_SHAPE_ONLY = frozenset({"type_as"})


def widened(flow: Flow, shape: Shape) -> Flow:
    """``flow`` broadcast to ``shape``."""
    if flow.shape == shape:
        return flow
    expanded = {id(c.label): c.label.expand(shape) for c in flow.carriers}
    carriers = tuple(replace(c, label=expanded[id(c.label)]) for c in flow.carriers)
    place = flow.place and Place(flow.place.ids.expand(shape), flow.place.grid)
    scores = flow.scores and flow.scores.moved(lambda label: label.expand(shape))
    return replace(flow, shape=shape, carriers=carriers, place=place, scores=scores)


def joint_place(flows: Sequence[Flow], shape: Shape) -> Place | None:
    """The positions of elements in which several tensors meet."""
    places: list[Place] = []
    for place in (flow.place for flow in flows):
        if place is None or not labels.varying_dims(place.ids):
            continue
        if not any(labels.equal(place.ids, other.ids) for other in places):
            places.append(place)
    if not places:
        return next((flow.place for flow in flows if flow.place is not None), None)
    if len(places) == 1:
        return places[0]
    channel_dims = frozenset[int]().union(*(flow.channel_dims() for flow in flows))
    if all(not labels.varying_dims(place.ids) & channel_dims for place in places):
        return mint(shape, channel_dims)
    ids = places[0].ids
    for place in places[1:]:
        ids = ids * (int(labels.core(place.ids).max()) + 2) + place.ids + 1
    return Place(labels.canonical(ids), None)


def unite(
    call: Call,
    flows: Sequence[Flow],
    product: bool = False,
    entry: str = "",
    steps: Steps = (),
) -> Flow:
    """The flow of ``f(*flows)``, elementwise; a product of different branches is marked.

    Args:
        call: the operator.
        flows: what it combines.
        product: it multiplies them.
        entry: its name in ``Link.through``, where it has one.
        steps: what it does to a channel besides.
    """
    shape = call.shape
    wide = [widened(flow, shape) for flow in flows if flow.traced]
    holding = [flow for flow in wide if flow.carriers]
    operands = Operands(call, flows, product)
    carriers: list[Carrier] = [
        carrier.passing(steps=operands.met(carrier))
        for flow in holding
        for carrier in flow.carriers
    ]
    mixed = {item for flow in wide for item in flow.mixed}
    if len(holding) > 1 and product and not _same_branches(holding):
        carriers = [carrier.passing(call.entry("mul")) for carrier in carriers]
    # A tensor combined with a number computed over its own channels is a normalisation: the
    # channels keep their identity, the statistic is a step on their way.
    statistics: dict[object, list[str]] = {}
    for source, reason in sorted(mixed):
        if reason.weighs:
            step = "attention" if reason.operation == ATTENTION else reason.operation
            statistics.setdefault(source, []).append(call.entry(step))
    carriers = [carrier.passing(*statistics.get(carrier.source, ())) for carrier in carriers]
    if entry or steps:
        carriers = [carrier.passing(*filter(None, [entry]), steps=steps) for carrier in carriers]
    kept = merged(carriers)
    place = joint_place(holding, shape) if holding else None
    return Flow(shape, kept, drop_known(mixed, kept), place, scores=_scores(wide))


def _scores(flows: Sequence[Flow]) -> AttentionScores | None:
    """The scores among the flows; several of them are a sum of all their products."""
    found = [flow.scores for flow in flows if flow.scores is not None]
    if not found:
        return None
    every = dict.fromkeys(scored for scores in found for scored in scores.scored)
    return replace(found[0], scored=tuple(every))


def _same_branches(holding: Sequence[Flow]) -> bool:
    first, *others = holding
    return all(
        len(flow.carriers) == len(first.carriers)
        and all(a.same_channels(b) for a, b in zip(first.carriers, flow.carriers, strict=True))
        for flow in others
    )


def pointwise(call: Call) -> Flow | list[Flow]:
    """Any elementwise operator."""
    flows = list(call.flows())
    if call.name in UNTAGGED_SHAPE_ONLY:
        flows = flows[:1]
    if call.name == "copy":
        flows = [call.flow("src")]
    entry = "" if call.name in SILENT else call.entry()
    product = call.name in PRODUCTS
    steps = () if product else steps_of(call.name)
    if call.name in ("max", "min"):  # of two tensors here, not along a dimension
        steps = NONLINEAR
    flow = unite(call, flows, product=product, entry=entry, steps=steps)
    # Further results (a dropout mask) have the same shape and no channels of their own.
    return [flow, *(Flow(shape) for shape in call.shapes[1:])] if len(call.shapes) > 1 else flow


def with_relu(call: Call) -> Flow:
    """``add_relu`` and ``mul_relu`` of quantised tensors."""
    return unite(call, list(call.flows()), product=call.name.startswith("mul"), entry="relu")


def normalisation(call: Call) -> Flow | list[Flow]:
    """Norm layers: channels pass; statistics and affine parameters carry nothing."""
    flow = call.flow("input" if call.get("input") is not None else "x")
    operation = norm_operation(call.name) or call.name
    result = unite(call, [flow], entry=call.entry(operation))
    carriers = [c.passing(steps=normalised(call, c, operation)) for c in result.carriers]
    result = replace(result, carriers=tuple(carriers))
    return [result, *(Flow(shape) for shape in call.shapes[1:])] if len(call.shapes) > 1 else result


def glu(call: Call) -> Flow:
    """``a * sigmoid(b)`` with ``a, b`` the halves along ``dim``."""
    flow = call.flow("self")
    dim = call.get("dim", -1)
    halves = []
    for at in range(2):
        size = call.shape[dim]
        carriers = tuple(
            replace(c, label=labels.canonical(c.label.narrow(dim, at * size, size)))
            for c in flow.carriers
        )
        place = flow.place and Place(
            labels.canonical(flow.place.ids.narrow(dim, at * size, size)), flow.place.grid
        )
        halves.append(Flow(call.shape, carriers, flow.mixed, place))
    gates = [c.passing("sigmoid", steps=NONLINEAR) for c in halves[1].carriers]
    gate = replace(halves[1], carriers=tuple(gates))
    return unite(call, [halves[0], gate], product=True)


def constant(call: Call) -> list[Flow] | Flow:
    """Operators that use only the shape of their input."""
    made = [Flow(shape) for shape in call.shapes]
    return made if len(made) > 1 else made[0]


RULES: dict[str, Rule] = {
    **dict.fromkeys(UNTAGGED, pointwise),
    **dict.fromkeys(
        (
            *("batch_norm", "native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm"),
            *("_native_batch_norm_legit_no_training", "_batch_norm_impl_index"),
            *("_batch_norm_with_update", "_batch_norm_no_update", "miopen_batch_norm"),
            *("layer_norm", "native_layer_norm", "group_norm", "native_group_norm"),
            *("instance_norm", "rms_norm", "_fused_rms_norm"),
        ),
        normalisation,
    ),
    **dict.fromkeys(
        (
            *("zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like"),
            *("new_zeros", "new_ones", "new_full", "new_empty", "randint_like"),
            *("new_empty_strided", "fill", "zero", "uniform", "normal_functional"),
        ),
        constant,
    ),
    "glu": glu,
    **dict.fromkeys(("add_relu", "mul_relu"), with_relu),
}
