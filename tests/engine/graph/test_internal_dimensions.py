"""Internal dimensions: definition, planted blocks, and p-values under random frames."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import linalg, stats
from torch import nn

from svr_widget.engine.graph.internal_dimensions import intensity, internal_dimensions
from svr_widget.engine.significance.dimensions_limit import limit_maxima
from svr_widget.engine.significance.dimensions_null import DRAWS, largest_deviation_p_value
from svr_widget.engine.significance.random_frames import Frame, RandomFrames
from svr_widget.svr import SVR

Random = np.random.Generator
matrices = hnp.arrays(
    np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(0, 1)
)


def haar(length: int, count: int, rng: Random) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((length, count)))[0]


def adjacency(U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """``A[n, m] = sum_yz (sum_k u[k, y, m] v[k, z, n])^2``, U [s, y, m], V [s, z, n]."""
    return np.square(np.einsum("kym,kzn->nmyz", U, V)).sum(axis=(2, 3))


# The definitions.


@settings(max_examples=60, deadline=None)
@given(matrices, st.floats(0, 0.5))
def test_internal_dimensions_by_brute_force(A: np.ndarray, mean: float) -> None:
    n, m = A.shape
    best = max(
        (A[:i, :j].sum() - mean * i * j, -i, -j) for i in range(1, n + 1) for j in range(1, m + 1)
    )
    found = internal_dimensions(A, mean)
    assert found.deviation == pytest.approx(best[0], abs=1e-12)
    reached = A[: found.d_out, : found.d_in].sum() - mean * found.d_out * found.d_in
    assert reached == pytest.approx(best[0], abs=1e-12)
    assert (found.p_value, found.method) == (None, "not asked for")


def test_of_equal_corners_the_first_is_taken() -> None:
    assert internal_dimensions(np.zeros((3, 4)), 0.0)[:2] == (1, 1)
    assert internal_dimensions([[1.0, 0.0], [0.0, 0.0]], 0.0)[:2] == (1, 1)


@settings(max_examples=60, deadline=None)
@given(matrices, st.floats(0, 0.5))
def test_intensity_by_brute_force(A: np.ndarray, mean: float) -> None:
    n, m = A.shape
    brute = [max([0.0] + [A[:i, j].sum() - mean * i for i in range(1, n + 1)]) for j in range(m)]
    np.testing.assert_allclose(intensity(A, mean), brute, atol=1e-12)
    np.testing.assert_allclose(intensity(A, np.full(A.shape, mean)), brute, atol=1e-12)


def test_intensity_without_consumers() -> None:
    np.testing.assert_array_equal(intensity(np.zeros((0, 3)), 0.1), np.zeros(3))


# Planted blocks.


def planted(n: int, p: int, noise: float, rng: Random) -> np.ndarray:
    """``P(eps) = blockdiag(Q_p, Q_{n-p}) exp(eps (A - A^T))`` (appendix B.1)."""
    blocks = linalg.block_diag(haar(p, p, rng), haar(n - p, n - p, rng))
    antisymmetric = rng.standard_normal((n, n))
    return blocks @ linalg.expm(noise * (antisymmetric - antisymmetric.T))


@pytest.mark.parametrize("p", [5, 20, 50, 90])
@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_a_planted_block_is_found_exactly(p: int, noise: float) -> None:
    A = np.square(planted(100, p, noise, np.random.default_rng(p)))
    square = RandomFrames(100, Frame(100), Frame(100))
    found = internal_dimensions(A, 0.01, square)
    assert found[:2] == (p, p)
    if noise == 0:
        assert found.deviation == pytest.approx(p * (100 - p) / 100)
    assert found.p_value == 1 / (DRAWS + 1)


@pytest.mark.parametrize(("rows", "columns"), [(6, 4), (3, 9)])
def test_a_planted_rectangular_block_of_a_convolution(rows: int, columns: int) -> None:
    """The consumer's first neurons read what the producer's first neurons write, and only that."""
    rng = np.random.default_rng(3)
    c, z = 16, 4
    U = haar(c, c, rng)
    inside = haar(columns * z, rows, rng).reshape(columns, z, rows)
    outside = haar((c - columns) * z, c - rows, rng).reshape(c - columns, z, c - rows)
    V = np.concatenate(
        [
            np.einsum("kj,jzn->kzn", U[:, :columns], inside),
            np.einsum("kj,jzn->kzn", U[:, columns:], outside),
        ],
        axis=2,
    )
    A = adjacency(U[:, None], V)
    found = internal_dimensions(A, 1 / c, RandomFrames(c, Frame(c), Frame(c * z, z)))
    assert found[:2] == (rows, columns)
    assert found.p_value == 1 / (DRAWS + 1)


# p-values: each kind of link, drawn here by the definition, must give uniform p-values.


def simple(s: int, p: int, y: int, m: int, q: int, z: int, n: int):
    """``s`` shared of p and q channels; m neurons with y positions feed n with z positions."""
    frames = RandomFrames(s, Frame(p * y, y), Frame(q * z, z))

    def draw(rng: Random) -> np.ndarray:
        U = haar(p * y, m, rng).reshape(p, y, m)[:s]
        return adjacency(U, haar(q * z, n, rng).reshape(q, z, n)[:s])

    return frames, draw


def depthwise(c: int, z: int):
    """A full producer feeds a depthwise consumer, whose neurons are sorted by singular value."""
    order = tuple(np.random.default_rng(c).permutation(c).tolist())
    frames = RandomFrames(c, Frame(c), Frame(z, z, order, tuple(range(c))))

    def draw(rng: Random) -> np.ndarray:
        V = np.zeros((c, z, c))
        for n, channel in enumerate(order):
            V[channel, :, n] = haar(z, 1, rng)[:, 0]
        return adjacency(haar(c, c, rng)[:, None], V)

    return frames, draw


def grouped(c: int, groups: tuple[int, int], z: int):
    """A grouped map feeds a grouped one; neurons of the groups are interleaved."""
    rng = np.random.default_rng(c)
    width = [c // g for g in groups]
    channels = [np.repeat(np.arange(g), c // g) for g in groups]
    neurons = [rng.permutation(of) for of in channels]
    positions = 1, z
    producer, consumer = (
        Frame(w * y, y, tuple(k.tolist()), tuple(of.tolist()))
        for w, y, k, of in zip(width, positions, neurons, channels, strict=True)
    )

    def draw(rng: Random) -> np.ndarray:
        sides = [np.zeros((c, y, c)) for y in positions]
        for side, w, y, k, of in zip(sides, width, positions, neurons, channels, strict=True):
            for group in np.unique(k):
                mine = np.flatnonzero(k == group)
                vectors = haar(w * y, mine.size, rng).reshape(w, y, mine.size)
                side[np.ix_(of == group, np.arange(y), k == group)] = vectors
        return adjacency(*sides)

    return RandomFrames(c, producer, consumer), draw


KINDS = {
    "plain": (simple(12, 12, 1, 12, 12, 1, 12), "exact"),
    "wide, few neurons": (simple(300, 300, 1, 6, 300, 1, 5), "exact"),
    "convolution": (simple(6, 6, 1, 6, 6, 4, 8), "exact"),
    "convolution, more vectors than half": (simple(6, 6, 1, 3, 6, 4, 20), "exact"),
    "co-SVR": (simple(6, 6, 4, 8, 6, 1, 6), "exact"),
    "concatenated": (simple(6, 6, 1, 6, 10, 4, 8), "exact"),
    "split": (simple(6, 12, 1, 12, 6, 1, 6), "exact"),
    "split and concatenated": (simple(5, 9, 1, 9, 8, 3, 12), "exact"),
    "co-SVR split": (simple(5, 9, 3, 12, 8, 1, 8), "exact"),
    "depthwise": (depthwise(14, 9), "exact"),
    "grouped": (grouped(12, (2, 4), 3), "exact"),
    "plain beyond the switch": (simple(40, 40, 1, 40, 40, 1, 40), "limit"),
    "convolution beyond the switch": (simple(16, 16, 1, 16, 16, 9, 40), "limit"),
    "co-SVR beyond the switch": (simple(16, 16, 9, 40, 16, 1, 16), "limit"),
    "coarse grid": (simple(100, 100, 1, 100, 100, 1, 90), "limit"),
    "split beyond the switch": (simple(24, 48, 1, 48, 32, 4, 40), "limit"),
    "depthwise beyond the switch": (depthwise(40, 9), "limit"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_p_values_are_uniform_on_random_frames(kind: str) -> None:
    (frames, draw), method = KINDS[kind]
    rng = np.random.default_rng(20)
    p_values = []
    total = 0.0
    for _ in range(400):
        A = draw(rng)
        mean = frames.mean(A.shape)
        found = internal_dimensions(A, mean, frames)
        assert found.method == method
        p_values.append(found.p_value)
        total = total + A
    np.testing.assert_allclose(total / 400, mean, atol=6 * np.sqrt(mean.max() / 400) * 0.5)
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
    # 400 draws at level 0.05: 20 expected, 4 standard deviations are 18.
    assert 4 <= np.sum(np.array(p_values) <= 0.05) <= 38


def test_limit_has_the_covariance_of_random_frames() -> None:
    """One corner of the surface: the variance that engine.md states, exact at every size."""
    rng = np.random.default_rng(4)
    N, i, j = 12, 5, 4
    corners = []
    for _ in range(20_000):
        A = np.square(haar(N, i, rng)[:j])
        corners.append(A.sum() - i * j / N)
    exact = 2 * i * j * (N - i) * (N - j) / (N**2 * (N - 1) * (N + 2))
    assert np.var(corners) == pytest.approx(exact, rel=0.04)
    # With one vector a side that is not all, the surface is a single point: a normal variable.
    point = limit_maxima(N, (1, N), (1, N), 1, 200_000, rng)
    single = 2 * (N - 1) ** 2 / (N**2 * (N - 1) * (N + 2))
    assert np.var(point) == pytest.approx(single, rel=0.02)
    assert np.mean(point) == pytest.approx(0, abs=0.002)


@pytest.mark.slow
def test_limit_of_a_split_link_has_the_covariance_of_random_frames() -> None:
    rng = np.random.default_rng(5)
    s, p, z, d = 3, 7, 2, 8
    _, draw = simple(s, p, 1, 1, d // z, z, 1)
    entries = [draw(rng)[0, 0] for _ in range(40_000)]
    point = limit_maxima(s, (1, p), (1, d), z, 200_000, rng)
    assert np.var(point) == pytest.approx(np.var(entries), rel=0.04)


@pytest.mark.slow
def test_a_coarse_grid_does_not_lower_the_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    square = (150, (150, 150), (150, 150), 1, 2000)
    coarse = limit_maxima(*square, np.random.default_rng(0))
    monkeypatch.setattr("svr_widget.engine.significance.dimensions_limit._CELLS", 150)
    fine = limit_maxima(*square, np.random.default_rng(1))
    assert stats.ks_2samp(coarse, fine).pvalue > 1e-3
    assert coarse.mean() == pytest.approx(fine.mean(), rel=0.02)


def test_p_values_repeat_and_depend_on_the_seed() -> None:
    frames, draw = simple(10, 10, 1, 10, 10, 1, 10)
    A = draw(np.random.default_rng(1))
    values = {internal_dimensions(A, 0.1, frames, seed=seed).p_value for seed in (0, 0, 1, 2)}
    assert len(values) == 3
    assert all(round(value * 2001, 6).is_integer() for value in values)


def test_a_surface_that_is_flat_has_no_block() -> None:
    """With one channel every deviation is 0 up to the rounding of float32 entries."""
    flat = RandomFrames(1, Frame(1), Frame(9, 9))
    found = internal_dimensions(np.full((9, 1), 1 + 1e-7), 1.0, flat)
    assert found.p_value == 1


def test_groups_that_are_too_large_are_said_to_be() -> None:
    halves = tuple(np.repeat([0, 1], 256).tolist())
    frames = RandomFrames(512, Frame(256, 1, halves, halves), Frame(2304, 9, halves, halves))
    A = frames.mean((512, 512))
    found = internal_dimensions(A, A, frames)
    assert found.p_value is None
    assert "not known" in found.method


def test_expected_adjacency_of_groups() -> None:
    """Zero where two groups share no channel."""
    frames = RandomFrames(4, Frame(2, 1, (0, 1, 1, 0), (0, 0, 1, 1)), Frame(3, 3))
    np.testing.assert_allclose(frames.mean((2, 4)), 1.0)
    apart = RandomFrames(4, Frame(2, 1, (0, 1), (0, 0, 1, 1)), Frame(2, 1, (1, 0, 0), (0, 0, 1, 1)))
    np.testing.assert_allclose(apart.mean((3, 2)), [[0, 0.5], [0.5, 0], [0.5, 0]])


SQUARE = RandomFrames(4, Frame(4), Frame(4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: internal_dimensions(np.zeros((0, 3)), 0.1), "no internal dimensions"),
        (lambda: internal_dimensions(np.zeros((4, 4)), 0.5, SQUARE), "mean"),
        (lambda: largest_deviation_p_value(0.1, (5, 4), SQUARE, 0), "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


# Null neurons.


def low_rank(out: int, read: int, rank: int, rng: Random) -> np.ndarray:
    return rng.standard_normal((out, rank)) @ rng.standard_normal((rank, read))


def without_null_space(weight: np.ndarray, rank: int, *, of_output: bool) -> np.ndarray:
    """The same singular values and the same vectors on the other side, and nothing besides."""
    U, S, Vt = np.linalg.svd(weight)
    return S[:rank, None] * Vt[:rank] if of_output else U[:, :rank] * S[:rank]


@pytest.mark.parametrize("ranks", [(5, 4), (1, 6), (7, 1), (8, 8)])
def test_null_neurons_take_no_part(ranks: tuple[int, int]) -> None:
    """As of the same weights without their null spaces, p-values and intensities included."""
    rng = np.random.default_rng(sum(ranks))
    producer, consumer = low_rank(24, 20, ranks[0], rng), low_rank(18, 24, ranks[1], rng)
    whole = SVR([producer, consumer])
    assert [int((~whole[name].null).sum()) for name in "01"] == list(ranks)
    reduced = SVR(
        [
            without_null_space(producer, ranks[0], of_output=False),
            without_null_space(consumer, ranks[1], of_output=True),
        ]
    )
    assert not reduced["0"].null.any()
    assert not reduced["1"].null.any()
    found, wanted = (svr.internal_dimensions(("0", "1")) for svr in (whole, reduced))
    assert found[:2] == wanted[:2]
    assert found.d_out <= ranks[1]
    assert found.d_in <= ranks[0]
    assert found[2:] == (pytest.approx(wanted.deviation, abs=1e-9), *wanted[3:])
    assert (whole.intensity("0")[ranks[0] :] == 0).all()
    np.testing.assert_allclose(whole.intensity("0")[: ranks[0]], reduced.intensity("0"), atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rank", [1, 3])
def test_what_rounding_makes_of_zeros_takes_no_part_either(rank: int, dtype: torch.dtype) -> None:
    """Entries of low rank in float32 have all singular values, most of them rounding."""
    torch.manual_seed(rank)
    weights = [
        torch.randn(out, rank, dtype=dtype) @ torch.randn(rank, read, dtype=dtype)
        for out, read in ((64, 48), (40, 64), (30, 40))
    ]
    svr = SVR(weights)
    for link in svr.links:
        found = svr.internal_dimensions(link)
        assert 1 <= found.d_out <= rank
        assert 1 <= found.d_in <= rank
    assert all(int((~svr[name].negligible).sum()) == rank for name in svr.maps)


def test_neurons_of_full_rank_are_never_negligible() -> None:
    torch.manual_seed(0)
    assert not SVR([torch.randn(600, 600)])["0"].negligible.any()


def test_low_rank_weights_have_no_block_by_chance() -> None:
    """The p-values are uniform, as they are at full rank."""
    rng = np.random.default_rng(0)
    p = [
        SVR([low_rank(16, 12, 5, rng), low_rank(14, 16, 4, rng)])
        .internal_dimensions(("0", "1"))
        .p_value
        for _ in range(120)
    ]
    assert stats.kstest(p, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("zero", [(True, True), (True, False), (False, True)])
def test_a_map_of_zeros_has_no_block(zero: tuple[bool, bool]) -> None:
    shapes = (16, 12), (9, 16)
    rng = np.random.default_rng(0)
    svr = SVR(
        [
            np.zeros(of) if none else rng.standard_normal(of)
            for of, none in zip(shapes, zero, strict=True)
        ]
    )
    found = svr.internal_dimensions(("0", "1"))
    assert found == (0, 0, 0.0, 1.0, "no test: null neurons only")
    assert (svr.intensity("0") == 0).all()


def test_dead_channels_of_a_depthwise_map_leave_its_law_known() -> None:
    """Vectors on single channels are a part of the identity, so the law is that of fewer rows."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 64, 1, bias=False), nn.Conv2d(64, 64, 3, groups=64, bias=False)
    )
    with torch.no_grad():
        network[1].weight[[3, 50]] = 0
    svr = SVR(network, torch.zeros(1, 3, 8, 8))
    found = svr.internal_dimensions(("0", "1"))
    assert int(svr["1"].null.sum()) == 2
    assert found.d_out <= 62
    assert found.method in ("exact", "limit")
    assert found.p_value is not None
    assert found.p_value > 0.001
