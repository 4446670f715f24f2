"""Spectral neurons against mpmath, float64 LAPACK and sums written out from the paper."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svr_widget.engine.decompose import decompose, drivers
from svr_widget.engine.errors import SVRError
from tests.engine.support.gaussian import gaussian
from tests.engine.support.singular_values import true_singular_values


def rebuilt(neurons, method="svr"):
    """sum_m s_m u_m v_m^T of an ungrouped map, in float64."""
    U, V = neurons.U.double(), neurons.V.double()
    if method == "svr":
        return torch.einsum("om,m,i...m->oi...", U, neurons.S, V)
    return torch.einsum("o...m,m,im->oi...", U, neurons.S, V)


def flat(vectors):
    return vectors.double().reshape(-1, vectors.shape[-1]).numpy()


def off_orthonormal(vectors):
    columns = flat(vectors)
    return np.abs(columns.T @ columns - np.eye(columns.shape[1])).max()


def scaled_rows(scales, shape=(24, 60), seed=0):
    """A Gaussian matrix whose rows are scaled, in shuffled order; and each row's scale."""
    random = np.random.default_rng(seed)
    of_row = random.permutation(np.resize(scales, shape[0]))
    return random.standard_normal(shape) * of_row[:, None], of_row


class TestShapes:
    def test_svr_of_a_convolution(self):
        weight = gaussian(6, 4, 3, 5, seed=0)
        neurons = decompose(weight)
        assert neurons.U.shape == (6, 6)
        assert neurons.V.shape == (4, 3, 5, 6)
        assert (neurons.S.dtype, neurons.clusters.dtype) == (torch.float64, torch.int64)
        assert (neurons.groups == 0).all()
        assert (neurons.rank, len(neurons)) == (6, 6)
        torch.testing.assert_close(rebuilt(neurons), weight.double(), rtol=0, atol=1e-6)

    def test_cosvr_of_a_convolution(self):
        weight = gaussian(3, 20, 2, 3, seed=0)
        neurons = decompose(weight, method="cosvr")
        assert neurons.U.shape == (3, 2, 3, 18)
        assert neurons.V.shape == (20, 18)
        torch.testing.assert_close(rebuilt(neurons, "cosvr"), weight.double(), rtol=0, atol=1e-6)

    def test_cosvr_is_the_svr_of_the_transposed_map(self):
        weight = gaussian(5, 4, 3, 3, seed=1).double()
        forward = decompose(weight, method="cosvr")
        backward = decompose(weight.transpose(0, 1).flip(2, 3))
        torch.testing.assert_close(forward.S, backward.S)
        products = torch.einsum("im,in->mn", forward.V, backward.U).abs()
        torch.testing.assert_close(products, torch.eye(4).double(), rtol=0, atol=1e-10)
        kernels = torch.einsum("okln,okln->n", forward.U, backward.V.flip(1, 2)).abs()
        torch.testing.assert_close(kernels, torch.ones(4).double())

    def test_the_weight_is_not_touched(self):
        weight = gaussian(4, 7)
        before = weight.clone()
        decompose(weight).U.zero_()
        assert torch.equal(weight, before)


class TestAccuracy:
    @pytest.mark.parametrize("shape", [(64, 576), (576, 64), (48, 48), (1, 9), (9, 1), (1, 1)])
    def test_float32_weights_through_the_gram_matrix(self, shape):
        weight = gaussian(*shape, seed=2)
        neurons = decompose(weight, exact_certificate=True)
        expected = np.linalg.svd(weight.double().numpy(), compute_uv=False)
        np.testing.assert_allclose(neurons.S, expected, rtol=1e-9)
        assert neurons.driver == "gram"
        assert neurons.U.dtype == neurons.V.dtype == torch.float32
        assert off_orthonormal(neurons.U) < 1e-6
        assert off_orthonormal(neurons.V) < 1e-6
        assert (rebuilt(neurons) - weight).norm() / weight.norm() < 1e-6

    def test_small_singular_values_of_float32_weights(self):
        random = np.random.default_rng(3)
        U, V = (np.linalg.qr(random.standard_normal((n, 64)))[0] for n in (64, 576))
        weight = ((U * np.geomspace(1, 1.1e-5, 64)) @ V.T).astype(np.float32)
        neurons = decompose(torch.from_numpy(weight))
        assert neurons.driver == "gram"
        expected = np.linalg.svd(weight.astype(float), compute_uv=False)
        np.testing.assert_allclose(neurons.S, expected, rtol=1e-6)
        assert off_orthonormal(neurons.V) < 2e-6

    @pytest.mark.parametrize("transposed", [False, True])
    @pytest.mark.parametrize("groups", [1, 2])
    def test_few_weak_neurons_of_float32_weights_are_refined(self, transposed, groups):
        """What the Gram matrix has lost of them comes back, to what float32 vectors can say."""
        random = np.random.default_rng(30)
        planted = np.concatenate([np.geomspace(1, 1.2e-4, 18), np.geomspace(9e-5, 3e-8, 6)])
        matrices = []
        for _ in range(groups):
            U, V = (np.linalg.qr(random.standard_normal((n, 24)))[0] for n in (24, 40))
            matrices.append(((U * planted) @ V.T).astype(np.float32))
        stacked = [matrix.T if transposed else matrix for matrix in matrices]
        neurons = decompose(torch.from_numpy(np.concatenate(stacked)), groups)
        assert neurons.driver == "gram"
        assert not neurons.null.any()
        for group, matrix in enumerate(stacked):
            mine = neurons.groups == group
            expected = true_singular_values(matrix)
            np.testing.assert_allclose(neurons.S[mine], expected, rtol=1e-7)
            U, _, Vh = np.linalg.svd(matrix.astype(float), full_matrices=False)
            found = neurons.U[:, mine], neurons.V[:, mine]
            for vectors, expected in zip(found, (U, Vh.T), strict=True):
                assert off_orthonormal(vectors) < 2e-6
                overlaps = np.abs(flat(vectors).T @ expected)
                np.testing.assert_allclose(overlaps, np.eye(24), atol=2e-6)

    def test_many_weak_neurons_are_not_refined(self):
        random = np.random.default_rng(31)
        U, V = (np.linalg.qr(random.standard_normal((n, 24)))[0] for n in (24, 40))
        matrix = ((U * np.geomspace(1, 1e-6, 24)) @ V.T).astype(np.float32)
        neurons = decompose(torch.from_numpy(matrix))
        assert neurons.driver == "lapack"
        np.testing.assert_allclose(neurons.S, true_singular_values(matrix), rtol=1e-9)

    @pytest.mark.parametrize("shape", [(12, 70), (72, 12), (6, 5, 3, 3)])
    @pytest.mark.parametrize("groups", [1, 3])
    def test_a_weight_read_in_parts(self, shape, groups, monkeypatch):
        weight = gaussian(*shape, seed=32)
        whole = decompose(weight, groups)
        monkeypatch.setattr(drivers, "PART", 64)
        parts = decompose(weight, groups)
        for name, accuracy in (("U", 1e-6), ("S", 1e-12), ("V", 1e-6)):
            torch.testing.assert_close(
                getattr(parts, name), getattr(whole, name), rtol=0, atol=accuracy * 10
            )
        errors = parts.certificate
        assert max(errors.residual, errors.orthogonality_u, errors.orthogonality_v) < 1e-6 * groups

    def test_float64_weights_stay_in_float64(self):
        weight = gaussian(20, 30).double()
        neurons = decompose(weight)
        assert neurons.driver == "lapack"
        assert neurons.U.dtype == neurons.V.dtype == torch.float64
        torch.testing.assert_close(rebuilt(neurons), weight)

    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
    @pytest.mark.parametrize("transposed", [False, True])
    @pytest.mark.parametrize("small", [(1e-9, 1e-14), (1e-20,), (1e-30,), (1e-6, 1e-12)])
    def test_rows_of_very_different_scale(self, small, transposed, dtype):
        matrix, of_row = scaled_rows((1.0, *small))
        weight = torch.from_numpy(matrix.T.copy() if transposed else matrix).to(dtype)
        neurons = decompose(weight)
        exact = weight.double().numpy()
        np.testing.assert_allclose(neurons.S, true_singular_values(exact, 110), rtol=1e-12)
        assert neurons.driver == "jacobi"
        assert not neurons.null.any()
        assert off_orthonormal(neurons.U) < 1e-14
        assert off_orthonormal(neurons.V) < 1e-14
        vectors = np.abs(flat(neurons.V if transposed else neurons.U))
        start = 0
        for scale in (1.0, *small):  # each block of |U| lives on its own rows (Fig 8)
            stop = start + np.count_nonzero(of_row == scale)
            weak = of_row < scale
            assert (vectors[of_row != scale, start:stop] < 1e-4).all()
            ratio = of_row[weak].max(initial=0) / scale
            assert vectors[weak, start:stop].max(initial=0) < 100 * ratio + 1e-15
            start = stop

    @pytest.mark.slow
    def test_the_layer_of_the_design(self):
        matrix, of_row = scaled_rows((1.0, 1e-9, 1e-14), (64, 576), seed=4)
        neurons = decompose(torch.from_numpy(matrix).float().reshape(64, 64, 3, 3))
        np.testing.assert_allclose(
            neurons.S, true_singular_values(matrix.astype(np.float32), 50), rtol=1e-6
        )
        blocks = np.abs(flat(neurons.U))
        channel = blocks.argmax(axis=0)
        assert (np.diff(of_row[channel]) <= 0).all()

    def test_columns_of_very_different_scale(self):
        random = np.random.default_rng(5)
        columns = random.permutation(np.where(np.arange(60) < 10, 1.0, 1e-12))
        matrix = random.standard_normal((24, 60)) * columns
        neurons = decompose(torch.from_numpy(matrix))
        np.testing.assert_allclose(neurons.S, true_singular_values(matrix), rtol=1e-12)

    @pytest.mark.parametrize("scale", [1e-40, 1e-30, 1e30, 1e37])
    def test_extreme_scales_in_float32(self, scale):
        weight = torch.from_numpy(np.random.default_rng(6).uniform(-1, 1, (8, 12)) * scale).float()
        neurons = decompose(weight)
        expected = np.linalg.svd(weight.double().numpy(), compute_uv=False)
        np.testing.assert_allclose(neurons.S, expected, rtol=1e-9)
        assert off_orthonormal(neurons.V) < 1e-6
        assert neurons.certificate.residual < 1e-6

    @pytest.mark.parametrize("scale", [1e-150, 1e150])
    def test_extreme_scales_in_float64(self, scale):
        matrix, _ = scaled_rows((1.0, 1e-12), (8, 12))
        neurons = decompose(torch.from_numpy(matrix * scale))
        np.testing.assert_allclose(neurons.S / scale, true_singular_values(matrix), rtol=1e-12)
        assert neurons.certificate.residual < 1e-14


class TestNullNeurons:
    def test_zero_map(self):
        neurons = decompose(torch.zeros(3, 4, 2))
        assert neurons.null.all()
        assert (neurons.S == 0).all()
        assert len(set(neurons.clusters.tolist())) == 1
        assert off_orthonormal(neurons.U) == off_orthonormal(neurons.V) == 0
        assert neurons.certificate.residual == 0

    def test_zero_rows_are_the_null_neurons(self):
        weight = gaussian(8, 20, seed=7)
        weight[[2, 5]] = 0
        neurons = decompose(weight)
        assert neurons.null.tolist() == [False] * 6 + [True] * 2
        assert torch.equal(neurons.U[:, 6:].argmax(0), torch.tensor([2, 5]))
        assert torch.equal(neurons.U[:, 6:].sum(0), torch.ones(2))
        assert off_orthonormal(neurons.V) < 1e-6
        assert neurons.driver == "gram"

    def test_zero_columns_leave_fewer_neurons_than_rows(self):
        weight = torch.zeros(6, 9, dtype=torch.float64)
        weight[:, 2:5] = gaussian(6, 3).double()
        neurons = decompose(weight)
        assert neurons.null.sum() == 3
        assert off_orthonormal(neurons.U) < 1e-14
        assert off_orthonormal(neurons.V) < 1e-14
        torch.testing.assert_close(rebuilt(neurons), weight)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_duplicate_rows(self, dtype):
        weight = gaussian(10, 30, seed=8).to(dtype)
        weight[[3, 4]] = weight[7].clone()
        neurons = decompose(weight)
        assert neurons.null.tolist() == [False] * 8 + [True] * 2
        assert neurons.clusters[-1] == neurons.clusters[-2] != neurons.clusters[-3]
        dependent = neurons.U[:, -2:].double()
        assert (weight.double().T @ dependent).abs().max() < 1e-12

    def test_a_duplicate_row_among_tiny_ones_is_told_apart(self):
        matrix, of_row = scaled_rows((1.0, 1e-30), (12, 40))
        first, second = np.flatnonzero(of_row == 1.0)[:2]
        matrix[first] = matrix[second]
        neurons = decompose(torch.from_numpy(matrix))
        assert neurons.null.tolist() == [False] * 11 + [True]
        assert neurons.S[-1] == 0
        kept = np.delete(matrix, first, axis=0)
        kept[second - (first < second)] *= np.sqrt(2)
        np.testing.assert_allclose(neurons.S[:-1], true_singular_values(kept, 110), rtol=1e-12)

    def test_rank_deficient_product(self):
        random = np.random.default_rng(9)
        matrix = random.standard_normal((20, 4)) @ random.standard_normal((4, 30))
        neurons = decompose(torch.from_numpy(matrix))
        assert neurons.null.sum() == 16


class TestClusters:
    def test_planted_multiplicities(self):
        random = np.random.default_rng(10)
        Q = np.linalg.qr(random.standard_normal((12, 12)))[0]
        matrix = (Q * np.repeat([3.0, 2.0, 1.0], [3, 4, 5])) @ np.linalg.qr(
            random.standard_normal((12, 12))
        )[0]
        for dtype in (torch.float32, torch.float64):
            neurons = decompose(torch.from_numpy(matrix).to(dtype))
            assert neurons.clusters.tolist() == [0] * 3 + [1] * 4 + [2] * 5

    def test_distinct_values_stand_alone(self):
        neurons = decompose(torch.diag(torch.linspace(1, 2, 9)))
        assert neurons.clusters.tolist() == list(range(9))

    def test_tiny_values_are_told_apart_relative_to_themselves(self):
        neurons = decompose(torch.diag(torch.tensor([1.0, 2e-12, 1e-12], dtype=torch.float64)))
        assert neurons.clusters.tolist() == [0, 1, 2]


class TestGroups:
    @pytest.mark.parametrize("method", ["svr", "cosvr"])
    @pytest.mark.parametrize(
        ("groups", "shape"), [(4, (8, 3, 3, 3)), (6, (6, 1, 3, 3)), (3, (12, 2)), (5, (10, 1, 3))]
    )
    def test_against_the_dense_block_diagonal(self, groups, shape, method):
        weight = gaussian(*shape, seed=11)
        out, width = shape[0] // groups, shape[1]
        dense = torch.zeros(shape[0], groups * width, *shape[2:])
        for g in range(groups):
            rows = slice(g * out, (g + 1) * out)
            dense[rows, g * width : (g + 1) * width] = weight[rows]
        neurons, whole = decompose(weight, groups, method), decompose(dense, method=method)
        torch.testing.assert_close(neurons.S, whole.S[: len(neurons)], rtol=1e-6, atol=1e-6)
        assert (whole.S[len(neurons) :] < 1e-6).all()
        assert (neurons.S[:-1] >= neurons.S[1:]).all()
        assert neurons.rank == len(neurons)
        again = torch.zeros_like(weight).double()
        for m, g in enumerate(neurons.groups.tolist()):
            u, v = neurons.U[..., m].double(), neurons.V[..., m].double()
            part = (
                torch.einsum("o,i...->oi...", u, v)
                if method == "svr"
                else torch.einsum("o...,i->oi...", u, v)
            )
            again[g * out : (g + 1) * out] += neurons.S[m] * part
        torch.testing.assert_close(again, weight.double(), rtol=0, atol=1e-6)
        assert neurons.groups.bincount(minlength=groups).unique().numel() == 1

    def test_one_difficult_group_does_not_spoil_the_others(self):
        weight = gaussian(6, 5, seed=12)
        weight[2] = weight[3]  # group 1 has rank one
        neurons = decompose(weight, groups=3)
        assert neurons.driver == "gram+lapack"
        assert neurons.groups[neurons.null].tolist() == [1]
        assert off_orthonormal(neurons.U[:, neurons.groups == 1]) < 1e-12

    def test_clusters_do_not_join_neurons_of_different_groups(self):
        neurons = decompose(torch.ones(4, 1, 3), groups=4)
        assert neurons.clusters.tolist() == [0, 1, 2, 3]


class TestConventions:
    def test_signs(self):
        for seed, method in ((0, "svr"), (1, "cosvr")):
            weight = gaussian(9, 5, 3, seed=seed)
            neurons = decompose(weight, method=method)
            U = flat(neurons.U)
            assert (np.take_along_axis(U, np.abs(U).argmax(0)[None], 0) > 0).all()
            torch.testing.assert_close(rebuilt(neurons, method), weight.double(), rtol=0, atol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_two_runs_agree_to_the_bit(self, dtype):
        weight = gaussian(96, 16, 3, 3, seed=13).to(dtype)
        first, second = decompose(weight), decompose(weight.clone())
        for name in ("U", "S", "V"):
            assert torch.equal(getattr(first, name), getattr(second, name))
        assert first.certificate == second.certificate

    def test_truncation_keeps_the_first_neurons_of_the_whole(self):
        weight = gaussian(12, 2, 3, 3, seed=14)
        for groups in (1, 2):
            whole, cut = decompose(weight, groups), decompose(weight, groups, rank=5)
            assert (len(cut), cut.rank) == (5, len(whole))
            assert torch.equal(cut.U, whole.U[:, :5])
            assert torch.equal(cut.V, whole.V[..., :5])
            assert torch.equal(cut.clusters, whole.clusters[:5])
            assert cut.energy == pytest.approx(float((whole.S**2).sum()))
            assert "5 of 12" in repr(cut)
            assert len(decompose(weight, groups, rank=99)) == 12

    def test_refusals(self):
        with pytest.raises(SVRError, match="one of 'svr', 'cosvr', got 'cosrv'; did you mean"):
            decompose(torch.eye(2), method="cosrv")
        with pytest.raises(SVRError, match="rank must be at least 1"):
            decompose(torch.eye(2), rank=0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.sampled_from([(), (1,), (3,), (2, 2)]),
    st.integers(0, 4),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from(["svr", "cosvr"]),
    st.integers(0, 2**32 - 1),
)
def test_any_map(out, width, kernel, flaws, dtype, method, seed):
    """Shapes, ranks, zero and duplicate rows: the factors rebuild the map and are orthonormal."""
    random = np.random.default_rng(seed)
    weight = random.standard_normal((out, width, *kernel))
    for _ in range(flaws):
        weight[random.integers(out)] = (
            random.choice([0.0, 1e-12, 1.0]) * weight[random.integers(out)]
        )
        weight[:, random.integers(width)] *= random.choice([0.0, 1e-15, 1.0])
    weight = torch.from_numpy(weight.astype(dtype))
    neurons = decompose(weight, method=method)
    z = int(np.prod(kernel))
    assert len(neurons) == (min(out, width * z) if method == "svr" else min(out * z, width))
    scale = max(float(weight.abs().max()), 1e-300)
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    assert off_orthonormal(neurons.U) < tolerance
    assert off_orthonormal(neurons.V) < tolerance
    gap = (rebuilt(neurons, method) - weight.double()).abs().max()
    assert float(gap) <= tolerance * scale * 10
    exact = weight.double().reshape(out, width, z)
    matrix = exact.flatten(1) if method == "svr" else exact.transpose(1, 2).flatten(0, 1)
    expected = np.linalg.svd(matrix.numpy(), compute_uv=False)
    atol = 1e-12 * max(expected[0], 1e-300)
    np.testing.assert_allclose(neurons.S, expected, rtol=1e-6, atol=atol)
