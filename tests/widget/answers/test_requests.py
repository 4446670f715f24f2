"""Who answers what the front end asks, and what is said where nobody can."""

from __future__ import annotations

import pytest
import torch

from svr_widget import SVR
from svr_widget.widget.wire.codec import decode
from tests.widget.answers.asking import answer


@pytest.fixture(scope="module")
def svr() -> SVR:
    torch.manual_seed(1)
    weights = {"a": torch.randn(30, 20), "b": torch.randn(25, 30), "c": torch.randn(9, 25)}
    return SVR(weights, links="chain")


def test_an_answer_carries_the_questions_id(svr: SVR) -> None:
    question = {"kind": "matrix", "id": 7, "link": 0, "matrix": "adjacency"}
    reply, (buffer,) = answer(svr, question)
    assert reply == {"kind": "matrix", "id": 7}
    assert decode(buffer)[0]["shape"] == [25, 20]


ABOUT = {"id": 3, "link": 0, "matrix": "adjacency"}
TILE = {**ABOUT, "kind": "tile", "tile": [0, 0], "steps": [1, 1], "law": "exact"}


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"kind": "tea", "id": 3}, "'tea'"),
        ({**ABOUT, "kind": "matrix", "link": 99}, "no link 99, only 2"),
        ({**ABOUT, "kind": "matrix", "link": -1}, "no link -1"),
        ({**ABOUT, "kind": "matrix", "matrix": "tea"}, "no matrix 'tea'"),
        ({**ABOUT, "kind": "internal", "matrix": "output"}, "no internal dimensions"),
        ({**TILE, "tile": [1, 0]}, "outside of 25"),
        ({**TILE, "tile": [0, -1]}, "outside of 20"),
        ({**TILE, "steps": [0, 1]}, "begin at 1"),
        ({**ABOUT, "kind": "tile"}, "it does not say 'tile'"),
        ({"kind": "cut", "id": 3, "law": "exact", "mode": "p", "level": 2}, "0 < p <= 1"),
    ],
)
def test_what_cannot_be_answered_is_said(
    svr: SVR, question: dict[str, object], message: str
) -> None:
    reply, buffers = answer(svr, question)
    assert (reply["kind"], reply["id"], buffers) == ("error", 3, [])
    assert message in reply["message"]


def test_a_refusal_is_said_without_the_name_of_its_class(svr: SVR) -> None:
    question = {"kind": "cut", "law": "exact", "mode": "p", "level": 2}
    assert answer(svr, question)[0]["message"] == "p = 2 is out of range: 0 < p <= 1"
