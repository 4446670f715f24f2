"""The SVD of a product of two matrices, against that of the matrix that they make."""

from functools import partial

import numpy as np
import pytest
import torch
from scipy import stats

from svr_widget.engine.decompose import decompose_product
from svr_widget.engine.errors import SVRError
from tests.engine.support.gaussian import gaussian
from tests.engine.support.singular_values import true_singular_values

doubles = partial(gaussian, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(40, 6, 30), (30, 6, 40), (5, 9, 7), (7, 9, 5), (4, 1, 3)])
def test_the_neurons_of_the_formed_matrix(shape, dtype):
    left, right = doubles(*shape[:2]).to(dtype), doubles(*shape[1:], seed=1).to(dtype)
    found = decompose_product(left, right, exact_certificate=True)
    U, S, Vh = np.linalg.svd(left.double().numpy() @ right.double().numpy())
    count = min(shape)
    assert (len(found), found.rank) == (count, count)
    np.testing.assert_allclose(found.S.numpy(), S[:count], rtol=1e-12)
    assert found.U.dtype == found.V.dtype == dtype
    accuracy = 1e-5 if dtype == torch.float32 else 1e-12
    np.testing.assert_allclose(
        np.abs(found.U.T.numpy() @ U[:, :count]), np.eye(count), atol=accuracy
    )
    np.testing.assert_allclose(np.abs(Vh[:count] @ found.V.numpy()), np.eye(count), atol=accuracy)
    signs = found.U.abs().argmax(0)
    assert (found.U[signs, torch.arange(count)] > 0).all()
    certificate = found.certificate
    errors = certificate.residual, certificate.orthogonality_u, certificate.orthogonality_v
    assert max(errors) < accuracy
    assert certificate.driver == "thin"


@pytest.mark.parametrize("weakest", [0.1, 1e-3, 1e-5, 1e-8])
@pytest.mark.parametrize("size", [1.0, 1e-25, 1e15])
def test_float32_factors_of_any_condition(weakest, size):
    """Each value is right relative to itself, or to the rounding of the product of its factors."""
    scales = torch.logspace(0, np.log10(weakest), 6, dtype=torch.float64)
    basis = torch.from_numpy(stats.ortho_group.rvs(6, random_state=0))
    left = (doubles(20, 6) * scales @ basis * size).float()
    right = (basis.T @ doubles(6, 15, seed=1)).float()
    found = decompose_product(left, right, exact_certificate=True)
    exact = left.double().numpy() @ right.double().numpy()
    expected = true_singular_values(exact, 40)[:6]
    np.testing.assert_allclose(found.S, expected, rtol=1e-8, atol=1e-15 * expected[0])
    U, _, Vh = np.linalg.svd(exact)
    for vectors, true in ((found.U, U[:, :6]), (found.V, Vh[:6].T)):
        np.testing.assert_allclose(np.abs(vectors.double().numpy().T @ true), np.eye(6), atol=1e-6)
    errors = found.certificate
    assert max(errors.residual, errors.orthogonality_u, errors.orthogonality_v) < 2e-6


def test_its_certificate_measures_the_product():
    left, right = doubles(30, 4), doubles(4, 20, seed=1)
    exact = decompose_product(left, right, exact_certificate=True)
    probed = decompose_product(left, right)
    wrong = decompose_product(left, right * torch.linspace(1, 2, 20))
    assert exact.certificate.residual < 1e-14
    assert probed.certificate.residual < 1e-14
    assert not torch.allclose(wrong.S, exact.S)


def test_dependent_and_zero_factors_have_null_neurons():
    left, right = doubles(12, 4).float(), doubles(4, 9, seed=1).float()
    left[:, 3] = 0
    found = decompose_product(left, right)
    assert found.null.tolist() == [False, False, False, True]
    assert found.S[3] < 1e-14
    torch.testing.assert_close(found.V.T @ found.V, torch.eye(4, dtype=found.V.dtype))
    zero = decompose_product(left * 0, right)
    assert (zero.S == 0).all()
    assert zero.null.all()


def test_a_product_smaller_than_the_rounding_of_its_factors_is_null():
    """Two matrices whose spaces do not meet: what is left of the product is rounding."""
    basis = torch.from_numpy(stats.ortho_group.rvs(8, random_state=0))
    found = decompose_product(doubles(9, 3) @ basis[:3], basis[3:6].T @ doubles(3, 7, seed=1))
    assert found.null.all()
    assert found.S[0] < 1e-13


def test_both_flattenings_truncation_and_options():
    left, right = doubles(12, 5), doubles(5, 9, seed=1)
    whole, dual = decompose_product(left, right), decompose_product(left, right, "cosvr")
    assert torch.equal(whole.U, dual.U)
    assert torch.equal(whole.V, dual.V)
    first = decompose_product(left, right, rank=2)
    assert (len(first), first.rank, first.energy) == (2, 5, whole.energy)
    with pytest.raises(SVRError, match="rank must be at least 1"):
        decompose_product(left, right, rank=0)
