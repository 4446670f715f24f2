"""Sums of products: matrix products with anything but a map's weight, attention, distances."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from torch import Tensor
from torch._ops import OpOverload

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call, Rule, Shape, base_name
from svr_widget.engine.trace.flow.flow import (
    ATTENTION,
    Carrier,
    Flow,
    Reason,
    Source,
    drop_known,
    lost,
    mint,
)
from svr_widget.engine.trace.flow.steps import CHANNELWISE
from svr_widget.engine.trace.rules.attention import attend, score
from svr_widget.engine.trace.rules.pointwise import unite


def side(call: Call, flow: Flow, contracted: int, kept: int | None, out: int | None) -> Flow:
    """One factor of a matrix product after the sum.

    Args:
        call: the product.
        flow: the factor.
        contracted: the dimension summed over, counted from the end (negative).
        kept: the other matrix dimension, counted from the end, if the factor is a matrix.
        out: where ``kept`` lies in the result, counted from the end.
    """
    ndim = len(flow.shape)
    carriers: list[Carrier] = []
    mixed: set[tuple[Source, Reason]] = set(flow.mixed)
    for carrier in flow.carriers:
        one = labels.collapse(carrier.label, [contracted % ndim])
        if one is None:
            mixed.add(lost(carrier, call.reason(f"{call.name} over channels")))
            continue
        batch = one.shape[: ndim - (1 if kept is None else 2)]
        column = one.select(contracted % ndim, 0)
        target: list[int] = [1] * len(call.shape)
        lead = len(call.shape) - _matrix_dims(call) - len(batch)
        for at, size in enumerate(batch):
            target[lead + at] = size
        if kept is not None and out is not None:
            target[out % len(call.shape)] = flow.shape[kept]
        label = column.reshape(target).expand(call.shape)
        carriers.append(replace(carrier, label=labels.canonical(label)))
    held = tuple(carriers)
    place = mint(call.shape, Flow(call.shape, held).channel_dims()) if held else None
    return Flow(call.shape, held, frozenset(mixed), place)


def _matrix_dims(call: Call) -> int:
    """How many of the result's dimensions belong to the matrices rather than to the batch."""
    left, right = factors(call)
    return (len(left.shape) > 1) + (len(right.shape) > 1)


def factors(call: Call) -> tuple[Flow, Flow]:
    """The two factors of a matrix product."""
    left, right = FACTORS[call.name]
    return call.flow(left), call.flow(right)


FACTORS = {
    "matmul": ("self", "other"), "mm": ("self", "mat2"), "bmm": ("self", "mat2"),
    "mv": ("self", "vec"), "dot": ("self", "tensor"), "addmm": ("mat1", "mat2"),
    "baddbmm": ("batch1", "batch2"), "addbmm": ("batch1", "batch2"),
    "linear": ("input", "weight"), "_grouped_mm": ("self", "mat2"),
    "grouped_mm_fallback": ("input", "weight"),
}  # fmt: skip
"""The arguments of each matrix product that are multiplied."""


def matrix_product(call: Call) -> Flow:
    """Channels pass through a factor whose contracted dimension holds positions only."""
    left, right = factors(call)
    if call.name == "linear":
        right = _transposed(right)
    row = len(left.shape) > 1
    column = len(right.shape) > 1
    sides = [
        side(call, left, -1, -2 if row else None, (-2 if column else -1) if row else None),
        side(call, right, -2 if column else -1, -1 if column else None, -1 if column else None),
    ]
    sides = [
        _named(call, sides[0], right, -2 if column else -1),
        _named(call, sides[1], left, -1),
    ]
    result = unite(call, sides, product=True)
    if call.attentions is not None and row and column:
        columns = _transposed(right)
        result = replace(result, scores=score(call, call.attentions, left, columns, call.shape))
    added = call.get("self") if call.name in ADDING else call.get("bias")
    return unite(call, [result, added]) if isinstance(added, Flow) else result


def _transposed(flow: Flow) -> Flow:
    if len(flow.shape) < 2:
        return flow
    carriers = tuple(replace(c, label=c.label.transpose(-1, -2)) for c in flow.carriers)
    shape = (*flow.shape[:-2], flow.shape[-1], flow.shape[-2])
    scores = flow.scores and flow.scores.moved(lambda label: label.transpose(-1, -2))
    return replace(flow, shape=shape, carriers=carriers, place=None, scores=scores)


def _named(call: Call, part: Flow, other: Flow, contracted: int) -> Flow:
    """Say what the other factor is: attention weights, or a weight that mixed the channels."""
    if any(reason.operation == ATTENTION for _, reason in other.mixed):
        entry = call.entry("attention")
        if call.attentions is not None and other.scores is not None and part.carriers:
            attended = attend(call, call.attentions, part.carriers, other.scores, contracted, entry)
            part = replace(part, carriers=tuple(attended))
            # Heads that share their values were positions until now.
            part = replace(part, place=mint(call.shape, part.channel_dims()))
        held = tuple(c.passing(entry, steps=CHANNELWISE) for c in part.carriers)
        return replace(part, carriers=held)
    if not other.weights:
        return part
    own = call.reason(f"{call.name} over channels")
    unshown = f"{call.name} with {', '.join(sorted(other.weights))} (no map)"
    fresh = {
        (source, call.reason(unshown, weighs=False) if reason == own else reason)
        for source, reason in part.mixed
    }
    return replace(part, mixed=frozenset(fresh))


_PACKED = re.compile(
    r"(?P<layer>linear|conv(_transpose)?[123]d)(_(?P<then>relu|leaky_relu|tanh))?"
    r"(_dynamic(_fp16)?)?"
)


@lru_cache(maxsize=4096)
def packed_operator(func: OpOverload[..., Any]) -> re.Match[str] | None:
    """The operator of a quantised layer, whose weight is no tensor: ``layer``, ``then``."""
    return _PACKED.fullmatch(base_name(func)) if func.namespace == "quantized" else None


def without_map(call: Call) -> Flow:
    """A layer whose weight belongs to no map: a linear map that is not shown."""
    weight = factors(call)[1] if call.name in GROUPED else call.get("weight")
    names = ", ".join(sorted(weight.weights)) if isinstance(weight, Flow) else ""
    operation = f"{call.name} with {names or 'a packed weight'} (no map)"
    reason = call.reason(operation, weighs=False)
    mixed = {lost(carrier, reason) for flow in call.flows() for carrier in flow.carriers}
    mixed |= {item for flow in call.flows() for item in flow.mixed}
    return Flow(call.shape, mixed=frozenset(mixed))


def attention(call: Call) -> Flow | list[Flow]:
    """Fused attention: only the value path carries channels."""
    query, key, value = call.flow("query"), call.flow("key"), call.flow("value")
    reason = call.reason(ATTENTION)
    mixed = {lost(c, reason) for f in (query, key) for c in f.carriers}
    mixed |= {(source, reason) for f in (query, key) for source, _ in f.mixed}
    kept_mixed = set(value.mixed)
    carriers: list[Carrier] = []
    for carrier in value.carriers:
        one = labels.collapse(carrier.label, [len(value.shape) - 2])
        if one is None:
            kept_mixed.add(lost(carrier, call.reason("attention over channels")))
            continue
        one = _repeated_heads(one, call.shape)
        carriers.append(replace(carrier, label=labels.canonical(one.expand(call.shape))))
    entry = call.entry("attention")
    if call.attentions is not None and carriers:
        scores = score(call, call.attentions, query, key, (*call.shape[:-1], key.shape[-2]))
        if scores is not None:
            carriers = attend(call, call.attentions, carriers, scores, -1, entry)
    held = tuple(carrier.passing(entry, steps=CHANNELWISE) for carrier in carriers)
    place = mint(call.shape, Flow(call.shape, held).channel_dims()) if held else None
    result = Flow(call.shape, held, drop_known(mixed, held) | kept_mixed, place)
    rest = [Flow(shape) for shape in call.shapes[1:]]
    return [result, *rest] if rest else result


def _repeated_heads(label: Tensor, shape: Shape) -> Tensor:
    """Grouped queries: each head of the values serves several heads of the queries."""
    if label.dim() >= 3 and label.shape[-3] not in (1, shape[-3]):
        return label.repeat_interleave(shape[-3] // label.shape[-3], dim=-3)
    return label


def outer(call: Call) -> Flow:
    """An outer product: one factor a dimension."""
    flows: Sequence[Flow] = list(call.flows())
    wide = []
    for at, flow in enumerate(flows[:2]):
        dim = 1 - at
        carriers = tuple(
            replace(c, label=c.label.unsqueeze(dim).expand(call.shape)) for c in flow.carriers
        )
        wide.append(replace(flow, shape=call.shape, carriers=carriers, place=None))
    result = unite(call, wide, product=True)
    place = mint(call.shape, result.channel_dims()) if result.carriers else None
    return replace(result, place=place)


def mixing(call: Call) -> list[Flow] | Flow:
    """Distances and losses: every result depends on every channel of every input."""
    flows = [flow for flow in call.flows() if flow.traced]
    reason = call.reason(f"{call.name} (mixes all channels)", weighs=False)
    mixed = {lost(carrier, reason) for flow in flows for carrier in flow.carriers}
    mixed |= {(source, reason) for flow in flows for source, _ in flow.mixed}
    results = [Flow(shape, mixed=frozenset(mixed)) for shape in call.shapes]
    return results if len(results) > 1 else results[0]


CONVOLUTIONS = frozenset(
    {
        *("conv1d", "conv2d", "conv3d", "convolution", "_convolution"),
        *("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    }
)

ADDING = frozenset({"addmm", "baddbmm", "addbmm"})
BATCHED = frozenset({"bmm", "baddbmm"})
GROUPED = frozenset({"_grouped_mm", "grouped_mm_fallback"})
"""Products of each row with one of several matrices, whichever the data choose for it."""

LOOKUPS = frozenset({"embedding", "embedding_bag", "_embedding_bag"})
GATHERS = frozenset({"index", "index_select"})

RULES: dict[str, Rule] = {
    **dict.fromkeys(FACTORS, matrix_product),
    **dict.fromkeys(CONVOLUTIONS | GROUPED, without_map),
    **dict.fromkeys(
        (
            *("scaled_dot_product_attention", "_scaled_dot_product_flash_attention"),
            *("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_attention_math"),
            *("_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention"),
        ),
        attention,
    ),
    **dict.fromkeys(("outer", "ger"), outer),
    **dict.fromkeys(
        (
            *("cdist", "_cdist_forward", "cosine_similarity", "cross_entropy_loss", "nll_loss"),
            *("nll_loss_forward", "nll_loss2d_forward", "histc", "bincount"),
        ),
        mixing,
    ),
}
