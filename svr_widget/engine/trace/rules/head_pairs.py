"""Which channels of two maps attention multiplies, head by head, where it multiplies no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.flow import Attended, Factor
from svr_widget.engine.trace.flow.steps import Steps


class NoProductError(Exception):
    """What a head computes is no product of two matrices; the message says why."""


class Passed(Protocol):
    """Channels that passed something on their way."""

    @property
    def through(self) -> tuple[str, ...]:
        """What they passed."""

    @property
    def steps(self) -> Steps:
        """What that did to each channel."""


@dataclass(frozen=True, eq=False)
class Pairing:
    """Channels of two maps that are multiplied with each other, head by head.

    Attributes:
        left: the map of the queries; or the one that reads what the heads put out.
        right: the map of the keys; or of the values.
        heads: for each head int64 ``[d]`` and ``[d]``. Output channels of both maps for queries
            and keys; input channels of the left and output channels of the right one for values.
    """

    left: str
    right: str
    heads: tuple[tuple[Tensor, Tensor], ...]

    @property
    def maps(self) -> tuple[str, str]:
        """Both maps."""
        return self.left, self.right


def scores_of(attended: Attended) -> tuple[Pairing, bool]:
    """The queries and keys of an attention, and whether positions turn them.

    Raises:
        NoProductError: its heads are no products of two matrices.
    """
    if not attended.aligned:
        raise NoProductError("its heads could not be told apart in what it puts out")
    if len(attended.scored) > 1:
        raise NoProductError(f"its weights add up {len(attended.scored)} products of maps")
    (scored,) = attended.scored
    left, right = scored.left, scored.right
    if attended.transposed:
        left, right = right, left
    query, queries = _channels(left, "queries")
    key, keys = _channels(right, "keys")
    unlike = NoProductError(
        f"what meets are not the outputs of {query!r} and {key!r}, both turned pair by pair"
    )
    if len(queries) != len(keys):
        raise unlike
    rotated = len(queries) > 1
    heads = zip(queries.unbind(1), keys.unbind(1), strict=True)
    pairs = [_unturned(q, k) if rotated else _present(q[0], k[0]) for q, k in heads]
    paired = tuple(pair for pair in pairs if pair is not None)
    if len(paired) < len(pairs):
        raise unlike
    return Pairing(query, key, paired), rotated


def _channels(factors: Sequence[Factor], noun: str) -> tuple[str, Tensor]:
    """The map of the queries or keys and its channels ``[ways, heads, d]``.

    Rotary positions bring each channel to two places, which makes two ways.
    """
    if len({factor.source for factor in factors}) > 1:
        names = {factor.source.name for factor in factors}
        raise NoProductError(f"its {noun} come from more than one use of a map ({_listed(names)})")
    name = factors[0].source.name
    steps = between(factors)
    if steps:
        raise NoProductError(
            f"{', '.join(steps)} stands between the map {name!r} and the {noun} it makes"
        )
    tables = [factor.channels for factor in factors if factor.channels is not None]
    if len(tables) < len(factors):
        raise NoProductError(f"its {noun} hold other channels of {name!r} at other positions")
    return name, torch.stack(tables)


def _present(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    both = (queries != labels.NONE) & (keys != labels.NONE)
    return queries[both], keys[both]


def _unturned(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor] | None:
    """The channels ``[ways, d]`` of one head that meet where both are turned by equal angles.

    A rotation cancels there, so that each channel meets the one of the same rank. None where the
    two sides are not turned alike, or not by rotations: each mixes two channels into two places.
    """
    channels = [torch.unique(table[table != labels.NONE]) for table in (queries, keys)]
    ranks = [
        torch.where(table == labels.NONE, table, torch.searchsorted(known, table.contiguous()))
        for table, known in zip((queries, keys), channels, strict=True)
    ]
    mixed = ranks[0].sort(dim=0, descending=True).values
    planes, places = torch.unique(mixed[:2, mixed[1] != labels.NONE], dim=1, return_counts=True)
    two = not bool((mixed[2:] != labels.NONE).any())
    rotations = two and bool((places == 2).all()) and _distinct(planes)
    alike = len(channels[0]) == len(channels[1]) and torch.equal(*ranks)
    return (channels[0], channels[1]) if alike and rotations else None


def _distinct(channels: Tensor) -> bool:
    return len(set(channels.flatten().tolist())) == channels.numel()


def between(carried: Iterable[Passed], but: str = "") -> list[str]:
    """What channels pass that treats them unlike, or is no linear map; ``but`` does not count."""
    names: dict[str, None] = {}
    for each in carried:
        names |= dict.fromkeys(each.through)
        names |= {step.name: None for step in each.steps if _differs(step.factors)}
    names.pop(but, None)
    return list(names)


def _differs(factors: Tensor | None) -> bool:
    """Whether channels have different factors; NaN is none."""
    known = torch.empty(0) if factors is None else factors[~factors.isnan()]
    return bool((known != known[:1]).any())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
