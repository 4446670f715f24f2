"""Which map feeds which, through which channels: links and their keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Side = Literal["q", "k"] | None
"""Which side of a product of a query and a key map reads; None of any other map."""

OUTSIDE = ""
"""What the network's input is called as a producer, and its output as a consumer."""


@dataclass(frozen=True, eq=False)
class Layout:
    """How one side of a ``Linear`` is read as channels and kernel positions.

    A ``Linear`` that reads a flattened ``c x h x w`` tensor is a convolution with kernel
    ``(h, w)``; one whose output is unflattened to ``c x h x w`` is a transposed convolution.

    Attributes:
        index: int64 ``[channels, positions]``; ``index[k, z]`` is the flat feature that holds
            channel ``k`` at kernel position ``z``. Flattening channels last is just another index.
        kernel: the shape of the positions; its product is ``positions``.

    Examples:
        >>> images = torch.zeros(1, 1, 6, 6)
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(32, 5))
        >>> reads = SVR(network, images).maps["2"].input_layout
        >>> reads.index.shape, reads.kernel
        (torch.Size([2, 16]), (4, 4))
    """

    index: Tensor
    kernel: tuple[int, ...]


@dataclass(frozen=True)
class Norm:
    """What a norm, or another product with stored factors, does to channels; equal by value.

    Attributes:
        name: as in ``Link.through``.
        factors: as they are stored, one for each channel of the norm.
        centred: how many channels' mean is subtracted first (layer norm); 0 for none.
        plain: it is no norm, only such a product.
    """

    name: str
    factors: tuple[float, ...]
    centred: int = 0
    plain: bool = False

    def __hash__(self) -> int:
        """By name, which few share: factors are many."""
        return hash(self.name)


@dataclass(frozen=True, eq=False)
class Step:
    """What happens to channels on a link, as far as it keeps factors from moving along the link.

    Attributes:
        kind: ``"scale"``: each channel times a stored factor. ``"channelwise"``: each times
            something not stored, attention between positions included. ``"homogeneous"``: a
            function of each channel with ``f(a x) = a f(x)`` for every ``a > 0``, as ReLU and max
            pooling are. ``"nonlinear"``: any other. ``"unfoldable"``: a norm that is no factor.
        name: what does it, for ``"scale"`` and ``"unfoldable"``.
        norm: whose factors, for ``"scale"``.
        factors: float64, by channel of the producer, NaN for channels that did not pass.
        why: for ``"unfoldable"``, the reason as part of a sentence.
    """

    kind: Literal["scale", "channelwise", "homogeneous", "nonlinear", "unfoldable"]
    name: str = ""
    norm: Norm | None = None
    factors: Tensor | None = None
    why: str = ""

    def same(self, other: Step) -> bool:
        """Whether both do the same to the same channels."""
        if (self.kind, self.name, self.norm) != (other.kind, other.name, other.norm):
            return False
        if self.factors is None or other.factors is None:
            return self.factors is other.factors
        return self.factors.shape == other.factors.shape and torch.equal(
            self.factors.nan_to_num(torch.inf), other.factors.nan_to_num(torch.inf)
        )


@dataclass(frozen=True, eq=False)
class Link:
    """Producer map -> consumer map with no linear map between them (paper, section 2.2).

    Attributes:
        producer: name of the map whose output channels travel along the link.
        consumer: name of the map that reads them.
        producer_channels: int64 ``[s]``, indices into the producer's output channels.
        consumer_channels: int64 ``[s]``, the paired indices into the consumer's input channels
            (all kernel positions each); or int64 ``[s, z]``, flat input features, where the
            consumer's input mixes channels of different extent and so has no one kernel.
        through: what stands on the link, in order: ``"relu"``, ``"batch_norm (bn1)"``, ``"mul"``...
        backward: the link closes a cycle (recurrence, a module used twice); depth ignores it.
        side: into the product of a query and a key map, the one of them that reads the channels:
            ``"q"`` or ``"k"``. The ``U`` of its neurons reads the query's position, their ``V``
            the key's.
        steps: what ``through`` does to a channel, in order, as ``normalisation.fold`` needs it;
            empty in an ``SVR``.
        gains: float64 ``[s]``, what stored factors on the link that are not folded into the weights
            multiply each channel by (batch norm, layer scale); NaN where a norm stores none or has
            several for a channel (group norm); None for 1 everywhere.
        signs: float64 ``[s]`` of 1 and -1, what is left on the link of norms that were folded into
            the weights; None for 1 everywhere.
        by_construction: both ends are one tensor, plain at one and transposed at the other, as a
            tied embedding and head are: the edges are no finding, and the link is in no test.

    Examples:
        >>> link = svr.links["0", "2"]
        >>> link.producer, link.consumer, link.shared
        ('0', '2', 16)
    """

    producer: str
    consumer: str
    producer_channels: Tensor
    consumer_channels: Tensor
    through: tuple[str, ...] = ()
    backward: bool = False
    side: Side = None
    steps: tuple[Step, ...] = ()
    gains: Tensor | None = None
    signs: Tensor | None = None
    by_construction: bool = False

    @property
    def shared(self) -> int:
        """``s``, the number of channels that travel."""
        return int(self.producer_channels.shape[0])


LinkKey = tuple[str, str] | tuple[str, str, int]
"""``(producer, consumer)``; further links of the same pair add 1, 2...

Into the product of a query and a key map the consumer is ``"name.q"`` or ``"name.k"``.
"""

TestKey = tuple[LinkKey, int]
"""A link and the index of one of its laws (``Adjacency.laws``), 0 where it has one."""


def number_of(key: LinkKey) -> int:
    """Which of the links between its two maps a link is: 0, 1, 2..."""
    return key[2] if len(key) == 3 else 0


def entered(name: str, side: Side) -> str:
    """What the end of a link is called that enters a side of a map."""
    return name if side is None else f"{name}.{side}"
