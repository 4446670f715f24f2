"""Filters for the pane that shows them, against the formulas channel by channel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget import SVR
from svr_widget.widget.wire.codec import decode
from tests.widget.answers.asking import answer


@pytest.fixture(scope="module")
def svr() -> SVR:
    torch.manual_seed(3)
    first = nn.Conv2d(6, 8, 3, groups=2)
    return SVR(nn.Sequential(first, nn.ReLU(), nn.Conv2d(8, 5, (2, 3)), nn.ReLU()))


def asked(svr: SVR, question: dict[str, Any]) -> tuple[Any, dict[str, np.ndarray]]:
    reply, buffers = answer(svr, question)
    assert reply["kind"] == question["kind"], reply
    return decode(buffers[0])


def test_effective_filters(svr: SVR) -> None:
    rows, columns = [3, 0], [7, 1, 4]
    question = {"kind": "filters", "link": 0, "rows": rows, "columns": columns}
    meta, arrays = asked(svr, question)
    assert meta == {"rows": rows, "columns": columns, "kernel": [2, 3]}
    U, V = svr["0"].U.double().numpy(), svr["2"].V.double().numpy()
    for i, n in enumerate(rows):
        for j, m in enumerate(columns):
            first = 4 * int(svr["0"].groups[m])
            expected = sum(U[k, m] * V[first + k, :, :, n] for k in range(4))
            assert np.allclose(arrays["filters"][i, j], expected, atol=1e-6)
            weight = float(svr.adjacency(("0", "2")).dense()[n, m])
            assert np.square(arrays["filters"][i, j]).sum() == pytest.approx(weight, abs=1e-6)


def test_what_a_neuron_reads_strongest_first(svr: SVR) -> None:
    meta, arrays = asked(svr, {"kind": "vectors", "column": 1, "k": 2, "most": 3})
    V = svr["2"].V[..., 2].double().numpy()
    norms = [float(np.sqrt(np.square(V[c]).sum())) for c in range(8)]
    order = sorted(range(8), key=lambda c: -norms[c])[:3]
    assert arrays["V_channels"].tolist() == order
    assert np.allclose(arrays["V"], V[order], atol=1e-6)
    assert meta["V"] == {"kernel": [2, 3], "total": 8}
    assert meta["U"] == {"kernel": [], "total": 5}
    assert arrays["U"].shape == (3,)


def test_channels_of_a_group_have_their_own_numbers(svr: SVR) -> None:
    neurons = svr["0"]
    k = int(torch.nonzero(neurons.groups == 1)[0])
    meta, arrays = asked(svr, {"kind": "vectors", "column": 0, "k": k, "most": 99})
    assert sorted(arrays["V_channels"].tolist()) == [3, 4, 5]
    assert sorted(arrays["U_channels"].tolist()) == [4, 5, 6, 7]
    assert (meta["V"]["total"], meta["U"]["total"]) == (6, 8)
    by_channel = dict(zip(arrays["U_channels"].tolist(), arrays["U"].tolist(), strict=True))
    for channel, value in by_channel.items():
        assert value == pytest.approx(float(neurons.U[channel - 4, k]), abs=1e-7)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"kind": "filters", "link": 7, "rows": [], "columns": []}, "no link 7"),
        ({"kind": "filters", "link": 0, "rows": [5], "columns": [0]}, "no neuron 5, only 5"),
        ({"kind": "filters", "link": 0, "rows": [0], "columns": [-1]}, "no neuron -1"),
        ({"kind": "vectors", "column": 2, "k": 0, "most": 1}, "no map 2, only 2"),
        ({"kind": "vectors", "column": 1, "k": 5, "most": 1}, "no neuron 5"),
    ],
)
def test_what_is_not_there(svr: SVR, question: dict[str, Any], message: str) -> None:
    reply, buffers = answer(svr, question)
    assert (reply["kind"], buffers) == ("error", [])
    assert message in reply["message"]
