"""Near-kernels and the channels that belong to them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import linalg
from torch import nn

from svr_widget.engine.analysis.near_kernels import AMBIGUOUS, channel_blocks, near_kernels
from svr_widget.svr import SVR


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


SIZES, SCALES = (8, 5, 3), (1.0, 1e-4, 1e-9)


def planted(rng: np.random.Generator, channels: np.ndarray, kernel: tuple[int, ...], method: str):
    """A weight ``[16, 16, *kernel]`` whose channels lie in blocks of falling scale (5.2.2)."""
    z = int(np.prod(kernel, dtype=int))
    left = z if method == "cosvr" else 1
    frames = [np.linalg.qr(rng.standard_normal((k * left, k)))[0] for k in SIZES]
    U = linalg.block_diag(*frames).reshape(16, left, 16)[channels]
    V = np.linalg.qr(rng.standard_normal((16 * (z // left), 16)))[0]
    S = np.concatenate([s * np.linspace(1.9, 1, k) for s, k in zip(SCALES, SIZES, strict=True)])
    flat = np.einsum("oyk,k,ik->oyi", U, S, V)
    if method == "cosvr":
        return torch.from_numpy(flat.transpose(0, 2, 1).reshape(16, 16, *kernel).copy())
    return torch.from_numpy(flat.reshape(16, 16, *kernel))


@pytest.mark.parametrize("kernel", [(), (3,), (2, 2)])
@pytest.mark.parametrize("method", ["svr", "cosvr"])
def test_planted_blocks_are_found(kernel: tuple[int, ...], method: str) -> None:
    rng = np.random.default_rng(1)
    channels = rng.permutation(16)
    svr = SVR({"conv": planted(rng, channels, kernel, method)}, method=method)
    table = svr.near_kernels()
    assert table["map"].eq("conv").all()
    assert table["block"].tolist() == [0, 1, 2]
    assert table["start"].tolist() == [0, 8, 13]
    assert table["stop"].tolist() == [8, 13, 16]
    np.testing.assert_allclose(table["largest"], 1.9 * np.array(SCALES), rtol=1e-6)
    np.testing.assert_allclose(table["smallest"], SCALES, rtol=1e-6)
    assert table["channels"].tolist() == [8, 5, 3]
    assert table["ambiguous"].tolist() == [0, 0, 0]
    expected = np.repeat([0, 1, 2], SIZES)[channels]
    np.testing.assert_array_equal(svr.channel_blocks("conv"), expected)
    assert svr.near_kernels("conv", ratio=3e4)["stop"].tolist() == [13, 16]


def test_blocks_of_a_grouped_map_keep_its_channels_apart() -> None:
    """Each group has its own scale and blocks; the channels of the second follow the first's."""
    rng = np.random.default_rng(2)
    orders = [rng.permutation(16), rng.permutation(16)]
    weight = torch.cat([planted(rng, order, (3,), "svr") for order in orders])
    svr = SVR(nn.Sequential(grouped(weight, 2)), links=[])
    expected = np.concatenate([np.repeat([0, 1, 2], SIZES)[order] for order in orders])
    np.testing.assert_array_equal(svr.channel_blocks("0"), expected)
    assert svr.near_kernels("0")["channels"].tolist() == [16, 10, 6]


def test_null_neurons_are_one_block_however_their_rounding_falls() -> None:
    """The blocks of the others are those of the same map without its null space."""
    rng = np.random.default_rng(3)
    S = np.array([2.0, 1.0, 1e-3, 8e-4])
    U, V = (np.linalg.qr(rng.standard_normal((14, 14)))[0] for _ in range(2))
    svr = SVR([U[:, :4] * S @ V[:, :4].T + 1e-17 * rng.standard_normal((14, 14))])
    assert int(svr["0"].null.sum()) == 10
    reduced = SVR([S[:, None] * V[:, :4].T])
    table, wanted = svr.near_kernels(), reduced.near_kernels()
    assert table["stop"].tolist() == [2, 4, 14]
    assert wanted["stop"].tolist() == [2, 4]
    np.testing.assert_allclose(table["largest"][:2], wanted["largest"])


def test_channels_of_a_map_of_zeros_are_in_no_block() -> None:
    svr = SVR([np.zeros((6, 9)), np.eye(4, 6)])
    table = svr.near_kernels("0")
    assert table[["start", "stop", "largest", "channels", "ambiguous"]].values.tolist() == [
        [0, 6, 0, 0, 0]
    ]
    assert (svr.channel_blocks("0") == AMBIGUOUS).all()
    dead = svr.dead_channels().query("map == '0'")
    assert dead["channel"].tolist() == list(range(6))
    assert dead["block"].eq(AMBIGUOUS).all()


def grouped(weight: torch.Tensor, groups: int) -> nn.Conv1d:
    out, width, size = weight.shape
    layer = nn.Conv1d(width * groups, out, size, groups=groups, dtype=weight.dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def test_channels_between_blocks_are_ambiguous() -> None:
    masses = np.square([[1.0, 0.0, 0.0], [0.0, 0.8, 0.6], [0.0, 0.0, 0.0], [0.1, 0.0, 0.995]])
    masses = np.stack([masses[:, :2].sum(axis=1), masses[:, 2]], axis=1)
    np.testing.assert_array_equal(channel_blocks(masses), [0, AMBIGUOUS, AMBIGUOUS, 1])
    np.testing.assert_array_equal(channel_blocks(masses, share=0.6), [0, 0, AMBIGUOUS, 1])


def test_ambiguous_channels_count_where_most_of_them_lies() -> None:
    """One channel turned between two blocks by 30 degrees, one that has no output at all."""
    turn = np.deg2rad(30)
    U = np.array(
        [[1, 0, 0], [0, np.cos(turn), np.sin(turn)], [0, -np.sin(turn), np.cos(turn)], [0, 0, 0]]
    )
    weight = U @ np.diag([2.0, 1.0, 1e-5]) @ np.eye(3)
    table = SVR([weight]).near_kernels()
    assert table["channels"].tolist() == [1, 0]
    assert table["ambiguous"].tolist() == [1, 1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: near_kernels([1.0], ratio=1.0),
        lambda: near_kernels([1.0, 2.0]),
        lambda: near_kernels([1.0, -1.0]),
        lambda: near_kernels([1.0, np.nan]),
        lambda: channel_blocks(np.eye(2), share=0.5),
    ],
)
def test_what_makes_no_sense_is_refused(call) -> None:
    with pytest.raises(ValueError, match=r"ratio|share|descending"):
        call()
