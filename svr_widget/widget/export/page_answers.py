"""What an exported page will be asked, so that Python can answer it in advance.

That is what the widget's views have asked for so far, and what the panes ask for when they open:
the mirror of what filters.ts and images.ts in js/src/wire/pictures choose, and of what the panes
ask.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from svr_widget.svr import SVR
from svr_widget.widget.answers.asked import MATRIX_KINDS, Asked, Question
from svr_widget.widget.wire.contract import (
    FIRST_NEURONS,
    MOST_CHANNELS,
    MOST_COLUMNS,
    MOST_NEURONS,
    MOST_POSITIONS,
)
from svr_widget.widget.wire.scene import scene_links

Neuron = tuple[str, int]


def page_questions(
    svr: SVR, asked: Asked, selected: Sequence[Neuron], inputs: dict[str, Any]
) -> Iterator[Question]:
    """The questions, more important ones first; some may come twice.

    Args:
        svr: of the page.
        asked: what the views have asked.
        selected: of the neurons, as in ``widget.selected``.
        inputs: as ``Gallery.describe`` gives them.
    """
    for question in reversed(list(asked)):
        if "kind" not in question:
            yield from _matrix(**question)
        elif question.get("revision", inputs["revision"]) == inputs["revision"]:
            yield question
    chosen: dict[str, list[int]] = {}
    for name, k in selected:
        chosen.setdefault(name, []).append(k)
    for link in _strongest_first(svr):
        yield from _matrix(link, "adjacency")
        yield _filters(svr, link, chosen)
    yield from _vectors(svr, selected)
    yield from _images(svr, chosen, inputs)


def _matrix(link: int, matrix: str) -> Iterator[Question]:
    for kind in MATRIX_KINDS:
        if kind != "internal" or matrix != "output":
            yield {"kind": kind, "link": link, "matrix": matrix}


def _strongest_first(svr: SVR) -> list[int]:
    """The links that have a matrix on the page, those with the least p-value of an edge first."""
    tests = svr.significance()
    edges = [(tests.law(key), tests.strongest(key)) for key in tests.keys]
    strongest = [0.0 if edge is None else float(law.logsf(edge.weight)) for law, edge in edges]
    shown = [
        at for at, (key, _) in enumerate(scene_links(svr)) if not svr.links[key].by_construction
    ]
    return sorted(shown, key=strongest.__getitem__)


def _filters(svr: SVR, link: int, chosen: dict[str, list[int]]) -> Question:
    def of(name: str, neurons: int) -> list[int]:
        return chosen.get(name, list(range(neurons)[:FIRST_NEURONS]))[:MOST_NEURONS]

    key, _ = scene_links(svr)[link]
    producer, consumer = svr.ends(key)
    rows, columns = svr.adjacency(key).shape
    return {
        "kind": "filters",
        "link": link,
        "rows": of(consumer, rows),
        "columns": of(producer, columns),
    }


def _vectors(svr: SVR, selected: Sequence[Neuron]) -> Iterator[Question]:
    places = {name: place for place, name in enumerate(svr.columns)}
    first = [(svr.ends(key)[0], 0) for key, _ in scene_links(svr)]
    for name, k in [*reversed(selected), *first]:
        if name in places:
            yield {"kind": "vectors", "column": places[name], "k": k, "most": MOST_CHANNELS}


def _images(svr: SVR, chosen: dict[str, list[int]], inputs: dict[str, Any]) -> Iterator[Question]:
    """One input through the maps, for each input, with and without the cosines."""
    shown: list[tuple[str, list[int]]] = []
    for name in svr.columns:
        neurons = len(svr[name])
        default = [k for k in dict.fromkeys((0, 1, neurons - 1)) if 0 <= k < neurons]
        if mine := (chosen.get(name, [])[:MOST_COLUMNS] if chosen else default):
            shown.append((name, mine))
    for cosine in (False, True):
        for number, _ in enumerate(inputs["labels"]):
            for start in range(0, len(shown), MOST_COLUMNS):
                yield {
                    "kind": "images",
                    "inputs": [number],
                    "neurons": dict(shown[start : start + MOST_COLUMNS]),
                    "most": MOST_POSITIONS,
                    "cosine": cosine,
                    "revision": inputs["revision"],
                }
