"""Near-kernels and the channels that belong to them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from svr_widget.engine.near_kernels import AMBIGUOUS, channel_blocks, near_kernels


def test_groups_are_cut_at_the_gaps() -> None:
    values = [9.0, 5.0, 3.0, 1e-4, 0.9e-4, 1e-9, 0.0, 0.0]
    groups = near_kernels(values)
    assert groups == [slice(0, 3), slice(3, 5), slice(5, 6), slice(6, 8)]
    assert near_kernels(values, ratio=5e4) == [slice(0, 5), slice(5, 6), slice(6, 8)]
    assert near_kernels([2.0, 1.0]) == [slice(0, 2)]
    assert near_kernels([0.0, 0.0]) == [slice(0, 2)]
    assert near_kernels([]) == []


def test_a_fall_by_the_ratio_itself_is_no_gap() -> None:
    assert near_kernels([100.0, 1.0], ratio=100.0) == [slice(0, 2)]
    assert near_kernels([100.1, 1.0], ratio=100.0) == [slice(0, 1), slice(1, 2)]


def test_random_matrices_have_none() -> None:
    rng = np.random.default_rng(0)
    values = np.linalg.svd(rng.standard_normal((500, 16, 16)), compute_uv=False)
    assert np.mean([len(near_kernels(s)) > 1 for s in values]) < 0.03


@pytest.mark.parametrize("kernel", [(), (3, 3)])
def test_planted_blocks_are_found(kernel: tuple[int, ...]) -> None:
    """Channels whose weights are scaled down together (section 5.2.2), in any order."""
    rng = np.random.default_rng(1)
    scales = np.repeat([1.0, 1e-4, 1e-9], [8, 5, 3])
    channels = rng.permutation(16)
    z = int(np.prod(kernel, dtype=int))
    frames = [np.linalg.qr(rng.standard_normal((k * z, k)))[0] for k in (8, 5, 3)]
    U = linalg.block_diag(*frames).reshape(16, *kernel, 16)[channels]
    groups = near_kernels(scales)
    assert [group.stop - group.start for group in groups] == [8, 5, 3]
    np.testing.assert_array_equal(
        channel_blocks(U, groups), np.repeat([0, 1, 2], [8, 5, 3])[channels]
    )


def test_channels_between_blocks_are_ambiguous() -> None:
    U = np.array([[1.0, 0.0, 0.0], [0.0, 0.8, 0.6], [0.0, 0.0, 0.0], [0.1, 0.0, 0.995]])
    blocks = [slice(0, 2), slice(2, 3)]
    np.testing.assert_array_equal(channel_blocks(U, blocks), [0, AMBIGUOUS, AMBIGUOUS, 1])
    np.testing.assert_array_equal(channel_blocks(U, blocks, share=0.6), [0, 0, AMBIGUOUS, 1])


@pytest.mark.parametrize(
    "call",
    [
        lambda: near_kernels([1.0], ratio=1.0),
        lambda: near_kernels([1.0, 2.0]),
        lambda: near_kernels([1.0, -1.0]),
        lambda: near_kernels([1.0, np.nan]),
        lambda: channel_blocks(np.eye(2), [slice(0, 2)], share=0.5),
    ],
)
def test_what_makes_no_sense_is_refused(call) -> None:
    with pytest.raises(ValueError, match=r"ratio|share|descending"):
        call()
