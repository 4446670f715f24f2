"""Tiles of a link's matrices, against the formulas entry by entry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from svr_widget import SVR
from svr_widget.widget.answers import matrices
from svr_widget.widget.answers.matrices import describe_matrix, internal_dimensions, max_pool, tile
from svr_widget.widget.wire.codec import decode


@pytest.fixture(scope="module")
def convolutions() -> SVR:
    """Two convolutions, the first of two groups, the second with the more neurons by co-SVR."""
    torch.manual_seed(3)
    return SVR(nn.Sequential(nn.Conv2d(6, 8, 3, groups=2), nn.ReLU(), nn.Conv2d(8, 5, 3)))


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "TILE", 2)


def asked(svr: SVR, which: str, **more: Any) -> dict[str, Any]:
    """The arrays of one tile."""
    question = {"link": 0, "matrix": which, "law": "exact", **more}
    return dict(decode(tile(svr, question))[1])


def whole(svr: SVR, which: str, name: str = "values") -> np.ndarray:
    """The matrix put together from its tiles of single entries."""
    shape = decode(describe_matrix(svr, {"link": 0, "matrix": which}))[0]["shape"]
    places = [range(-(-n // 2)) for n in shape]
    rows = [
        np.hstack([asked(svr, which, tile=[r, c], steps=[1, 1])[name] for c in places[1]])
        for r in places[0]
    ]
    return np.vstack(rows)


def first_weights(svr: SVR) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(m.weight.double() for m in svr.maps.values())  # type: ignore[return-value]


def test_the_adjacency(convolutions: SVR) -> None:
    (_, second), consumer = first_weights(convolutions), convolutions["2"]
    producer = convolutions["0"]
    V = consumer.V.double()
    assert torch.allclose(second.flatten(1) @ V.flatten(0, 2), consumer.U.double() * consumer.S)
    expected = np.zeros((5, 8))
    for n in range(5):
        for m in range(8):
            first = 4 * int(producer.groups[m])  # four channels a group
            for z in range(9):
                at = sum(
                    float(producer.U[k, m]) * float(V[first + k].flatten(0, 1)[z, n])
                    for k in range(4)
                )
                expected[n, m] += at * at
    assert np.allclose(whole(convolutions, "adjacency"), expected, atol=1e-6)


def test_the_cross_matrix(convolutions: SVR) -> None:
    first, second = first_weights(convolutions)
    by_channel = second.movedim(1, -1).reshape(-1, 8)
    _, S, Vt = torch.linalg.svd(by_channel, full_matrices=False)
    U = torch.zeros(8, 8, dtype=torch.float64)
    sizes = []
    for g in range(2):
        u, s, _ = torch.linalg.svd(first[4 * g : 4 * g + 4].flatten(1), full_matrices=False)
        U[4 * g : 4 * g + 4, 4 * g : 4 * g + 4] = u
        sizes.append(s)
    order = torch.argsort(-torch.cat(sizes))
    expected = (Vt @ U[:, order]).abs().numpy()
    assert np.allclose(whole(convolutions, "cross"), expected, atol=1e-5)
    meta, arrays = decode(describe_matrix(convolutions, {"link": 0, "matrix": "cross"}))
    assert (meta["rows_shown"], meta["columns_shown"]) == (False, True)
    assert np.allclose(arrays["rows"], S)
    assert np.allclose(arrays["columns"], torch.cat(sizes)[order])
    assert meta["max"] == pytest.approx(expected.max(), rel=1e-5)


def test_the_output_representations(convolutions: SVR) -> None:
    first, _ = first_weights(convolutions)
    producer = convolutions["0"]
    expected = np.zeros((8, 8))
    for k in range(8):
        g = int(producer.groups[k])
        u, s, _ = torch.linalg.svd(first[4 * g : 4 * g + 4].flatten(1))
        mine = int(torch.argmin((s - producer.S[k]).abs()))
        expected[4 * g : 4 * g + 4, k] = u[:, mine].abs()
    assert np.allclose(whole(convolutions, "output"), expected, atol=1e-5)
    meta, arrays = decode(describe_matrix(convolutions, {"link": 0, "matrix": "output"}))
    assert meta["shape"] == [8, 8]
    assert "rows" not in arrays
    assert meta["max"] == pytest.approx(expected.max(), rel=1e-5)


def test_output_representations_with_a_kernel(convolutions: SVR) -> None:
    svr = convolutions.by_method("cosvr")
    U, groups = svr["0"].U, svr["0"].groups
    shown = whole(svr, "output")
    for k, g in enumerate(groups.tolist()):
        for channel in range(8):
            inside = 4 * g <= channel < 4 * g + 4
            norm = float(U[channel - 4 * g, ..., k].double().square().sum()) ** 0.5 if inside else 0
            assert shown[channel, k] == pytest.approx(norm, abs=1e-6)


def test_p_values(convolutions: SVR) -> None:
    adjacency = convolutions.adjacency(("0", "2"))
    weights = whole(convolutions, "adjacency")
    found = whole(convolutions, "adjacency", "log10_p")
    for n in range(5):
        for m in range(8):
            if adjacency.parts()[n, m] < 0:
                assert found[n, m] == 0
            else:
                law = adjacency.laws[adjacency.parts()[n, m]]
                assert found[n, m] == pytest.approx(float(law.log10_p(weights[n, m])), rel=1e-4)


def test_a_cell_has_the_largest_entry_and_the_smallest_p(convolutions: SVR) -> None:
    weights = whole(convolutions, "adjacency")
    log10_p = whole(convolutions, "adjacency", "log10_p")
    pooled = asked(convolutions, "adjacency", tile=[0, 1], steps=[2, 3])
    assert pooled["values"].shape == (2, 1)
    for cell, rows in enumerate((slice(0, 2), slice(2, 4))):
        assert pooled["values"][cell, 0] == weights[rows, 6:8].max()
        assert pooled["log10_p"][cell, 0] == pytest.approx(log10_p[rows, 6:8].min())


def test_internal_dimensions(convolutions: SVR) -> None:
    meta, _ = decode(internal_dimensions(convolutions, {"link": 0, "matrix": "adjacency"}))
    weights = whole(convolutions, "adjacency").astype(np.float64)
    mean = 4 / (4 * 8)  # s / (p q)
    best = max(
        (weights[: i + 1, : j + 1].sum() - (i + 1) * (j + 1) * mean, i + 1, j + 1)
        for i in range(5)
        for j in range(8)
    )
    assert (meta["d_out"], meta["d_in"]) == best[1:]
    assert meta["deviation"] == pytest.approx(best[0], rel=1e-5)


@given(st.integers(1, 60), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_max_pool_by_brute_force(entries: int, step: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).random((entries, 3))
    pooled = max_pool(matrix, (step, 2))
    assert pooled.shape == (-(-entries // step), 2)
    for row in range(len(pooled)):
        mine = [e for e in range(entries) if e // step == row]
        assert pooled[row, 0] == matrix[mine, :2].max()
        assert pooled[row, 1] == matrix[mine, 2].max()
