"""What an exported page will be asked, so that Python can answer it in advance.

That is what the widget's views have asked for so far, and what the panes ask for when they open:
the mirror of ``chosenOf`` and ``neuronOf`` in js/src/filters.ts, ``neuronsShown`` and ``mapsShown``
in js/src/images.ts, and of what js/src/views/filters.ts and images.ts ask.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from svr_widget.engine.significance.multiple_testing import LinkTests
from svr_widget.svr import SVR
from svr_widget.widget.wire.scene import scene_links

Question = dict[str, Any]
Neuron = tuple[str, int]

MATRIX_KINDS = ("matrix", "tile", "internal")
_KEPT_KINDS = ("cut", "filters", "images", "vectors")
_MOST_KEPT = 256

_FIRST_NEURONS, _MOST_NEURONS, _MOST_CHANNELS = 4, 6, 64
_MOST_COLUMNS, _MOST_POSITIONS = 12, 96


class Asked:
    """The questions that views have asked about the present graph, each once, the last one last."""

    def __init__(self) -> None:
        self._questions: dict[str, Question] = {}

    def __iter__(self) -> Iterator[Question]:
        return iter(self._questions.values())

    def add(self, question: Question) -> None:
        """Keep a question, if it is one that a page can answer."""
        if question.get("kind") in MATRIX_KINDS:
            if question["matrix"] == "adjacency":
                return  # every page has these
            kept = {name: question[name] for name in ("link", "matrix")}
        elif question.get("kind") in _KEPT_KINDS:
            kept = {name: value for name, value in question.items() if name != "id"}
        else:
            return
        key = json.dumps(kept)
        self._questions.pop(key, None)
        self._questions[key] = kept
        if len(self._questions) > _MOST_KEPT:
            del self._questions[next(iter(self._questions))]

    def clear(self) -> None:
        """Forget all: the graph is another one."""
        self._questions.clear()


def foreseen(
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
    """The links, those whose strongest edge is least like chance first."""

    def log_p(tests: LinkTests) -> float:
        return float(tests.law.logsf(tests.weights[-1])) if tests.weights.size else 0.0

    strongest = [log_p(tests) for tests in svr.significance().tests.values()]
    return sorted(range(len(strongest)), key=strongest.__getitem__)


def _filters(svr: SVR, link: int, chosen: dict[str, list[int]]) -> Question:
    def of(name: str, neurons: int) -> list[int]:
        return chosen.get(name, list(range(neurons)[:_FIRST_NEURONS]))[:_MOST_NEURONS]

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
            yield {"kind": "vectors", "column": places[name], "k": k, "most": _MOST_CHANNELS}


def _images(svr: SVR, chosen: dict[str, list[int]], inputs: dict[str, Any]) -> Iterator[Question]:
    """One input through the maps, for each input, with and without the cosines."""
    shown: list[tuple[str, list[int]]] = []
    for name in svr.columns:
        neurons = len(svr[name])
        default = [k for k in dict.fromkeys((0, 1, neurons - 1)) if 0 <= k < neurons]
        if mine := (chosen.get(name, [])[:_MOST_COLUMNS] if chosen else default):
            shown.append((name, mine))
    for cosine in (False, True):
        for number, _ in enumerate(inputs["labels"]):
            for start in range(0, len(shown), _MOST_COLUMNS):
                yield {
                    "kind": "images",
                    "inputs": [number],
                    "neurons": dict(shown[start : start + _MOST_COLUMNS]),
                    "most": _MOST_POSITIONS,
                    "cosine": cosine,
                    "revision": inputs["revision"],
                }
