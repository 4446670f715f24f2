"""What channels pass between two maps, as exactly as the folding of a norm needs to know it.

``Link.through`` says it in words; steps say what each does to a channel. Moves, sums, means over
positions, added constants and factors that all channels share are no steps.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import torch

from svr_widget.engine.maps.links import Layout, Step

Steps = tuple[Step, ...]

CHANNELWISE: Steps = (Step("channelwise"),)
HOMOGENEOUS: Steps = (Step("homogeneous"),)
NONLINEAR: Steps = (Step("nonlinear"),)
SEVERAL_FACTORS = "it has several factors for one channel, one for each position"

_LINEAR = frozenset(
    {
        *("add", "sub", "rsub", "neg", "subtract", "clone", "copy", "_to_copy", "to", "contiguous"),
        *("detach", "alias", "dropout", "native_dropout", "alpha_dropout", "feature_dropout"),
        *("feature_alpha_dropout", "lift_fresh_copy", "lift_fresh", "type_as", "detach_copy"),
        *("resolve_conj", "resolve_neg", "positive", "nan_to_num", "mean", "sum", "nanmean"),
        *("nansum", "cumsum", "index_add", "scatter_add", "_fft_r2c", "_fft_c2c", "_fft_c2r"),
        *("grid_sampler", "grid_sampler_2d", "grid_sampler_3d"),
    }
)
_LINEAR_PARTS = ("avg_pool", "upsample", "max_unpool")
_CHANNELWISE = frozenset({"where", "masked_fill", "tril", "triu"})
# f(a x) = a f(x) for every a > 0, channel by channel.
_HOMOGENEOUS = frozenset(
    {
        *("relu", "leaky_relu", "prelu", "_prelu_kernel", "abs", "max", "min", "amax", "amin"),
        *("median", "cummax", "cummin", "sort", "topk", "kthvalue", "aminmax"),
        *("linalg_vector_norm", "norm", "std", "std_mean", "frobenius_norm"),
    }
)


def steps_of(operator: str) -> Steps:
    """What an operator does to each channel by itself, where nothing more is known about it."""
    if operator in _LINEAR or any(part in operator for part in _LINEAR_PARTS):
        return ()
    if operator in _CHANNELWISE:
        return CHANNELWISE
    return HOMOGENEOUS if operator in _HOMOGENEOUS or "max_pool" in operator else NONLINEAR


def appended(steps: Steps, further: Steps) -> Steps:
    """``steps`` and then ``further``; the same effect twice in a row counts once."""
    for step in further:
        if step.norm is not None or not steps or not steps[-1].same(step):
            steps = (*steps, step)
    return steps


def joined(left: Steps, right: Steps) -> Steps:
    """The steps of channels that came two ways, which may part behind common steps."""
    pairs = zip(left, right, strict=False)
    common = sum(1 for _ in itertools.takewhile(lambda pair: pair[0].same(pair[1]), pairs))
    if len(left) == len(right) == common:
        return left
    return appended(left[:common], _parted(left[common:], right[common:]))


def _parted(left: Steps, right: Steps) -> Steps:
    both = (*left, *right)
    names = dict.fromkeys(s.name for s in both if s.name and not (s.norm and s.norm.plain))
    if names:
        why = "channels of one map come by ways that differ in it"
        return (Step("unfoldable", ", ".join(names), why=why),)
    kinds = {step.kind for step in both}
    effects = (effect for effect in (NONLINEAR, HOMOGENEOUS) if effect[0].kind in kinds)
    return next(effects, CHANNELWISE)


def by_channel(steps: Steps, layout: Layout | None) -> Steps:
    """Steps whose factors are by output feature, by the channels of an output layout."""
    if layout is None:
        return steps
    size = int(layout.index.max()) + 1
    found: list[Step] = []
    for step in steps:
        if step.factors is not None:
            features = torch.full((size,), torch.nan, dtype=torch.float64)
            features[: len(step.factors)] = step.factors[:size]
            table = features[layout.index].nan_to_num(torch.inf)
            if torch.equal(table, table[:, :1].expand_as(table)):
                step = replace(step, factors=features[layout.index[:, 0]])
            else:
                step = Step("unfoldable", step.name, why=SEVERAL_FACTORS)
        found.append(step)
    return tuple(found)
