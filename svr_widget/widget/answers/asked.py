"""What views have asked about the graph on screen, for an exported page that is to answer it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Question = dict[str, Any]

MATRIX_KINDS = ("matrix", "tile", "internal")
_KEPT_KINDS = ("cut", "filters", "images", "vectors")
_MOST_KEPT = 256


class Asked:
    """The questions that views have asked about the present graph, each once, the last one last."""

    def __init__(self) -> None:
        self._questions: dict[str, Question] = {}

    def __iter__(self) -> Iterator[Question]:
        return iter(list(self._questions.values()))

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
