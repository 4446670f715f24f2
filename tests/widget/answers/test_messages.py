"""Thousands of messages and traits that nobody would send: each is answered, and nothing breaks."""

from __future__ import annotations

import json
import math
import random
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import traitlets
from torch import nn

from svr_widget import SVR, SVRTimeline, SVRWidget
from svr_widget.widget.answers.requests import KINDS, MOST_REPLY_BYTES
from svr_widget.widget.wire.scene import encode_scene
from tests.amounts import amount
from tests.widget.scenes import scene_of

MESSAGES = amount(2_000, 27_000)
STATES = 400
MOST_MEGABYTES = 300
"""How much the process may grow over all messages: torch's own pools and pages of the widget."""

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]
HOSTILE: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 3.5, 2**31, 2**53, 2**63, 10**30, 10**400, -(10**400)),
    *(1e308, -1e308, 5e-324, math.inf, -math.inf, math.nan),
    *("", "0", "x" * 100_000, "\ud800", "</script>", "\x00", "adjacency", "__class__"),
    *([], [None], [[0, 1]], [0] * 3000, list(range(5000)), [math.nan] * 2, [10**400, 1.0], DEEP),
    *({}, {"0": None}, {"0": [0]}, {"0": [0] * 3000}, {"\ud800": [0]}, {"a": {"b": {}}}),
)

VALID: dict[str, dict[str, Any]] = {
    "cut": {"law": "exact", "mode": "fdr", "level": 0.05},
    "matrix": {"link": 0, "matrix": "cross"},
    "tile": {"link": 1, "matrix": "output", "law": "chi2", "steps": [1, 2], "tile": [0, 0]},
    "internal": {"link": 0, "matrix": "adjacency"},
    "filters": {"link": 0, "rows": [0, 3], "columns": [1]},
    "vectors": {"column": 1, "k": 2, "most": 64},
    "images": {"inputs": [1, 0], "neurons": {"0": [0, -1]}, "most": 96, "cosine": True},
    "drop": {"height": 2, "width": 2, "name": "a.png"},
    "cancel": {},
    "resume": {},
    "ping": {},
    "page": {"view": {"threshold": 0.1, "selected": [["0", 1]], "panes": ["table"]}},
    "comparison": {"views": [{"threshold": 0.1}, {}]},
    "frame": {"step": 0},
}
STATE: dict[str, Any] = {
    "threshold": 0.2,
    "threshold_mode": "p",
    "null": "chi2",
    "y_scale": "log",
    "theme": "dark",
    "selected": [["0", 1]],
    "selected_link": ["0", "1"],
    "folded": [],
    "panes": ["table"],
    "height": 500,
    "camera": [2.0, 0.5, 0.5],
    "y_range": [0.1, 3.0],
    "max_edges": 50,
    "tour": False,
    "method": "cosvr",
    "norm": "ignore",
    "step": 1,
    "following": False,
    "_scene": b"",
    "_inputs": {},
    "_status": {},
    "_marked": {},
    "_notice": "",
    "_esm": "",
    "_recorded": 3,
    "_frames": b"x",
}


class Wire:
    """What goes back to the page; all of it has to be JSON and bytes of some size."""

    def __init__(self, widget: SVRWidget) -> None:
        self.replies: list[dict[str, Any]] = []
        widget.send = self._take  # type: ignore[method-assign]

    def _take(self, content: dict[str, Any], buffers: Any = None) -> None:
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
        self.replies.append({**content, "bytes": sum(map(len, buffers or []))})


@pytest.fixture
def widget() -> Iterator[SVRWidget]:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    made = SVRWidget(model, torch.zeros(1, 1, 8, 8), inputs=torch.rand(2, 1, 8, 8))
    yield made
    made.close()


@pytest.fixture
def timeline() -> Iterator[SVRTimeline]:
    torch.manual_seed(3)
    made = SVRTimeline([SVR([torch.randn(6, 5), torch.randn(4, 6)]) for _ in range(3)])
    made.wait()
    yield made
    made.close()


def spoilt(rng: random.Random, value: Any) -> Any:
    """A value with something in it replaced, or another one altogether."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        name = rng.choice(list(value))
        made = dict(value)
        if rng.random() < 0.2:
            del made[name]
        else:
            made[name] = spoilt(rng, made[name])
        return made
    if isinstance(value, list) and value and rng.random() < 0.5:
        place = rng.randrange(len(value))
        return [*value[:place], spoilt(rng, value[place]), *value[place + 1 :]]
    return rng.choice(HOSTILE)


def message(rng: random.Random) -> tuple[Any, Any]:
    """A question with its buffers, most of them wrong somewhere."""
    # A page takes a hundred times as long as the others.
    kind = rng.choice([name for name in VALID if name != "page" or rng.random() < 0.3])
    content: Any = {"kind": kind, "id": rng.randrange(2**40), **VALID[kind]}
    buffers: Any = [bytes(12)] if kind == "drop" else []
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
        content = spoilt(rng, content)
    if rng.random() < 0.1:
        buffers = rng.choice(([], None, [b""], [b"x" * 11], [b"\0" * 12, b"y"], ()))
    return content, buffers


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["widget", "timeline"])
def test_every_message_has_one_bounded_reply(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shown: SVRWidget = request.getfixturevalue(kind)
    wire = Wire(shown)
    shown.to_html(tmp_path / "page.html")
    most = MOST_REPLY_BYTES + (tmp_path / "page.html").stat().st_size
    rng = random.Random(12)
    before = megabytes()
    answered = 0
    for number in range(MESSAGES if kind == "widget" else MESSAGES // 4):
        content, buffers = message(rng)
        wire.replies.clear()
        shown._answer(shown, content, buffers)
        if isinstance(content, dict) and content.get("kind") in ("cancel", "resume"):
            assert wire.replies == []
            continue
        (reply,) = wire.replies
        assert reply["bytes"] <= most, (number, content)
        if reply["kind"] == "error":
            assert (reply["bytes"], bool(reply["message"])) == (0, True), (number, content)
            assert len(reply["message"]) <= 2000
        else:
            answered += 1
            assert reply["kind"] == content["kind"]
        if isinstance(content, dict) and type(content.get("id")) is int:
            assert reply["id"] == (content["id"] if abs(content["id"]) < 2**53 else None)
    assert answered > 0.1 * number
    assert megabytes() - before < MOST_MEGABYTES
    shown.to_html(tmp_path / "page.html")


@pytest.mark.parametrize("kind", ["widget", "timeline"])
def test_traits_take_no_value_that_breaks_anything(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    shown: SVRWidget = request.getfixturevalue(kind)
    rng = random.Random(3)
    taken = 0
    for number in range(STATES):
        names = rng.sample(list(STATE), rng.choice((1, 1, 2, 4)))
        state = {name: STATE[name] for name in names}
        if rng.random() < 0.8:
            spoilt_one = rng.choice(names)
            state[spoilt_one] = spoilt(rng, state[spoilt_one])
        try:
            shown.set_state(state)
            taken += 1
        except traitlets.TraitError:
            pass
        shown.wait()
        values = {name: getattr(shown, name) for name in shown._own_keywords() - {"layout"}}
        json.dumps(values, allow_nan=False)
        assert shown._status == {"state": "ready"}, (number, state)
        json.dumps(shown._notice, ensure_ascii=False).encode()
    assert taken > 0.1 * STATES
    assert shown._scene == (
        encode_scene(shown.svr, shown.max_edges) if kind == "widget" else shown._scene
    )
    assert "links" in scene_of(shown._scene)[0]
    shown.to_html(tmp_path / "page.html")


def test_the_table_has_every_kind_of_question(timeline: SVRTimeline) -> None:
    assert timeline._kinds().keys() == VALID.keys()
    assert KINDS.keys() == VALID.keys() - {"frame"}


def test_only_questions_that_were_answered_are_remembered(widget: SVRWidget) -> None:
    wire = Wire(widget)
    cut = {"kind": "cut", "law": "exact", "mode": "fdr"}
    for level in (math.inf, 2.0, 0.1):
        widget._answer(widget, {**cut, "id": 1, "level": level, "more": "x" * 1000}, [])
    assert [reply["kind"] for reply in wire.replies] == ["error", "error", "cut"]
    assert list(widget._answers.asked) == [{**cut, "level": 0.1}]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (
            {"kind": "filters", "link": 0, "rows": [0] * 65, "columns": [0]},
            "rows: 65 at once are more than 64",
        ),
        ({"kind": "drop", "height": 2**25, "width": [None], "name": "x"}, "height lies from 1 to"),
        ({"kind": "vectors", "column": 0, "k": True, "most": 4}, "k is a whole number, not True"),
        ({"kind": "images", "inputs": [0, 0]}, "inputs names one of its items twice"),
        ({"kind": "page", "view": {"camera": [0.1, 0, 0]}}, "camera is [zoom, x, y]"),
        ({"kind": "page", "view": {"theme": "pink"}}, "theme"),
        ([], "a question is a mapping, not []"),
        ({"kind": ["cut"]}, "there is no answer to ['cut']"),
    ],
)
def test_a_refusal_names_the_field_and_what_it_takes(
    widget: SVRWidget, question: Any, words: str
) -> None:
    wire = Wire(widget)
    widget._answer(widget, question, [b""])
    assert words in wire.replies[0]["message"]


def test_a_reply_that_would_be_too_large_is_not_made(widget: SVRWidget) -> None:
    wire = Wire(widget)
    neurons = {"0": [0] * 64, "2": [0] * 64}
    question = {"kind": "images", "inputs": list(range(64)), "neurons": neurons, "most": 128}
    widget._answer(widget, {**question, "id": 1}, [])
    assert "the reply would have 540,082,176 bytes" in wire.replies[0]["message"]


def test_images_are_dropped_so_often_at_most(widget: SVRWidget) -> None:
    wire = Wire(widget)
    for _ in range(66):
        widget._answer(widget, {"kind": "drop", "height": 1, "width": 1, "name": "x"}, [bytes(3)])
    kinds = [reply["kind"] for reply in wire.replies]
    assert kinds == ["drop"] * 64 + ["error"] * 2
