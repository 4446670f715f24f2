"""Tables of counts that rise from row to row, as bytes; ``js/src/wire/increments.ts`` reads them.

A graph of all pairs of maps has tens of thousands of links, and from one stop of the slider to the
next few of them gain edges. What is written is what each number gains on the one above it, row by
row: a gain ``g`` as ``2 g``, a run of ``z`` zeros as ``2 z + 1``, each in groups of seven bits, the
lowest first, with the eighth set in all but the last (LEB128).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUP = 7


def pack_increments(counts: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Pack counts ``[rows, columns]`` that never fall from row to row.

    Raises:
        ValueError: they fall somewhere, or begin below 0.
    """
    gains = np.diff(counts.astype(np.int64), axis=0, prepend=0).ravel()
    if (gains < 0).any():
        raise ValueError("the counts fall from one row to the next")
    at = np.flatnonzero(gains)
    zeros = np.diff(at, prepend=-1, append=gains.size) - 1
    numbers = np.empty(2 * at.size + 1, np.int64)
    numbers[::2] = 2 * zeros + 1
    numbers[1::2] = 2 * gains[at]
    return _grouped(numbers[numbers != 1])


def _grouped(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Positive numbers in groups of seven bits."""
    longest = -(-int(numbers.max(initial=0)).bit_length() // GROUP)
    lengths = np.ones(numbers.size, np.int64)
    for group in range(1, longest):
        lengths += numbers >= 1 << (GROUP * group)
    starts = np.cumsum(lengths) - lengths
    packed = np.zeros(int(lengths.sum()), np.uint8)
    for group in range(longest):
        mine = lengths > group
        bits = (numbers[mine] >> (GROUP * group)) & 0x7F
        packed[starts[mine] + group] = bits | (0x80 * (lengths[mine] > group + 1))
    return packed
