"""Answers to what the front end asks, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from svr_widget import SVR
from svr_widget.widget.codec import decode
from svr_widget.widget.requests import answer, max_pool


@pytest.fixture(scope="module")
def svr() -> SVR:
    torch.manual_seed(1)
    return SVR({"a": torch.randn(30, 20), "b": torch.randn(25, 30), "c": torch.randn(9, 25)})


def test_a_whole_matrix(svr: SVR) -> None:
    question = {"kind": "adjacency", "id": 7, "link": 0, "max": [100, 100]}
    reply, (buffer,) = answer(svr, question)
    assert reply == {"kind": "adjacency", "id": 7}
    meta, arrays = decode(buffer)
    dense = svr.adjacency(("a", "b")).dense().numpy()
    assert np.array_equal(arrays["adjacency"], dense)
    assert meta["shape"] == list(dense.shape)
    assert meta["max"] == pytest.approx(dense.max())
    found = svr.internal_dimensions(("a", "b"))
    assert (meta["internal"]["d_out"], meta["internal"]["d_in"]) == (found.d_out, found.d_in)


def test_a_part_of_a_matrix(svr: SVR) -> None:
    question = {"kind": "adjacency", "id": 1, "link": 1, "rows": [2, 7], "cols": [3, 23]}
    _, (buffer,) = answer(svr, {**question, "max": [5, 4]})
    dense = svr.adjacency(("b", "c")).dense().numpy()[2:7, 3:23]
    assert np.array_equal(decode(buffer)[1]["adjacency"], dense.reshape(5, 4, 5).max(axis=2))


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_max_pool_by_brute_force(entries: int, cells: int, seed: int) -> None:
    matrix = np.random.default_rng(seed).random((entries, 3))
    pooled = max_pool(matrix, (cells, 3))
    count = min(entries, cells)
    assert pooled.shape == (count, 3)
    # Entry e belongs to cell floor(e * cells / entries), as in js/src/adjacency.ts.
    cell = [e * count // entries for e in range(entries)]
    for c in range(count):
        mine = [e for e in range(entries) if cell[e] == c]
        assert np.array_equal(pooled[c], matrix[mine].max(axis=0))


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"kind": "tea", "id": 3}, "'tea'"),
        ({"kind": "adjacency", "id": 3, "link": 99, "max": [9, 9]}, "IndexError"),
        ({"kind": "adjacency", "id": 3, "link": 0, "rows": [0, 999], "max": [9, 9]}, "999"),
        ({"kind": "adjacency", "id": 3}, "KeyError"),
    ],
)
def test_what_cannot_be_answered_is_said(
    svr: SVR, question: dict[str, object], message: str
) -> None:
    reply, buffers = answer(svr, question)
    assert (reply["kind"], reply["id"], buffers) == ("error", 3, [])
    assert message in reply["message"]
