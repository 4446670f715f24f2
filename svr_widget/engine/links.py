"""The vocabulary of a link graph: which map feeds which, through which channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Layout:
    """How one side of a ``Linear`` is read as channels and kernel positions.

    A ``Linear`` that reads a flattened ``c x h x w`` tensor is a convolution with kernel
    ``(h, w)``; one whose output is unflattened to ``c x h x w`` is a transposed convolution.

    Attributes:
        index: int64 ``[channels, positions]``; ``index[k, z]`` is the flat feature that holds
            channel ``k`` at kernel position ``z``. Flattening channels last is just another index.
        kernel: the shape of the positions; its product is ``positions``.
    """

    index: Tensor
    kernel: tuple[int, ...]


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
    """

    producer: str
    consumer: str
    producer_channels: Tensor
    consumer_channels: Tensor
    through: tuple[str, ...] = ()
    backward: bool = False
    side: Literal["q", "k"] | None = None

    @property
    def shared(self) -> int:
        """``s``, the number of channels that travel."""
        return int(self.producer_channels.shape[0])
