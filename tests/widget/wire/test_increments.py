"""Packed counts against a reader that goes by the layout's words, byte by byte."""

from __future__ import annotations

import numpy as np
import pytest

from svr_widget.widget.wire.increments import pack_increments


def unpacked(packed: bytes, shape: tuple[int, int]) -> np.ndarray:
    """Read what is packed one bit group after the other."""
    gains: list[int] = []
    rest = list(packed)
    while rest:
        groups = []
        while rest[0] & 128:
            groups.append(rest.pop(0) & 127)
        groups.append(rest.pop(0))
        number = sum(group << 7 * place for place, group in enumerate(groups))
        gains += [0] * (number // 2) if number % 2 else [number // 2]
    return np.array(gains).reshape(shape).cumsum(axis=0)


def test_the_bytes() -> None:
    rows = np.array([[0, 5, 0], [0, 6, 128], [0, 6, 128]])
    # js/test/increments.test.ts reads the same bytes.
    assert pack_increments(rows).tolist() == [3, 10, 5, 2, 128, 2, 7]


@pytest.mark.parametrize("columns", [1, 2, 30])
@pytest.mark.parametrize("largest", [1, 40, 5_000, 2**31])
@pytest.mark.parametrize("filled", [0.0, 0.01, 0.5, 1.0])
def test_what_is_packed_is_read_again(columns: int, largest: int, filled: float) -> None:
    random = np.random.default_rng(columns)
    gains = random.integers(0, largest, (23, columns)) * (random.random((23, columns)) < filled)
    counts = gains.cumsum(axis=0)
    packed = pack_increments(counts)
    assert packed.dtype == np.uint8
    np.testing.assert_array_equal(unpacked(packed.tobytes(), counts.shape), counts)


def test_no_counts_are_no_bytes() -> None:
    assert pack_increments(np.zeros((0, 4), np.uint32)).size == 0
    assert pack_increments(np.zeros((4, 0), np.uint32)).size == 0


@pytest.mark.parametrize("rows", [[[3], [2]], [[-1], [2]]])
def test_counts_that_fall_are_refused(rows: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="fall"):
        pack_increments(np.array(rows))
