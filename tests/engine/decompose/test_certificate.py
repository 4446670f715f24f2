"""What a decomposition says of its own accuracy, and that equal weights give equal neurons."""

import numpy as np
import pytest
import torch

from svr_widget.engine.decompose import decompose, drivers
from svr_widget.engine.decompose.certificate import certify
from svr_widget.engine.errors import SVRError
from tests.engine.support.gaussian import gaussian


def flat(vectors):
    return vectors.double().reshape(-1, vectors.shape[-1]).numpy()


def scaled_rows(scales, shape=(24, 60), seed=0):
    """A Gaussian matrix whose rows are scaled, in shuffled order; and each row's scale."""
    random = np.random.default_rng(seed)
    of_row = random.permutation(np.resize(scales, shape[0]))
    return random.standard_normal(shape) * of_row[:, None], of_row


class TestSameMatrix:
    @pytest.mark.parametrize("kernel", [(), (1,), (1, 1)])
    def test_both_flattenings_of_one_position(self, kernel):
        weight = gaussian(5, 7, *kernel, seed=17)
        ours, other = decompose(weight), decompose(weight, method="cosvr")
        for made, expected in (
            (ours.flattened_as("cosvr"), other),
            (other.flattened_as("svr"), ours),
        ):
            assert made.method == expected.method
            assert made.U.shape == expected.U.shape
            assert made.V.shape == expected.V.shape
            torch.testing.assert_close(made.U, expected.U)
            torch.testing.assert_close(made.V, expected.V)

    def test_a_kernel_is_flattened_differently(self):
        with pytest.raises(SVRError, match=r"'cosvr' flattens a kernel \(3, 1\) in another way"):
            decompose(gaussian(5, 7, 3, 1)).flattened_as("cosvr")

    def test_the_transposed_map(self):
        weight = gaussian(5, 7, seed=18)
        made, expected = decompose(weight).transposed(), decompose(weight.T)
        torch.testing.assert_close(made.U, expected.U)
        torch.testing.assert_close(made.V, expected.V)
        errors = decompose(weight).certificate
        assert made.certificate.orthogonality_u == errors.orthogonality_v


class TestCertificate:
    def test_exact_norms_are_the_norms(self):
        weight = gaussian(20, 50, seed=15)
        neurons = decompose(weight, exact_certificate=True)
        U, V = flat(neurons.U), flat(neurons.V)
        exact = neurons.certificate
        residual = np.linalg.norm(weight.double().numpy() - (U * neurons.S.numpy()) @ V.T)
        assert exact.residual == pytest.approx(residual / float(weight.norm()), rel=1e-3)
        assert exact.orthogonality_u == pytest.approx(np.linalg.norm(U.T @ U - np.eye(20)))
        assert exact.orthogonality_v == pytest.approx(np.linalg.norm(V.T @ V - np.eye(20)))
        assert exact.probes is None

    @pytest.mark.parametrize("part", [drivers.PART, 64])
    @pytest.mark.parametrize("groups", [1, 5])
    def test_probes_measure_a_planted_error(self, groups, part, monkeypatch):
        monkeypatch.setattr(drivers, "PART", part)
        random = np.random.default_rng(16)
        stack = random.standard_normal((groups, 30, 60))
        factors = drivers.factorise(stack)
        factors.U[:] += 1e-3 * random.standard_normal(factors.U.shape)
        factors.V[:] += 1e-4 * random.standard_normal(factors.V.shape)
        exact, probed = certify(stack, factors, exact=True), certify(stack, factors)
        assert probed.probes == 8
        for name in ("residual", "orthogonality_u", "orthogonality_v"):
            assert getattr(probed, name) == pytest.approx(getattr(exact, name), rel=0.3)
        assert exact.orthogonality_u > 5 * exact.orthogonality_v > 1e-3

    def test_every_driver_is_certified(self):
        matrix, _ = scaled_rows((1.0, 1e-20), (10, 20))
        accuracy = {"gram": 1e-5, "lapack": 1e-13, "jacobi": 1e-13}
        weights = gaussian(10, 20), gaussian(10, 20).double(), torch.from_numpy(matrix)
        for weight, (driver, bound) in zip(weights, accuracy.items(), strict=True):
            certificate = decompose(weight).certificate
            assert certificate.driver == driver
            assert certificate.residual < bound
            assert certificate.orthogonality_u < bound
            assert certificate.orthogonality_v < bound
