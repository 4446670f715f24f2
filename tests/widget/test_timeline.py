"""The timeline's Python side: what is computed, sent and kept as checkpoints come and go."""

from __future__ import annotations

import copy
import gc
import inspect
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from torch import nn

from svr_widget import SVR, SVRRecorder, SVRTimeline, SVRWidget
from svr_widget.engine.errors import SVRError
from svr_widget.widget.answers.requests import KINDS
from svr_widget.widget.computing import frames, shown_checkpoints
from svr_widget.widget.wire.codec import decode


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 8))


def exchanged(model: nn.Sequential, scale: float = 1.0) -> None:
    """The two first neurons of the first map change places."""
    with torch.no_grad():
        U, S, Vh = torch.linalg.svd(model[0].weight, full_matrices=False)
        model[0].weight.copy_(U * S[[1, 0, *range(2, len(S))]] * scale @ Vh)


@pytest.fixture
def recorder() -> SVRRecorder:
    """Three checkpoints; in the second the two first neurons of the first map are exchanged."""
    model = chain()
    made = SVRRecorder(model, 1)
    for step in range(2):
        exchanged(model)
        made.step(loss=float(2 - step))
    return made


@pytest.fixture
def shown(recorder: SVRRecorder) -> Iterator[SVRTimeline]:
    made = SVRTimeline(recorder, p=0.1)
    made.wait()
    yield made
    made.close()


class Wire:
    """What leaves for the page, instead of a comm."""

    def __init__(self, widget: SVRTimeline, monkeypatch: pytest.MonkeyPatch) -> None:
        self.changed: set[str] = set()
        self.messages: list[dict[str, Any]] = []
        monkeypatch.setattr(widget, "_send", self._take)

    def _take(self, message: dict[str, Any], buffers: Any = None) -> None:
        if message["method"] == "update":
            binary = [path[0] for path in message["buffer_paths"]]
            self.changed.update(message["state"], binary)
        elif message["method"] == "custom":
            self.messages.append({**message["content"], "buffers": buffers})


def test_it_shows_the_newest_and_knows_every_checkpoint(shown: SVRTimeline) -> None:
    assert (shown.step, shown.following) == (2, True)
    meta, arrays = decode(shown._timeline)
    assert meta["steps"] == [0, 1, 2]
    assert meta["metrics"] == ["loss"]
    np.testing.assert_array_equal(arrays["metric_0"], [np.nan, 2, 1])
    assert arrays["leading"].shape == (3, 2, frames.LEADING)
    np.testing.assert_allclose(
        arrays["leading"][1, 0], shown._shown.frames.svr(1)["0"].S[:6], rtol=1e-6
    )
    assert arrays["born"].tolist() == arrays["died"].tolist() == [0, 0, 0]
    assert list(decode(shown._frames)[1]) == ["2", "1", "0"]


def test_a_scene_carries_who_is_who(shown: SVRTimeline) -> None:
    first, second = (decode(shown._shown.frames.scene(step))[1]["identity"] for step in (0, 1))
    assert first[:10].tolist() == list(range(10))
    assert second[:10].tolist() == [1, 0, *range(2, 10)]


def test_a_selection_follows_its_neurons_through_time(shown: SVRTimeline) -> None:
    shown.step = 0
    shown.selected = [("0", 0), ("2", 3)]
    shown.step = 1
    assert shown.selected == [("0", 1), ("2", 3)]
    shown.step = 2
    assert shown.selected == [("0", 0), ("2", 3)]


def test_a_neuron_that_dies_leaves_the_selection_and_comes_back_with_its_time() -> None:
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randn(30, 30, generator=generator) for _ in range(2))
    made = SVRTimeline([SVR([one]), SVR([other])], step=0)
    made.selected = [("0", 4)]
    made.step = 1
    assert made.selected == []
    made.step = 0
    assert made.selected == [("0", 4)]
    made.close()


def test_what_is_shown_is_what_is_asked(shown: SVRTimeline) -> None:
    shown.step = 1
    assert not shown.following
    assert torch.equal(shown.svr["0"].S, shown._source.svr(1)["0"].S)
    assert len(shown.neurons()) == 18
    shown.following = True
    assert shown.step == 2


def test_the_axis_is_one_for_all_and_stays_where_it_reaches(recorder: SVRRecorder) -> None:
    model = chain()
    grown = SVRRecorder(model, 1)
    for scale in (1.0, 3.0):
        exchanged(model, scale)
        grown.step()
    made = SVRTimeline(grown)
    made.wait()
    largest = max(float(svr["0"].S[0]) for svr in grown)
    assert largest <= made.y_range[1] <= 1.34 * largest
    made.close()
    own = SVRTimeline(recorder, y_range=[0.1, 9.0])
    own.wait()
    assert own.y_range == [0.1, 9.0]
    own.close()


def test_checkpoints_that_come_later_are_sent_and_followed(
    recorder: SVRRecorder, shown: SVRTimeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(shown, monkeypatch)
    recorder.step()
    shown.wait()
    assert shown.step == 3
    frame = wire.messages[0]
    assert (frame["kind"], frame["step"]) == ("frame", 3)
    assert frame["buffers"] == [shown._scene]
    assert "_timeline" in wire.changed
    # What the page has, or comes to by itself, does not travel again.
    assert not {"_scene", "selected", "step", "following"} & wire.changed
    shown.step = 0
    recorder.step()
    shown.wait()
    assert shown.step == 0
    assert decode(shown._timeline)[0]["steps"] == [0, 1, 2, 3, 4]


def test_the_page_scrubs_and_its_own_selection_counts(shown: SVRTimeline) -> None:
    shown.set_state({"step": 1, "following": False, "selected": [["0", 5]]})
    assert (shown.step, shown.following, shown.selected) == (1, False, [("0", 5)])
    shown.step = 0
    assert shown.selected == [("0", 5)]


def test_questions_are_answered_for_their_checkpoint(
    shown: SVRTimeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire = Wire(shown, monkeypatch)
    shown._answer(shown, {"kind": "frame", "id": 7, "step": 1}, [])
    assert (wire.messages[-1]["id"], wire.messages[-1]["buffers"]) == (
        7,
        [shown._shown.frames.scene(1)],
    )
    for step in (0, 1):
        question = {"kind": "vectors", "id": 1, "step": step, "column": 0, "k": 0, "most": 4}
        shown._answer(shown, question, [])
        assert wire.messages[-1]["kind"] == "vectors", wire.messages[-1]
    first, second = (decode(message["buffers"][0])[1] for message in wire.messages[-2:])
    assert any(not np.array_equal(first[name], second[name]) for name in first)
    shown._answer(shown, {"kind": "frame", "id": 8, "step": 77}, [])
    assert "step 77 is not computed yet" in wire.messages[-1]["message"]


def test_scenes_that_were_let_go_are_computed_again(
    shown: SVRTimeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shown._shown.frames.scene(0)
    monkeypatch.setattr(frames, "MEMORY", len(before))
    shown._shown.frames.scene(1)
    shown._shown.frames._keep(1, shown._shown.frames.scene(1))
    assert list(shown._shown.frames._scenes) == [1]
    assert shown._shown.frames.scene(0) == before


def test_what_a_late_view_finds_is_bounded(
    recorder: SVRRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shown_checkpoints, "PUSHED", 150_000)
    made = SVRTimeline(recorder)
    made.wait()
    assert list(decode(made._frames)[1]) == ["2", "1"]
    made.close()


def test_thinned_checkpoints_leave_the_slider(recorder: SVRRecorder, shown: SVRTimeline) -> None:
    recorder._most = 3
    shown.step = 1
    recorder.step()
    recorder.step()
    shown.wait()
    meta = decode(shown._timeline)[0]
    assert meta["steps"] == list(recorder.steps) == [0, 2, 4]
    assert "thinned out" in meta["notes"][0]
    assert shown.step == 4  # what was shown is gone


def test_another_method_is_computed_for_every_checkpoint(shown: SVRTimeline) -> None:
    before = shown._shown.frames.scene(1)
    shown.method = "cosvr"
    shown.wait()
    assert shown.svr.method == "cosvr"
    assert decode(shown._timeline)[0]["steps"] == [0, 1, 2]
    assert decode(shown._shown.frames.scene(1))[0]["method"] == "cosvr"
    assert shown._shown.frames.scene(1) != before


def test_lists_and_paths(recorder: SVRRecorder, tmp_path: Path) -> None:
    made = SVRTimeline(list(recorder), labels=["start", "<b>middle</b>", "end"])
    made.wait()
    assert decode(made._timeline)[0]["labels"] == ["start", "<b>middle</b>", "end"]
    made.close()
    model = chain()
    with SVRRecorder(model, 1, tmp_path / "run") as written:
        exchanged(model)
        written.step()
    read = SVRTimeline(tmp_path / "run", step=0)
    read.wait()
    assert read.step == 0
    assert decode(read._timeline)[0]["steps"] == [0, 1]
    read.close()


def test_the_page_without_python_holds_every_checkpoint(shown: SVRTimeline, tmp_path: Path) -> None:
    shown.step = 1
    assert list(decode(shown._shown.page_traits()["_frames"])[1]) == ["0", "1", "2"]
    assert shown._shown.page_question() == {"step": 1}
    shown.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 100_000


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ([], SVRError, "at least one checkpoint"),
        ([1], TypeError, "checkpoint 0 is a int, not an SVR"),
        (torch.nn.Sequential(torch.nn.Linear(2, 2)), TypeError, "list of SVRs, not Sequential"),
        (3, TypeError, "takes an SVRRecorder, a path or a list of SVRs, not int"),
        ("nowhere", FileNotFoundError, "no recording"),
    ],
)
def test_what_is_no_source_is_refused(source: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        SVRTimeline(source)


def test_bad_options_are_refused(recorder: SVRRecorder, shown: SVRTimeline) -> None:
    with pytest.raises(TypeError, match=r"SVRTimeline\(\) has no keyword 'treshold'"):
        SVRTimeline(recorder, treshold=1)
    with pytest.raises(TypeError, match="labels belong to a list"):
        SVRTimeline(recorder, labels=["a"])
    with pytest.raises(SVRError, match="1 labels for 3"):
        SVRTimeline(list(recorder), labels=["a"])
    with pytest.raises(traitlets.TraitError, match="no checkpoint of step 9; the nearest is 2"):
        shown.step = 9
    assert shown.step == 2


def test_networks_that_do_not_follow_one_another_are_said(tmp_path: Path) -> None:
    made = SVRTimeline([SVR([torch.randn(6, 5)]), SVR([torch.randn(7, 5)])])
    with pytest.raises(SVRError, match="cannot be compared"):
        made.wait()
    assert "cannot be compared" in made._notice
    assert made.step == 0
    made.close()


def test_closing_frees_it(recorder: SVRRecorder) -> None:
    made = SVRTimeline(recorder)
    made.wait()
    gone = weakref.ref(made)
    made.close()
    assert recorder._listeners == []
    del made
    gc.collect()
    assert gone() is None
    recorder.step()


def test_copies_of_models_are_not_needed(recorder: SVRRecorder) -> None:
    """A recorder of one model shows in two timelines at once."""
    one, two = SVRTimeline(recorder), SVRTimeline(copy.copy(list(recorder)))
    for made in (one, two):
        made.wait()
    assert one._shown.frames.scene(1) == two._shown.frames.scene(1)
    for made in (one, two):
        made.close()


def test_a_timeline_is_a_widget_with_another_part_and_one_more_answer(shown: SVRTimeline) -> None:
    own = [each for each in SVRTimeline.__mro__ if each not in SVRWidget.__mro__]
    overridden = {
        name
        for each in own
        for name, value in vars(each).items()
        if inspect.isfunction(value) or isinstance(value, property)
        if hasattr(SVRWidget, name)
    }
    assert len(overridden) <= 4, overridden
    assert shown._kinds().keys() - KINDS.keys() == {"frame"}
