"""The geometry of a link under chance: which random orthonormal frames meet on which channels.

The null hypothesis is the paper's (3.2, footnote 8): the singular vectors of producer and consumer
are independent, uniformly distributed orthonormal frames, one for each group of a grouped map.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """One side of a link.

    Attributes:
        length: length of a vector of one group, all kernel positions included: ``p`` for the
            producer of an SVR link, ``z q`` for its consumer.
        positions: kernel positions; the SVR has them on the consumer's side, the co-SVR on the
            producer's.
        neuron_groups: the group of each neuron, in the order of the adjacency; empty for one group.
        channel_groups: the group of each channel that the link carries; empty for one group.
    """

    length: int
    positions: int = 1
    neuron_groups: tuple[int, ...] = ()
    channel_groups: tuple[int, ...] = ()

    @property
    def grouped(self) -> bool:
        """Whether there are several groups to tell apart."""
        return bool(self.neuron_groups)

    def ungrouped(self, shared: int) -> Frame:
        """An equivalent single frame where there is one.

        A depthwise side whose every channel is carried has one vector a channel, of norm 1, or none
        where that is null: on the channels they are rows of the identity, and against a random
        frame any other fixed orthonormal vectors do as well.
        """
        every = tuple(range(shared))
        depthwise = (
            self.length == self.positions
            and len(set(self.neuron_groups)) == len(self.neuron_groups)
            and tuple(sorted(self.channel_groups)) == every
        )
        return Frame(length=shared) if depthwise else self


@dataclass(frozen=True)
class RandomFrames:
    """Both sides of a link.

    Attributes:
        shared: ``s``, the number of channels that the link carries.
        producer: the frame of the columns.
        consumer: the frame of the rows.
    """

    shared: int
    producer: Frame
    consumer: Frame

    def mean(self, shape: tuple[int, int]) -> Floats:
        """Expected adjacency: ``[n, m]``, or ``[]`` where all entries have the same expectation."""
        p, q = self.producer, self.consumer
        scale = p.positions * q.positions / (p.length * q.length)
        if not (p.grouped or q.grouped):
            return np.array(self.shared * scale)
        columns, rows = group_of(p.neuron_groups, shape[1]), group_of(q.neuron_groups, shape[0])
        sent = group_of(p.channel_groups, self.shared)
        read = group_of(q.channel_groups, self.shared)
        sizes = [1 + int(np.concatenate(side).max()) for side in ((rows, read), (columns, sent))]
        together = np.zeros(sizes)
        np.add.at(together, (read, sent), scale)
        mean: Floats = together[rows[:, None], columns]
        return mean

    def plain_and_kernel(self) -> tuple[Frame, Frame, bool] | None:
        """The side without kernel, the other one, and whether the first is the producer's.

        A side whose every channel is carried comes first, since it can then be held fixed. None
        where a side is grouped or both have a kernel.
        """
        sides = [self.producer.ungrouped(self.shared), self.consumer.ungrouped(self.shared)]
        if any(side.grouped for side in sides):
            return None
        plain = [i for i in (0, 1) if sides[i].positions == 1]
        if not plain:
            return None
        first = next((i for i in plain if sides[i].length == self.shared), plain[0])
        return sides[first], sides[1 - first], first == 0


def group_of(groups: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """Group of each of ``count`` things: all 0 where there is one group."""
    return np.array(groups or (0,) * count, dtype=np.int64)
