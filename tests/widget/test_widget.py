"""The traits of the widget, without a browser: settings, refusals, threads, memory."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import CancelledError
from itertools import pairwise
from typing import Any

import pytest
import torch
import traitlets
from torch import nn

from svr_widget import SVR, SVRWidget
from svr_widget.engine.errors import NoMapsError, SVRError, ThresholdError
from svr_widget.engine.maps.links import Link
from tests.engine.support.zoo import attention
from tests.widget.gate import Gate
from tests.widget.scenes import scene_of


def chain(*widths: int) -> nn.Sequential:
    """A chain of linear maps with ReLU between them and weights of their own."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for width_in, width_out in pairwise(widths):
        layers += [nn.Linear(width_in, width_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@pytest.fixture(scope="module")
def svr() -> SVR:
    return SVR(chain(24, 20, 16, 8))


def test_a_mode_that_changes_keeps_the_cut() -> None:
    weight = torch.randn(30, 20, generator=torch.Generator().manual_seed(0))
    blurred = weight.T + 2 * torch.randn(20, 30, generator=torch.Generator().manual_seed(1))
    widget = SVRWidget([weight, blurred], p=1e-3)
    count = len(widget.edges())
    assert count > 0
    for mode in ("sigma", "bonferroni", "p"):
        widget.threshold_mode = mode
        assert len(widget.edges()) == count
    assert widget.threshold == pytest.approx(1e-3)


def test_the_sides_of_an_attention_head_are_links_of_their_own() -> None:
    widget = SVRWidget(attention.ViT(), torch.zeros(1, 3, 8, 8), exclude="positions")
    widget.selected_link = ["patches", "blocks.0.attention[QK.1].k"]
    widget.selected = [("blocks.0.attention[QK.1]", 3)]
    with pytest.raises(traitlets.TraitError, match="has neurons 0 to 3, not 4"):
        widget.selected = [("blocks.0.attention[QK.1]", 4)]


def test_each_of_parallel_links_can_be_selected() -> None:
    some = torch.tensor([0, 2]), torch.tensor([1, 0])
    links = [Link("0", "1", *some), Link("0", "1", some[1], some[0])]
    widget = SVRWidget([torch.randn(3, 4), torch.randn(5, 3)], links=links)
    widget.selected_link = ("0", "1", 1)
    assert widget.selected_link == ["0", "1", 1]
    widget.set_state({"selected_link": ["0", "1"]})
    assert widget.selected_link == ["0", "1"]
    with pytest.raises(traitlets.TraitError, match="no link '0 -> 1 -> 2'; did you mean"):
        widget.selected_link = ("0", "1", 2)


def test_the_page_sets_mode_and_level_together(svr: SVR) -> None:
    widget = SVRWidget(svr)
    widget.set_state({"threshold_mode": "p", "threshold": 0.125})
    assert (widget.threshold_mode, widget.threshold) == ("p", 0.125)


@pytest.mark.parametrize(
    ("levels", "range_"),
    [
        ({"fdr": 1.0}, "0 < fdr < 1"),
        ({"p": 0.0}, "0 < p <= 1"),
        ({"bonferroni": -1}, "0 < bonferroni <= 1"),
        ({"sigma": float("nan")}, "<= sigma <="),
        ({"p": "much"}, "0 < p <= 1"),
    ],
)
def test_levels_out_of_range_change_nothing(svr: SVR, levels: dict[str, Any], range_: str) -> None:
    widget = SVRWidget(svr, p=0.2)
    with pytest.raises(ThresholdError, match=range_):
        widget.set_threshold(**levels)
    assert (widget.threshold_mode, widget.threshold) == ("p", 0.2)
    assert range_ in widget._notice
    widget.set_threshold(p=0.3)
    assert widget._notice == ""


def test_one_level_at_a_time(svr: SVR) -> None:
    widget = SVRWidget(svr)
    with pytest.raises(TypeError, match="exactly one"):
        widget.set_threshold(p=0.1, fdr=0.1)
    with pytest.raises(TypeError, match="exactly one"):
        widget.set_threshold()


@pytest.mark.parametrize(
    ("trait", "value", "message"),
    [
        ("threshold", 3, "0 < fdr < 1"),
        ("selected", [("00", 1)], "did you mean '0'"),
        ("selected", [("0", 20)], "neurons 0 to 19"),
        ("selected", ["0"], "'0' is no neuron"),
        ("selected_link", ("0", "3"), "did you mean '0 -> 2'"),
        ("y_scale", "logarithmic", "y_scale"),
        ("height", 10, "height"),
        ("theme", "pink", "theme"),
    ],
)
def test_traits_refuse_what_does_not_exist(
    svr: SVR, trait: str, value: object, message: str
) -> None:
    widget = SVRWidget(svr)
    before = getattr(widget, trait)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(widget, trait, value)
    assert getattr(widget, trait) == before


@pytest.mark.parametrize(
    ("keyword", "nearest"),
    [
        ("treshold", "threshold"),
        ("example_input", "example_inputs"),
        ("y_scael", "y_scale"),
        ("exlude", "exclude"),
        ("sgima", "sigma"),
    ],
)
def test_a_misspelt_keyword_names_the_nearest(keyword: str, nearest: str) -> None:
    with pytest.raises(TypeError, match=f"'{keyword}'; did you mean '{nearest}'"):
        SVRWidget(chain(4, 3, 2), **{keyword: 1})


def test_keywords_that_come_too_late(svr: SVR) -> None:
    with pytest.raises(TypeError, match="rank: give it to SVR"):
        SVRWidget(svr, rank=3)


def test_keywords_of_the_engine_pass_through() -> None:
    widget = SVRWidget(chain(12, 10, 8, 6), exclude="4", rank=3, y_scale="log")
    assert list(widget.svr.maps) == ["0", "2"]
    assert len(widget.svr["0"]) == 3
    assert widget.y_scale == "log"


def test_bad_models_raise_in_the_cell() -> None:
    with pytest.raises(NoMapsError):
        SVRWidget([])
    with pytest.raises(NoMapsError):
        SVRWidget(nn.Sequential(nn.ReLU()))
    model = chain(6, 5, 4)
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
        model[2].weight[0, 0] = float("nan")
    with pytest.raises(SVRError, match="'0' has 1 NaN"):
        SVRWidget(model)


def test_its_words_say_what_it_shows() -> None:
    assert (
        repr(SVRWidget(chain(6, 5, 4))) == "SVRWidget(Sequential: 2 maps, 9 neurons, 1 links, svr)"
    )


def test_a_map_that_is_not_finite_is_named_and_the_others_are_drawn() -> None:
    model = chain(6, 5, 4, 3)
    with torch.no_grad():
        model[2].weight[0, 0] = float("nan")
    widget = SVRWidget(model)
    scene = scene_of(widget._scene)[0]
    assert [each["name"] for each in scene["maps"]] == ["0", "4"]
    assert scene["links"] == []
    [damaged] = scene["damaged"]
    assert damaged["name"] == "2"
    assert "'2' has 1 NaN or infinite of 20 entries" in damaged["why"]
    with pytest.raises(SVRError, match="'2' has 1 NaN"):
        SVRWidget(model, non_finite="refuse")


def test_long_work_runs_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    widget = SVRWidget(chain(6, 5, 4))
    assert gate.reached.wait(60)
    assert widget._scene == b""
    assert widget._status == {
        "state": "computing",
        "map": "first",
        "done": 0,
        "maps": 2,
        "total": 2,
        "seconds_left": None,
    }
    with pytest.raises(TimeoutError):
        widget.wait(0.01)
    widget.threshold_mode = "sigma"
    assert widget.threshold == 4
    gate.opened.set()
    widget.wait(60)
    assert widget._status == {"state": "ready"}
    assert len(widget._scene) > 0


def test_cancel_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    widget = SVRWidget(chain(6, 5, 4))
    widget.cancel()
    gate.opened.set()
    with pytest.raises(CancelledError):
        widget.wait(60)
    assert widget._status == {"state": "cancelled"}


def test_an_error_is_shown_and_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch, ValueError("map 'x' broke"))
    widget = SVRWidget(chain(6, 5, 4))
    gate.opened.set()
    for ask in (lambda: widget.wait(60), lambda: widget.svr, widget.edges):
        with pytest.raises(ValueError, match="map 'x' broke"):
            ask()
    assert widget._status == {"state": "failed", "message": "map 'x' broke"}


def test_close_frees_the_widget_and_its_tensors() -> None:
    model = chain(8, 6, 4)
    widget = SVRWidget(model)
    gone = [weakref.ref(widget), weakref.ref(widget.svr), weakref.ref(widget.svr["0"].U)]
    widget.close()
    del widget
    gc.collect()
    assert [reference() for reference in gone] == [None, None, None]


def test_the_model_comes_back_untouched() -> None:
    model = chain(8, 6, 4).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    SVRWidget(model)
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_the_budget_bounds_what_travels(svr: SVR) -> None:
    widget = SVRWidget(svr)
    whole = len(widget._scene)
    widget.max_edges = 10
    assert len(widget._scene) < whole


def test_folded_modules_are_named_and_others_refused() -> None:
    weights = {f"h.{i}.{end}": torch.eye(4) for i in range(3) for end in ("up", "down")}
    widget = SVRWidget(weights, folded=["h.1", "h.0", "h.1"])
    assert widget.folded == ["h.1", "h.0"]
    with pytest.raises(traitlets.TraitError, match=r"no module 'h\.7'; did you mean 'h\."):
        widget.folded = ["h.7"]
    assert widget.folded == ["h.1", "h.0"]
    widget.folded = None
    assert list(widget.svr.columns) == list(weights)


@pytest.mark.parametrize("camera", [[0.5, 0, 0], [1, 0.5], [2, float("nan"), 0]])
def test_a_camera_that_shows_nothing_is_refused(camera: list[float]) -> None:
    widget = SVRWidget(chain(6, 5, 4))
    widget.camera = [2, 0.25, 0.5]
    with pytest.raises(traitlets.TraitError, match="camera is"):
        widget.camera = camera
    assert widget.camera == [2, 0.25, 0.5]
    widget.camera = None
