"""Operators that combine elements along dimensions: reductions, pooling, resizing, softmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call, Rule, normal_dims
from svr_widget.engine.trace.flow.flow import (
    ATTENTION,
    Carrier,
    Flow,
    Place,
    Reason,
    Source,
    drop_known,
    lost,
    mint,
)
from svr_widget.engine.trace.flow.steps import NONLINEAR, steps_of
from svr_widget.engine.trace.flow.unflatten import coarse
from svr_widget.engine.trace.rules.movement import settled


def reduction(call: Call) -> Flow | list[Flow]:
    """``mean``, ``sum``, ``amax``, ``var``, ``norm``...: channels survive along other dims."""
    flow = call.flow("self" if call.get("self") is not None else "input")
    ndim = len(flow.shape)
    dims = normal_dims(call.get("dim"), ndim)
    # Pooling by hand over all trailing dimensions, like the pooling layers.
    spatial = ndim >= 4 and dims == list(range(2, ndim))
    reason = call.reason(f"{call.name} over channels")
    kept: list[Carrier] = []
    mixed: set[tuple[Source, Reason]] = set(flow.mixed)
    for carrier in flow.carriers:
        whole = coarse(carrier, dims) if spatial else carrier
        one = None if whole is None else labels.collapse(whole.label, dims)
        if whole is None or one is None:
            mixed.add(lost(carrier, reason))
            continue
        pooled = replace(whole, label=_reduced(one, call.shape))
        kept.append(pooled.passing(call.entry(), steps=steps_of(call.name)))
    place = flow.place
    if place is not None:
        smallest = labels.core(place.ids).amin(dims, keepdim=True)
        shape = [1 if dim in dims else size for dim, size in enumerate(flow.shape)]
        place = Place(_reduced(smallest.expand(shape), call.shape), place.grid)
    result = Flow(call.shape, tuple(kept), frozenset(mixed), place if kept else None)
    return [result] * len(call.shapes) if len(call.shapes) > 1 else result


def _reduced(label: Tensor, shape: Sequence[int]) -> Tensor:
    return labels.canonical(label.reshape(tuple(shape)))


def resampling(dims_of: int) -> Rule:
    """Pooling and interpolation over the last ``dims_of`` dimensions."""

    def rule(call: Call) -> Flow | list[Flow]:
        flow = call.flow("self" if call.get("self") is not None else "input")
        dims = list(range(len(flow.shape) - dims_of, len(flow.shape)))
        kept: list[Carrier] = []
        mixed: set[tuple[Source, Reason]] = set(flow.mixed)
        for carrier in flow.carriers:
            whole = coarse(carrier, dims)
            one = None if whole is None else labels.collapse(whole.label, dims)
            if whole is None or one is None:
                mixed.add(lost(carrier, call.reason(f"{call.name} over channels")))
                continue
            pooled = replace(whole, label=one.expand(call.shape))
            kept.append(pooled.passing(call.entry(), steps=steps_of(call.name)))
        place = None
        if kept:
            place = mint(call.shape, Flow(call.shape, tuple(kept)).channel_dims())
        result = Flow(call.shape, tuple(kept), frozenset(mixed), place)
        return [result, *(Flow(s) for s in call.shapes[1:])] if len(call.shapes) > 1 else result

    return rule


def softmax(call: Call) -> Flow:
    """Over channels an activation; over positions it makes weights, which link nothing."""
    flow = call.flow("self")
    dims = normal_dims(call.get("dim"), len(flow.shape))
    kept: list[Carrier] = []
    mixed = {(source, call.reason(ATTENTION)) for source, _ in flow.mixed}
    for carrier in flow.carriers:
        if labels.collapse(carrier.label, dims) is None:
            entry = call.entry(call.name.removeprefix("_"))
            kept.append(carrier.passing(entry, steps=NONLINEAR))
        else:
            mixed.add(lost(carrier, call.reason(ATTENTION)))
    place = flow.place if kept else None
    return Flow(call.shape, tuple(kept), frozenset(mixed), place, scores=flow.scores)


def scan(call: Call) -> Flow | list[Flow]:
    """``cumsum``, ``sort``, ``topk``, ``fft``...: channels pass along the other dimensions."""
    flow = call.flow("self")
    dims = normal_dims(call.get("dim", -1), len(flow.shape))
    kept, mixed = settled(flow.carriers, dims, call.reason())
    reshaped = []
    for carrier in kept:
        label = labels.collapse(carrier.label, dims)
        if label is not None:
            scanned = replace(carrier, label=label.expand(call.shape))
            reshaped.append(scanned.passing(call.entry(), steps=steps_of(call.name)))
    place = mint(call.shape, Flow(call.shape, tuple(reshaped)).channel_dims()) if reshaped else None
    result = Flow(call.shape, tuple(reshaped), flow.mixed | mixed, place)
    return [result] * len(call.shapes) if len(call.shapes) > 1 else result


def argument_of_extreme(call: Call) -> Flow:
    """``argmax``, ``argmin``: an index, no channels."""
    flow = next(call.flows())
    mixed = {lost(carrier, call.reason()) for carrier in flow.carriers}
    return Flow(call.shape, mixed=flow.mixed | mixed)


_INDEXED_POOLS = ("fractional_max_pool", "max_unpool")
_POOLS = ("avg_pool", "max_pool", "adaptive_avg_pool", "adaptive_max_pool", "lp_pool")

RULES: dict[str, Rule] = {
    **dict.fromkeys(
        (
            *("mean", "sum", "amax", "amin", "max", "min", "std", "var", "prod", "nansum"),
            *("linalg_vector_norm", "norm", "logsumexp", "std_mean", "var_mean", "all", "any"),
            *("median", "nanmean", "aminmax", "frobenius_norm", "nuclear_norm"),
        ),
        reduction,
    ),
    **dict.fromkeys(
        ("softmax", "_softmax", "log_softmax", "_log_softmax", "_safe_softmax"), softmax
    ),
    **dict.fromkeys(
        (
            *("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "sort", "topk"),
            *("_fft_r2c", "_fft_c2c", "_fft_c2r", "kthvalue", "mode"),
        ),
        scan,
    ),
    **dict.fromkeys(("argmax", "argmin", "argsort", "multinomial"), argument_of_extreme),
    **{
        f"{prefix}{pool}{n}d{suffix}": resampling(n)
        for n in (1, 2, 3)
        for prefix in ("", "_")
        for pool in _POOLS
        for suffix in ("", "_with_indices")
    },
    **{f"{kind}{n}d": resampling(n) for n in (2, 3) for kind in _INDEXED_POOLS},
    **{f"quantized_max_pool{n}d": resampling(n) for n in (1, 2, 3)},
    **{
        f"{prefix}upsample_{kind}{suffix}": resampling(n)
        for kind, n in (
            ("nearest1d", 1), ("nearest2d", 2), ("nearest3d", 3), ("nearest_exact1d", 1),
            ("nearest_exact2d", 2), ("nearest_exact3d", 3), ("linear1d", 1), ("bilinear2d", 2),
            ("bicubic2d", 2), ("trilinear3d", 3), ("bilinear2d_aa", 2), ("bicubic2d_aa", 2),
        )
        for prefix in ("", "_")
        for suffix in ("",)
    },
}  # fmt: skip


def grid_sampling(call: Call) -> Flow:
    """``grid_sample``: positions move, the sampling grid links nothing."""
    flow = call.flow("input")
    dims = list(range(2, len(flow.shape)))
    kept, mixed = settled(flow.carriers, dims, call.reason())
    carriers = []
    for carrier in kept:
        one = labels.collapse(carrier.label, dims)
        if one is not None:
            carriers.append(replace(carrier, label=one.expand(call.shape)).passing(call.entry()))
    grid = call.flow("grid")
    grid_mixed = {lost(carrier, call.reason("sampling grid")) for carrier in grid.carriers}
    everything = frozenset({*flow.mixed, *mixed, *drop_known({*grid.mixed, *grid_mixed}, carriers)})
    place = mint(call.shape, Flow(call.shape, tuple(carriers)).channel_dims()) if carriers else None
    return Flow(call.shape, tuple(carriers), everything, place)


RULES.update({"grid_sampler": grid_sampling, "grid_sampler_2d": grid_sampling})
RULES.update({"grid_sampler_3d": grid_sampling})
