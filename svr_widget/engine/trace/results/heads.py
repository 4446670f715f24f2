"""From what was met of attention to its heads: which channels of which maps are multiplied.

A head multiplies queries with keys and carries values to the map that reads it. Singular vectors of
any one of these four matrices move when the head's basis is rotated, which changes no output; the
products of the matrices do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from svr_widget.engine.errors import UnsupportedLayerError
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.flow import (
    ATTENTION,
    Attended,
    Attentions,
    Carrier,
    Factor,
    Scope,
)
from svr_widget.engine.trace.results.arrivals import Notes, ResolvedUse, Stream


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


@dataclass(frozen=True, eq=False)
class Attention:
    """One attention of the network.

    Attributes:
        module: the name of the module that computes it.
        scores: its queries and keys.
        outputs: its values, once for each map that reads what comes out, and nothing else, there.
        rotated: queries and keys are turned by their positions; the pairs are those of equal ones.
    """

    module: str
    scores: Pairing
    outputs: tuple[Pairing, ...]
    rotated: bool


def read_heads(
    readings: Sequence[ResolvedUse], seen: Attentions, notes: Notes
) -> tuple[list[ResolvedUse], tuple[Attention, ...]]:
    """The attentions of a network, and its readings without the values that they account for.

    Raises:
        UnsupportedLayerError: what a head computes is no product of matrices, or could not be
            read; the message names the module.
    """
    found: list[Attention] = []
    taken: set[Stream] = set()
    for attended in seen.attended:
        scores, rotated = _scores(attended)
        outputs = []
        for reading in readings:
            for stream in _outputs(reading, attended, notes):
                taken.add(stream)
                outputs.append(_output(attended, reading, stream))
        found.append(Attention(attended.scope.module, scores, tuple(outputs), rotated))
    weighed = notes.weighed.get(ATTENTION, {})
    for attention in found:
        for name in attention.scores.maps:
            weighed.pop(name, None)
    if not weighed:
        notes.weighed.pop(ATTENTION, None)
    followed = {scored for attended in seen.attended for scored in attended.scored}
    for scored in seen.scored:
        if scored not in followed and not scored.sources.isdisjoint(weighed):
            raise _refusal(
                scored.scope,
                f"how its weights come from the products of {_listed(scored.sources)} cannot be "
                "followed",
            )
    rest = [
        replace(reading, streams=tuple(s for s in reading.streams if s not in taken))
        for reading in readings
    ]
    return rest, tuple(found)


# Queries and keys.


def _scores(attended: Attended) -> tuple[Pairing, bool]:
    scope = attended.scope
    if not attended.aligned:
        raise _refusal(scope, "its heads could not be told apart in what it puts out")
    if len(attended.scored) > 1:
        raise _refusal(scope, f"its weights add up {len(attended.scored)} products of maps")
    (scored,) = attended.scored
    left, right = scored.left, scored.right
    if attended.transposed:
        left, right = right, left
    query, queries = _channels(left, "queries", scope)
    key, keys = _channels(right, "keys", scope)
    unlike = _refusal(
        scope, f"what meets are not the outputs of {query!r} and {key!r}, both turned pair by pair"
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


def _channels(factors: Sequence[Factor], noun: str, scope: Scope) -> tuple[str, Tensor]:
    """The map of the queries or keys and its channels ``[ways, heads, d]``.

    Rotary positions bring each channel to two places, which makes two ways.
    """
    if len({factor.source for factor in factors}) > 1:
        names = {factor.source.name for factor in factors}
        raise _refusal(scope, f"its {noun} come from more than one use of a map ({_listed(names)})")
    name = factors[0].source.name
    steps = _between(factors)
    if steps:
        raise _refusal(
            scope, f"{', '.join(steps)} stands between the map {name!r} and the {noun} it makes"
        )
    tables = [factor.channels for factor in factors if factor.channels is not None]
    if len(tables) < len(factors):
        raise _refusal(scope, f"its {noun} hold other channels of {name!r} at other positions")
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


# Values.


def _outputs(reading: ResolvedUse, attended: Attended, notes: Notes) -> Iterable[Stream]:
    """The streams of a reading by which a map reads what the heads put out, and nothing else."""
    for stream in reading.streams:
        if stream.attended is not attended:
            continue
        steps = _between((*attended.values, stream), attended.entry)
        if len(attended.values) > 1 or steps:
            between = ", ".join(steps) or "a sum"
            notes.add(
                f"no product of {reading.use.name!r} and {stream.source.name!r}, which are shown "
                f"as they are: {between} stands between them beside the attention"
            )
            continue
        here = stream.label != labels.NONE
        beside = [other.label != labels.NONE for other in reading.streams if not other.attended]
        # A stream that others write into as well has a basis of its own.
        if not any(bool((here & there).any()) for there in beside):
            yield stream


def _output(attended: Attended, reading: ResolvedUse, stream: Stream) -> Pairing:
    assert stream.heads is not None
    if reading.place is not None:
        raise _refusal(
            attended.scope,
            f"{reading.use.name!r} reads what it puts out at several positions together",
        )
    pairs = []
    for head in labels.present(stream.heads):
        features = (stream.heads == head).nonzero().flatten()
        pairs.append((features, stream.label[features]))
    return Pairing(reading.use.name, stream.source.name, tuple(pairs))


def _between(carried: Iterable[Carrier | Factor | Stream], but: str = "") -> list[str]:
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


# Words.


def _refusal(scope: Scope, why: str) -> UnsupportedLayerError:
    where = f"module {scope.module!r}" if scope.module else "the model's own forward"
    return UnsupportedLayerError(
        f"attention in {where} ({scope.kind}): {why}, so that its heads have no products of two "
        "matrices; attention='plain' shows the matrices themselves"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names)))
