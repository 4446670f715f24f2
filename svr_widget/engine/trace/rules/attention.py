"""Attention as it is met on the way: queries times keys, and what the products weigh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.call import Call
from svr_widget.engine.trace.flow.flow import (
    Attended,
    Attentions,
    AttentionScores,
    Carrier,
    Factor,
    Flow,
    Scored,
)
from svr_widget.engine.trace.rules.head_pairs import NoProductError, scores_of


def score(
    call: Call, seen: Attentions, rows: Flow, columns: Flow, shape: Sequence[int]
) -> AttentionScores | None:
    """The products of rows ``[..., t, d]`` with columns ``[..., s, d]``, if both hold channels.

    Args:
        call: the operator that multiplies them.
        seen: where the products are recorded.
        rows: one tensor.
        columns: the other one.
        shape: that of the products, ``[..., t, s]``.
    """
    sides = [_along_last(flow) for flow in (rows, columns)]
    if not all(sides):
        return None
    batch = tuple(shape[:-2])
    tables = [[_by_head(carrier.label, batch) for carrier in side] for side in sides]
    known = [table for group in tables for table in group if table is not None]
    every = torch.cat(known, dim=1) if known else torch.zeros(math.prod(batch), 1)
    first, head = _distinct(every)
    left, right = (
        tuple(
            Factor(c.source, None if table is None else table[first], c.through, c.steps)
            for c, table in zip(side, group, strict=True)
        )
        for side, group in zip(sides, tables, strict=True)
    )
    scored = Scored(left, right, call.scope)
    seen.scored.append(scored)
    by_head = head.view(*batch, 1, 1).expand(tuple(shape))
    return AttentionScores(
        (scored,), labels.canonical(by_head), labels.along(len(shape) - 2, shape)
    )


def attend(
    call: Call,
    seen: Attentions,
    values: Sequence[Carrier],
    scores: AttentionScores,
    contracted: int,
    entry: str,
) -> list[Carrier]:
    """What comes out, its heads told apart where they are products of two matrices.

    Args:
        call: the operator that sums them up.
        seen: where the sum is recorded.
        values: at least one carrier, already in the result's shape.
        scores: the weights.
        contracted: the dimension of the weights that is summed over, from the end.
        entry: how this step reads in ``Carrier.through``.
    """
    head = labels.collapse(scores.head, [scores.head.dim() - 2, scores.head.dim() - 1])
    varying = labels.varying_dims(scores.row)
    attended = Attended(
        scores.scored,
        transposed=contracted % scores.row.dim() in varying,
        aligned=head is not None,
        values=tuple(values),
        width=1 + max(int(labels.core(carrier.label).max()) for carrier in values),
        entry=entry,
        scope=call.scope,
    )
    try:
        scores_of(attended)
    except NoProductError as error:
        seen.refused.append((call.scope, str(error)))
        return list(values)
    assert head is not None
    seen.attended.append(attended)
    offset = (head * attended.width).expand(call.shape)

    def told_apart(carrier: Carrier) -> Carrier:
        if carrier.attended is not None or carrier.layout is not None:
            return carrier
        label = torch.where(carrier.label == labels.NONE, carrier.label, carrier.label + offset)
        return replace(carrier, label=labels.canonical(label), attended=attended)

    return [told_apart(carrier) for carrier in values]


def _along_last(flow: Flow) -> list[Carrier]:
    """The carriers whose channels lie along the last dimension of a matrix."""
    last = len(flow.shape) - 1
    return [c for c in flow.carriers if last > 0 and last in labels.varying_dims(c.label)]


def _by_head(label: Tensor, batch: tuple[int, ...]) -> Tensor | None:
    """``[..., t, d]`` labels as ``[batch, d]``; None where they depend on the position."""
    one = labels.collapse(label, [label.dim() - 2])
    if one is None:
        return None
    one = one.squeeze(-2)
    if one.dim() > 1 and one.shape[-2] not in (1, batch[-1]):  # keys that several heads share
        one = one.repeat_interleave(batch[-1] // one.shape[-2], dim=-2)
    return one.expand(*batch, one.shape[-1]).reshape(-1, one.shape[-1])


def _distinct(table: Tensor) -> tuple[Tensor, Tensor]:
    """Where each distinct row occurs first, in that order; and which of them each row is."""
    _, inverse = torch.unique(table, dim=0, return_inverse=True)
    first = torch.full((int(inverse.max()) + 1,), len(table))
    first.scatter_reduce_(0, inverse, torch.arange(len(table)), "amin")
    order = first.argsort()
    return first[order], order.argsort()[inverse]
