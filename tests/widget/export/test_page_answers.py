"""What an exported page can answer: what was asked, and what its panes ask when they open."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget import SVRWidget
from svr_widget.widget.answers.asked import Asked
from svr_widget.widget.export import page
from svr_widget.widget.wire.codec import decode
from tests.widget.export.test_page import contents

Questions = list[dict[str, Any]]


@pytest.fixture
def widget() -> SVRWidget:
    torch.manual_seed(3)
    model = nn.Sequential(
        *(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)),
    )
    return SVRWidget(model, inputs=torch.rand(3, 1, 12, 12))


def sent_by(widget: SVRWidget, question: dict[str, Any]) -> list[bytes]:
    """What the front end hears when it asks."""
    heard: list[list[bytes]] = []
    widget.send = lambda _, buffers: heard.append(buffers)  # type: ignore[method-assign]
    widget._answer(widget, {**question, "id": 7}, [])
    return heard[0]


def held(widget: SVRWidget) -> tuple[Questions, list[list[bytes]]]:
    meta, arrays = contents(widget._exports.page({}))
    buffers = [[arrays[name].tobytes() for name in at["buffers"]] for at in meta["answers"]]
    return [at["question"] for at in meta["answers"]], buffers


def test_a_page_holds_what_was_asked_as_it_was_answered(widget: SVRWidget) -> None:
    revision = widget._inputs["revision"]
    image = {"kind": "images", "inputs": [1, 2], "neurons": {"0": [5]}, "most": 96, "cosine": True}
    asked: Questions = [
        {"kind": "filters", "link": 1, "rows": [3], "columns": [7]},
        {"kind": "vectors", "column": 1, "k": 6, "most": 64},
        {**image, "revision": revision},
    ]
    answers = [sent_by(widget, question) for question in asked]
    questions, buffers = held(widget)
    for question, answer in zip(asked, answers, strict=True):
        assert buffers[questions.index(question)] == answer


def test_a_page_holds_the_matrices_that_were_asked_for_in_coarse(widget: SVRWidget) -> None:
    tile = {"kind": "tile", "link": 0, "matrix": "output", "law": "exact"}
    sent_by(widget, {**tile, "steps": [1, 1], "tile": [0, 0]})
    questions, buffers = held(widget)
    found = {
        at["kind"]: place for place, at in enumerate(questions) if at.get("matrix") == "output"
    }
    assert found.keys() == {"matrix", "tile"}
    meta, _ = decode(buffers[found["matrix"]][0])
    _, arrays = decode(buffers[found["tile"]][0])
    U = np.linalg.norm(widget.svr["0"].U.numpy().reshape(6, -1, 6), axis=1)
    assert meta["steps"] == [1, 1]
    cells = arrays["values"].astype(float)
    assert np.abs(cells / 255 - np.sqrt(U / U.max())).max() <= 0.5 / 255 + 1e-6


def test_panes_open_on_what_nobody_asked_for(widget: SVRWidget) -> None:
    questions, _ = held(widget)
    assert {
        "kind": "filters",
        "link": 0,
        "rows": [0, 1, 2, 3],
        "columns": [0, 1, 2, 3],
    } in questions
    assert {"kind": "vectors", "column": 0, "k": 0, "most": 64} in questions
    images = [at for at in questions if at["kind"] == "images"]
    assert [at["inputs"] for at in images] == [[0], [1], [2]] * 2
    assert images[0]["neurons"] == {"0": [0, 1, 5], "2": [0, 1, 7], "6": [0, 1, 4]}
    widget.selected = [("2", 3)]
    questions, _ = held(widget)
    assert {"kind": "filters", "link": 0, "rows": [3], "columns": [0, 1, 2, 3]} in questions
    assert {"kind": "vectors", "column": 1, "k": 3, "most": 64} in questions
    assert next(at["neurons"] for at in questions if at["kind"] == "images") == {"2": [3]}


def test_images_stop_where_their_room_ends(
    widget: SVRWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, buffers = held(widget)
    questions, _ = held(widget)
    sizes = [len(b[0]) for q, b in zip(questions, buffers, strict=True) if q["kind"] == "images"]
    monkeypatch.setattr(page, "MOST_IMAGE_BYTES", sizes[0] + sizes[1] // 2)
    kept = [at["inputs"] for at in held(widget)[0] if at["kind"] == "images"]
    assert kept == [[0]]


def test_the_links_with_the_strongest_edges_come_first(
    widget: SVRWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    edges = widget.svr.edges(p=1.0)
    by_link = edges.groupby(["producer", "consumer"], sort=False)["log10_p"].min()
    wanted = [list(widget.svr.links).index(link) for link in by_link.sort_values().index]
    of_links = [at for at in held(widget)[0] if at.get("matrix") == "adjacency"]
    assert list(dict.fromkeys(at["link"] for at in of_links)) == wanted
    assert len(wanted) > 1
    monkeypatch.setattr(page, "MOST_OTHER_BYTES", 1500)
    monkeypatch.setattr(page, "LEAST_OTHER_BYTES", 1500)
    kept = [at for at in held(widget)[0] if at["kind"] != "images"]
    assert 0 < len(kept) <= 4
    assert {at["link"] for at in kept} == {wanted[0]}


def test_questions_about_another_graph_or_other_inputs_are_forgotten(widget: SVRWidget) -> None:
    question = {"kind": "filters", "link": 1, "rows": [3], "columns": [7]}
    image = {"kind": "images", "inputs": [2], "neurons": {"0": [3]}, "most": 96, "cosine": False}
    sent_by(widget, question)
    sent_by(widget, {**image, "revision": widget._inputs["revision"]})
    widget.inputs = torch.rand(1, 1, 12, 12)
    questions, _ = held(widget)
    assert question in questions
    assert all(at["inputs"] == [0] for at in questions if at["kind"] == "images")
    widget.method = "cosvr"
    assert question not in held(widget)[0]


def test_only_so_many_questions_are_kept_each_once() -> None:
    asked = Asked()
    for k in [*range(300), 100]:
        asked.add({"kind": "vectors", "column": 0, "k": k, "most": 64, "id": k})
    asked.add({"kind": "page", "view": {}})
    asked.add({"kind": "tile", "link": 0, "matrix": "adjacency"})
    kept = [question["k"] for question in asked]
    assert (len(kept), kept[0], kept[-2:]) == (256, 44, [299, 100])


def test_a_page_holds_no_matrix_of_a_link_by_construction() -> None:
    weight = torch.randn(6, 9, generator=torch.Generator().manual_seed(0))
    weights = {"in": weight, "out": weight.T.clone(), "next": torch.randn(5, 9)}
    questions, _ = held(SVRWidget(weights, links="chain"))
    assert {at["link"] for at in questions if at["kind"] == "matrix"} == {1}
