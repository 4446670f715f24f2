"""The method of a widget that is shown already: computed anew, or kept where that fails."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import Any

import pytest
import torch
from torch import nn

from svr_widget import SVR, SVRWidget
from svr_widget.engine.errors import SVRError
from tests.widget.gate import Gate
from tests.widget.scenes import scene_of

EXAMPLE = torch.zeros(1, 2, 9, 9)


@pytest.fixture
def model() -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(
        *(nn.Conv2d(2, 10, 3), nn.ReLU(), nn.Conv2d(10, 12, 3)),
        *(nn.ReLU(), nn.Conv2d(12, 4, 3)),
    )


def drawn(widget: SVRWidget) -> dict[str, Any]:
    return scene_of(widget._scene)[0]


@pytest.mark.parametrize("method", ["svr", "cosvr", "cross"])
def test_each_method_shows_its_own_graph(model: nn.Sequential, method: str) -> None:
    widget = SVRWidget(model, EXAMPLE, method="cosvr" if method == "svr" else "svr", p=0.2)
    widget.set_state({"method": method})  # as the page does
    alone = SVR(model, EXAMPLE, method=method)
    assert widget.svr.method == method
    assert widget.edges().equals(alone.edges(p=0.2))
    assert widget.neurons().equals(alone.neurons())
    assert widget._status == {"state": "ready"}
    meta = drawn(widget)
    assert meta["method"] == method
    assert [map_["name"] for map_ in meta["maps"]] == list(alone.columns)
    ends = [(link["producer"], link["consumer"]) for link in meta["links"]]
    names = list(alone.columns)
    assert [(names[m], names[n]) for m, n in ends] == [alone.ends(key) for key in alone.links]


def test_methods_of_the_constructor(model: nn.Sequential) -> None:
    assert SVRWidget(model, EXAMPLE, method="cross").svr.method == "cross"
    svr = SVR(model, EXAMPLE, method="cosvr")
    assert SVRWidget(svr).method == "cosvr"
    assert SVRWidget(svr, method="svr").method == "svr"
    assert svr.method == "cosvr"


def test_what_is_selected_stays_as_far_as_it_exists(model: nn.Sequential) -> None:
    # 10 x 2 x 9 has 10 neurons by the SVR, 2 by the co-SVR.
    widget = SVRWidget(model, EXAMPLE, selected=[("0", 1), ("0", 9), ("2", 3)])
    widget.method = "cosvr"
    assert widget.selected == [("0", 1), ("2", 3)]
    widget.method = "cross"
    widget.selected = [("2~", 9)]
    with pytest.raises(Exception, match="did you mean '2~'"):
        widget.selected = [("2~~", 0)]
    widget.method = "svr"
    assert widget.selected == []


def test_the_old_picture_stays_until_the_new_one_is_there(
    model: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = SVRWidget(model, EXAMPLE)
    gate = Gate(monkeypatch)
    widget.method = "cosvr"
    assert gate.reached.wait(60)
    assert widget._status["state"] == "computing"
    assert widget.svr.method == drawn(widget)["method"] == "svr"
    gate.opened.set()
    widget.wait(60)
    assert widget.svr.method == drawn(widget)["method"] == "cosvr"
    assert widget._status == {"state": "ready"}


def test_the_last_choice_counts(model: nn.Sequential, monkeypatch: pytest.MonkeyPatch) -> None:
    widget = SVRWidget(model, EXAMPLE)
    gate = Gate(monkeypatch)
    for method in ("cosvr", "cross", "svr", "cross"):
        widget.method = method
    gate.opened.set()
    widget.wait(60)
    assert widget.method == widget.svr.method == drawn(widget)["method"] == "cross"


def test_cancel_goes_back_to_what_is_shown(
    model: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = SVRWidget(model, EXAMPLE)
    gate = Gate(monkeypatch)
    widget.method = "cross"
    widget.cancel()
    gate.opened.set()
    with pytest.raises(CancelledError):
        widget.wait(60)
    assert widget.method == widget.svr.method == "svr"
    assert (widget._status, widget._notice) == ({"state": "ready"}, "")
    widget.method = "cosvr"
    widget.wait(60)
    assert widget.svr.method == "cosvr"


def test_a_method_that_the_network_does_not_allow_is_said_and_left(
    model: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = SVRWidget(model, EXAMPLE)
    edges = widget.edges()

    def refuse(svr: SVR, progress: object = None) -> None:
        raise SVRError("link '2' -> '4' has no one kernel")

    with monkeypatch.context() as patched:
        patched.setattr(SVR, "compute", refuse)
        with pytest.raises(SVRError, match="no one kernel"):
            widget.method = "cosvr"
    assert widget.method == "svr"
    assert "no one kernel" in widget._notice
    assert widget._status == {"state": "ready"}
    assert widget.edges().equals(edges)


def test_closing_ends_a_change_of_method(
    model: nn.Sequential, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = SVRWidget(model, EXAMPLE)
    gate = Gate(monkeypatch)
    widget.method = "cosvr"
    widget.close()
    gate.opened.set()
    with pytest.raises(CancelledError):
        widget.wait(60)
