"""What travels through a tensor of the graph: which producer's channel sits in which element."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from svr_widget.engine.maps.links import Layout
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.steps import Steps, appended, joined

ATTENTION = "attention weights"


class Source(NamedTuple):
    """One use of a producing map: its name and the number of the call."""

    name: str
    use: int


class Reason(NamedTuple):
    """Why a producer's channels lost their identity.

    Attributes:
        operation: what mixed them.
        module: where it ran.
        weighs: it makes a number that only scales or shifts what it meets (a statistic, attention
            weights); otherwise it stands for a linear map or a cell that is not shown.
        unknown: why it is not known what the operation does to channels; empty where it is.
    """

    operation: str
    module: str
    weighs: bool = True
    unknown: str = ""

    def __str__(self) -> str:
        """The reason as part of a sentence."""
        return f"{self.operation} in {self.module!r}" if self.module else self.operation


@dataclass(frozen=True)
class Scope:
    """The module that an operator ran in.

    Attributes:
        module: its qualified name, ``""`` for the model itself.
        kind: its class's name.
        custom_leaf: a class of the user's (not of ``torch``) that holds no map: its operations
            count as one step, named by the class.
        library_leaf: a module of ``torch.nn``.
        path: the qualified names of all modules around it, innermost last.
        wall: the module around it, if any, whose inside is not followed.
    """

    module: str = ""
    kind: str = ""
    path: tuple[str, ...] = ()
    custom_leaf: bool = False
    library_leaf: bool = False
    wall: str = ""


@dataclass(frozen=True, eq=False)
class Carrier:
    """A producer's channels inside one tensor.

    Attributes:
        source: the use of the map that made them.
        label: int64, the tensor's shape; the output feature of the producer that each element
            carries, or ``labels.NONE``.
        through: what they passed on the way.
        layout: how the producer's output was unflattened, where ``label`` counts the channels of
            that instead of output features.
        attended: the attention that it came out of as values; ``label`` then tells the heads
            apart, see ``Attended.channels``.
        steps: what that did to each channel; ``Step.factors`` are by output feature.
    """

    source: Source
    label: Tensor
    through: tuple[str, ...] = ()
    layout: Layout | None = None
    attended: Attended | None = None
    steps: Steps = ()

    def passing(self, *entries: str, steps: Steps = ()) -> Carrier:
        """The same channels after ``entries``, immediate repetitions left out, and ``steps``."""
        through = self.through
        for entry in entries:
            if not through or through[-1] != entry:
                through = (*through, entry)
        if through == self.through and not steps:
            return self
        return replace(self, through=through, steps=appended(self.steps, steps))

    def joined(self, other: Carrier) -> Carrier:
        """These channels, having come this way and the other's."""
        through = self.through
        if through != other.through:
            through = tuple(dict.fromkeys(through + other.through))
        return replace(self, through=through, steps=joined(self.steps, other.steps))

    def same_channels(self, other: Carrier) -> bool:
        """Whether both put the same channels of the same source into the same elements."""
        return self.same_origin(other) and labels.equal(self.label, other.label)

    def same_origin(self, other: Carrier) -> bool:
        """Whether the labels of both count the same channels."""
        return (
            self.source == other.source
            and self.attended is other.attended
            and same_layout(self.layout, other.layout)
        )


@dataclass(frozen=True, eq=False)
class Factor:
    """A producer's channels in the queries or in the keys.

    Attributes:
        source: the use of the map that made them.
        channels: int64 ``[heads, d]``, the producer's channel at each place of each head, or
            ``labels.NONE``; None where it depends on the position in the sequence.
        through: what the channels passed before.
        steps: what that did to each channel.
    """

    source: Source
    channels: Tensor | None
    through: tuple[str, ...]
    steps: Steps


@dataclass(frozen=True, eq=False)
class Scored:
    """One matrix product of two tensors over the channels of both.

    Attributes:
        left: whose channels the rows hold.
        right: whose channels the columns hold.
        scope: where it ran.
    """

    left: tuple[Factor, ...]
    right: tuple[Factor, ...]
    scope: Scope

    @property
    def sources(self) -> frozenset[str]:
        """The maps whose channels are multiplied."""
        return frozenset(factor.source.name for factor in (*self.left, *self.right))


@dataclass(frozen=True, eq=False)
class Attended:
    """Values that were summed over positions with scores as weights.

    The label of a channel that comes out of it is ``head * width + channel``.

    Attributes:
        scored: the products that the weights were made of.
        transposed: the columns, not the rows, of ``scored`` are the queries.
        aligned: each sum belongs to one head of ``scored``.
        values: whose channels were summed.
        width: more than any channel of theirs.
        entry: how this step reads in ``Carrier.through``.
        scope: where it ran.
    """

    scored: tuple[Scored, ...]
    transposed: bool
    aligned: bool
    values: tuple[Carrier, ...]
    width: int
    entry: str
    scope: Scope

    def channels(self, label: Tensor) -> Tensor:
        """The producer's channels that labels stand for; ``labels.NONE`` is kept."""
        return torch.where(label == labels.NONE, label, label % self.width)

    def heads(self, label: Tensor) -> Tensor:
        """The heads that labels stand for; ``labels.NONE`` is kept."""
        return torch.where(label == labels.NONE, label, label // self.width)


@dataclass(frozen=True, eq=False)
class Attentions:
    """What one forward pass shows of attention.

    Attributes:
        scored: every product of two tensors over channels, attention or not.
        attended: every sum of values with such products as weights, head by head.
        refused: where the weights of such a sum are no products of two matrices, and why.
    """

    scored: list[Scored] = field(default_factory=list)
    attended: list[Attended] = field(default_factory=list)
    refused: list[tuple[Scope, str]] = field(default_factory=list)


def same_layout(left: Layout | None, right: Layout | None) -> bool:
    """Whether two layouts (or their absence) are the same."""
    if left is None or right is None:
        return left is right
    return left is right or torch.equal(left.index, right.index)


@dataclass(frozen=True, eq=False)
class Place:
    """Where an element sits on the grid of positions, so that flattened channels can be told.

    Attributes:
        ids: int64, the tensor's shape; row-major position on ``grid``.
        grid: the extents of the positions, or ``None`` where several grids met.
    """

    ids: Tensor
    grid: tuple[int, ...] | None


@dataclass(frozen=True, eq=False)
class AttentionScores:
    """Scalar products of queries with keys, whatever became of each of them since.

    Attributes:
        scored: the products that it is made of; more than one where several were added up.
        head: int64, the tensor's shape: which head of ``scored`` each element belongs to.
        row: int64, the tensor's shape: its row in the matrix product.
    """

    scored: tuple[Scored, ...]
    head: Tensor
    row: Tensor

    def moved(self, move: Callable[[Tensor], Tensor]) -> AttentionScores:
        """The same scores after a movement of the elements."""
        return replace(self, head=move(self.head), row=move(self.row))


@dataclass(frozen=True, eq=False)
class Flow:
    """A tensor of the graph without its values.

    Attributes:
        shape: its shape.
        carriers: whose channels it holds.
        mixed: sources that it depends on without channel identity, and why.
        place: position of each element, where it holds channels.
        weights: qualified names of the parameters and buffers it was computed from, for a tensor
            that depends on nothing else.
        data: it depends on the model's input.
        value: computes the tensor itself, where it depends on no map's output.
        as_data: of what is made of maps' weights and of no data: whose channels it holds where it
            is no weight but read as data, as learned queries are.
        index: of a weight, where along which parameter each element is: carriers
            whose source is ``(parameter, dimension)``.
        scores: the queries and keys that it is a product of, while attention is followed.
        inlet: the channels of the model's input right behind a norm, from no map's source.
        computed: of a weight, more than views and casts stand between it and its parameters.
    """

    shape: tuple[int, ...]
    carriers: tuple[Carrier, ...] = ()
    mixed: frozenset[tuple[Source, Reason]] = frozenset()
    place: Place | None = None
    weights: frozenset[str] = frozenset()
    data: bool = False
    value: Callable[[], Tensor] | None = None
    index: tuple[Carrier, ...] = ()
    scores: AttentionScores | None = None
    inlet: Carrier | None = None
    computed: bool = False
    as_data: Callable[[], Flow] | None = None

    @property
    def traced(self) -> bool:
        """Whether it depends on any map's output."""
        return bool(self.carriers or self.mixed)

    @cached_property
    def sources(self) -> frozenset[Source]:
        """The sources whose channels it holds."""
        return frozenset(carrier.source for carrier in self.carriers)

    def channel_dims(self) -> frozenset[int]:
        """The dimensions along which some producer's channels lie."""
        found: frozenset[int] = frozenset()
        for carrier in self.carriers:
            found |= labels.varying_dims(carrier.label)
        return found


def as_data(flow: Flow) -> Flow:
    """What is made of weights, as the channels that it holds where it is read as data."""
    return flow if flow.as_data is None or flow.traced else flow.as_data()


def mint(shape: Sequence[int], channel_dims: Iterable[int]) -> Place:
    """Fresh positions over every dimension of ``shape`` that is no channel dimension."""
    taken = set(channel_dims)
    dims = [dim for dim in range(len(shape)) if dim not in taken]
    return Place(labels.grid_ids(shape, dims), tuple(shape[dim] for dim in dims))


def merged(carriers: Iterable[Carrier]) -> tuple[Carrier, ...]:
    """Carriers of the same channels of one map become one that passed what either passed.

    It goes by the last of their uses, so that a loop of many steps does not carry one for each.
    """
    kept: list[Carrier] = []
    of_map: dict[str, list[int]] = {}
    for carrier in carriers:
        places = of_map.setdefault(carrier.source.name, [])
        for at in places:
            other = kept[at]
            if replace(other, source=carrier.source).same_channels(carrier):
                later = max(carrier.source, other.source)
                kept[at] = replace(other.joined(carrier), source=later)
                break
        else:
            places.append(len(kept))
            kept.append(carrier)
    return tuple(kept)


def lost(carrier: Carrier, reason: Reason) -> tuple[Source, Reason]:
    """The entry of ``Flow.mixed`` for channels that lost their identity."""
    return carrier.source, reason


def drop_known(
    mixed: Iterable[tuple[Source, Reason]], carriers: Sequence[Carrier]
) -> frozenset[tuple[Source, Reason]]:
    """``mixed`` without weights and statistics of sources that a carrier holds as well."""
    held = {carrier.source for carrier in carriers}
    return frozenset(
        (source, reason) for source, reason in mixed if source not in held or not reason.weighs
    )
