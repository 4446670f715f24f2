"""What runs on another device, run on the CPU: against LAPACK in float64, and by its refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from svr_widget import SVR
from svr_widget.engine.decompose import certificate, devices
from svr_widget.engine.decompose.devices import (
    factorise_on,
    factorise_product_on,
    known_device,
    unless_full,
)
from svr_widget.engine.errors import SVRError

CPU = torch.device("cpu")


def matrices(*shape: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 7, 12), (3, 12, 7), (2, 9, 9), (1, 1, 4)])
def test_factors_are_those_of_lapack(shape):
    stack = matrices(*shape)
    factors = factorise_on(stack, CPU)
    exact = np.linalg.svd(stack.astype(np.float64), compute_uv=False)
    np.testing.assert_allclose(factors.S, exact, rtol=1e-9)
    assert (np.abs(factors.S - exact) <= 4 * factors.error).all()
    again = (factors.U * factors.S[:, None]) @ factors.V.swapaxes(1, 2)
    np.testing.assert_allclose(again, stack, atol=2e-6)
    measured = certificate.certify(stack, factors, exact=True, seed=0)
    assert max(measured.orthogonality_u, measured.orthogonality_v) < 1e-6


@pytest.mark.parametrize(("rows", "inner", "columns"), [(12, 4, 9), (9, 4, 4), (4, 4, 4)])
def test_factors_of_a_product_are_those_of_the_product(rows, inner, columns):
    left, right = matrices(2, rows, inner), matrices(2, inner, columns, seed=1)
    factors = factorise_product_on(left, right, CPU)
    product = left.astype(np.float64) @ right.astype(np.float64)
    exact = np.linalg.svd(product, compute_uv=False)[:, :inner]
    np.testing.assert_allclose(factors.S, exact, rtol=1e-9)
    again = (factors.U * factors.S[:, None]) @ factors.V.swapaxes(1, 2)
    np.testing.assert_allclose(again, product, atol=1e-5)


@pytest.mark.parametrize(
    "stack",
    [
        matrices(1, 6, 8).astype(np.float64),
        np.zeros((1, 4, 5), np.float32),
        matrices(1, 6, 8) * np.array([1, 1, 1, 1, 1, 1e-7], np.float32)[:, None],
        np.zeros((1, 0, 5), np.float32),
    ],
    ids=["float64", "zero", "nearly rank-deficient", "empty"],
)
def test_what_it_does_not_suit_is_left_to_the_cpu(stack):
    assert factorise_on(stack, CPU) is None


def test_cores_that_are_not_square_are_left_to_the_cpu():
    assert factorise_product_on(matrices(1, 3, 5), matrices(1, 5, 9), CPU) is None


def test_a_full_device_leaves_it_to_the_cpu(monkeypatch):
    def full():
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert unless_full(full) is None
    assert unless_full(lambda: 3) == 3


def test_an_svr_by_it_is_the_svr(monkeypatch):
    """Every map and tile goes through the code for another device; the numbers stay."""
    model = torch.nn.Sequential(
        torch.nn.Conv2d(2, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 6, 1), torch.nn.ReLU(),
        torch.nn.Flatten(), torch.nn.Linear(6 * 9, 5),
    )  # fmt: skip
    example = torch.zeros(1, 2, 5, 5)
    plain = SVR(model, example)
    plain.compute()
    made = []

    def counted(stack, device):
        made.append(stack.shape)
        return factorise_on(stack, device)

    module = "svr_widget.engine.decompose.decomposition"
    monkeypatch.setattr(f"{module}.CPU", torch.device("meta"))  # so that the CPU is another one
    monkeypatch.setattr(f"{module}.factorise_on", counted)
    other = SVR(model, example, device="cpu")
    for level in (0.5, 0.05):
        counts = [each.significance().cut(p=level).counts for each in (plain, other)]
        assert counts[0] == counts[1]
    assert len(made) == 3


@pytest.mark.parametrize(
    ("device", "words"),
    [
        ("nonsense", "'nonsense' is no device of PyTorch's"),
        (3.5, "3.5 is no device"),
        ("meta", "holds no numbers"),
        ("cuda:99", "cannot be used here: .*leave device= out"),
    ],
)
def test_a_device_that_cannot_be_used_is_refused_by_name(device, words):
    with pytest.raises(SVRError, match=words):
        SVR([torch.eye(3)], device=device)


def test_a_device_without_float64_is_refused_by_name(monkeypatch):
    class Single:
        def double(self):
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype. It has none")

    monkeypatch.setattr(devices.torch, "ones", lambda *_, **__: Single())
    with pytest.raises(SVRError, match=r"'mps' has no float64.*MPS Tensor to float64 dtype;"):
        known_device("mps")


def test_the_cpu_is_the_default():
    assert known_device(None) == known_device("cpu") == CPU
