"""Norms of a widget that is shown already: folded or left out, or refused with the reason."""

from __future__ import annotations

import copy
from concurrent.futures import CancelledError
from typing import Any

import pytest
import torch
from torch import nn

from svr_widget import SVR, SVRWidget
from svr_widget.engine.errors import SVRError
from tests.widget.gate import Gate
from tests.widget.scenes import scene_of

EXAMPLE = torch.zeros(2, 2, 9, 9)


def network(norm: nn.Module) -> nn.Sequential:
    torch.manual_seed(4)
    model = nn.Sequential(
        *(nn.Conv2d(2, 10, 3), norm, nn.ReLU(), nn.Conv2d(10, 12, 3)),
        *(nn.MaxPool2d(2), nn.Conv2d(12, 4, 1)),
    )
    with torch.no_grad():
        norm.weight.uniform_(0.1, 3)
        for _ in range(3):
            model(torch.randn(8, 2, 9, 9))
    return model.eval()


@pytest.fixture
def model() -> nn.Sequential:
    return network(nn.BatchNorm2d(10))


def drawn(widget: SVRWidget) -> dict[str, Any]:
    return scene_of(widget._scene)[0]


def test_norms_are_folded_and_left_out_again(model: nn.Sequential) -> None:
    widget = SVRWidget(model, EXAMPLE, p=0.2)
    before = widget.edges()
    assert drawn(widget)["norm"] == "ignore"
    assert drawn(widget)["links"][0]["through"] == ["batch_norm (1), ignored", "relu"]
    assert drawn(widget)["links"][1]["through"] == ["max_pool2d"]
    widget.set_state({"norm": "fold"})  # as the page does
    folded = SVR(model, EXAMPLE, norm="fold")
    assert widget.norm == widget.svr.norm == drawn(widget)["norm"] == "fold"
    assert widget.edges().equals(folded.edges(p=0.2))
    assert widget.neurons().equals(folded.neurons())
    assert not widget.edges().equals(before)
    assert drawn(widget)["links"][0]["through"] == ["batch_norm (1), folded", "relu"]
    widget.method = "cosvr"
    assert widget.edges().equals(SVR(model, EXAMPLE, norm="fold", method="cosvr").edges(p=0.2))
    widget.norm = "ignore"
    assert (widget.svr.norm, widget.svr.method) == ("ignore", "cosvr")
    widget.method = "svr"
    assert widget.edges().equals(before)


def test_weights_and_norms_are_those_of_when_it_was_traced(model: nn.Sequential) -> None:
    widget = SVRWidget(model, EXAMPLE)
    folded = SVR(copy.deepcopy(model), EXAMPLE, norm="fold").neurons()
    with torch.no_grad():
        for entry in [*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]:
            entry.mul_(torch.rand_like(entry) + 1)
    widget.norm = "fold"
    assert widget.neurons().equals(folded)


def test_norms_of_the_constructor(model: nn.Sequential) -> None:
    assert SVRWidget(model, EXAMPLE, norm="fold").svr.norm == "fold"
    svr = SVR(model, EXAMPLE, norm="fold")
    assert SVRWidget(svr).norm == "fold"
    assert SVRWidget(svr, norm="ignore").svr.neurons().equals(SVR(model, EXAMPLE).neurons())
    assert svr.norm == "fold"


def test_norms_that_cannot_be_folded_are_said_and_left() -> None:
    widget = SVRWidget(network(nn.GroupNorm(2, 10)), EXAMPLE)
    edges = widget.edges()
    assert drawn(widget)["norm"] == "ignore"
    with pytest.raises(SVRError, match="group_norm"):
        widget.norm = "fold"
    assert (widget.norm, widget.svr.norm) == ("ignore", "ignore")
    assert "group_norm (1)" in widget._notice
    assert widget._status == {"state": "ready"}
    assert widget.edges().equals(edges)
    widget.method = "cosvr"
    assert widget.svr.method == "cosvr"


def test_without_norms_there_is_no_choice() -> None:
    plain = SVRWidget(nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3)))
    assert drawn(plain)["norm"] is None
    plain.norm = "fold"  # which is the same
    assert plain.neurons().equals(plain.svr.by_norm("ignore").neurons())
    weights = SVRWidget([torch.randn(4, 5), torch.randn(3, 4)])
    assert drawn(weights)["norm"] is None
    with pytest.raises(SVRError, match=r"read off an nn\.Module"):
        weights.norm = "fold"
    assert weights.norm == "ignore"


def test_cancel_goes_back_to_what_is_shown(
    model: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = SVRWidget(model, EXAMPLE)
    gate = Gate(monkeypatch)
    widget.set_state({"norm": "fold", "method": "cross"})
    widget.cancel()
    gate.opened.set()
    with pytest.raises(CancelledError):
        widget.wait(60)
    assert (widget.method, widget.norm) == ("svr", "ignore")
    assert (widget.svr.method, widget.svr.norm) == ("svr", "ignore")
    assert (widget._status, widget._notice) == ({"state": "ready"}, "")
