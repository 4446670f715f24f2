"""Whatever the page asks, and who answers it: one table of all kinds of question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from svr_widget.widget.answers import filters, matrices
from svr_widget.widget.answers.asked import Asked, Question
from svr_widget.widget.answers.gallery import Gallery
from svr_widget.widget.wire.codec import encode

Reply = tuple[dict[str, Any], list[bytes]]


@dataclass(frozen=True)
class Sources:
    """What answers are made of.

    Attributes:
        at: the SVR of a checkpoint, or the one on screen.
        gallery: the inputs of the pane of spectral images.
        renew_inputs: tells the page that the inputs are others.
        cancel: stops what is being computed.
        page: the widget as a page, with the traits of a view that may be ahead.
    """

    at: Callable[[int | None], SVR]
    gallery: Gallery
    renew_inputs: Callable[[], None]
    cancel: Callable[[], None]
    page: Callable[[Mapping[str, Any]], str]


Answer = Callable[[Sources, Question, Any], list[bytes] | None]
"""Gives the buffers of the reply to a question and its buffers; None where there is no reply."""


class Answers:
    """Answers messages; what cannot be answered is said in a message too, never raised.

    Args:
        sources: what answers are made of.
        answers: by kind of question.

    Attributes:
        asked: the questions about the present graph that were asked so far.
    """

    def __init__(self, sources: Sources, answers: Mapping[str, Answer]) -> None:
        self._sources, self._answers = sources, answers
        self.asked = Asked()

    def answer(self, question: Question, buffers: Any = ()) -> Reply | None:
        """The reply to a view; an exported page will be able to answer the same question."""
        reply = self.reply(question, buffers)
        self.asked.add(question)
        return reply

    def reply(self, question: Question, buffers: Any = ()) -> Reply | None:
        """The reply, which carries the question's ``id``, and its binary buffers."""
        kind = str(question.get("kind"))
        reply = {"kind": kind, "id": question.get("id")}
        try:
            if kind not in self._answers:
                raise ValueError(f"there is no answer to {kind!r}")
            binary = self._answers[kind](self._sources, question, buffers)
            return None if binary is None else (reply, binary)
        except Exception as error:  # the person at the widget has to see it
            # What the engine refuses says what to do; of anything else the kind of error helps.
            name = "" if isinstance(error, SVRError) else f"{type(error).__name__}: "
            return {**reply, "kind": "error", "message": f"{name}{error}"}, []


def exact_cut(svr: SVR, question: Question) -> bytes:
    """The cut at ``question["level"]`` of ``question["mode"]`` under ``question["law"]``.

    ``counts`` uint32 ``[links]`` are the significant edges of each link, as the page numbers them;
    ``meta`` has ``log10_p`` and ``expected``, as in ``Cut``, beside what was asked.
    """
    asked = {name: question[name] for name in ("law", "mode", "level")}
    cut = svr.significance(question["law"]).cut(**{question["mode"]: question["level"]})
    # Over a whole graph every link has the same cut; without a link nothing is tested.
    meta = {**asked, "log10_p": next(iter(cut.log10_p.values()), None), "expected": cut.expected}
    return encode(meta, {"counts": np.array(list(cut.counts.values()), np.uint32)})


def _of_graph(answer: Callable[[SVR, Question], bytes]) -> Answer:
    """An answer that takes no more than a graph."""
    return lambda sources, question, _: [answer(sources.at(question.get("step")), question)]


def _images(sources: Sources, question: Question, _: Any) -> list[bytes]:
    return [sources.gallery.images(sources.at(question.get("step")), question)]


def _drop(sources: Sources, question: Question, buffers: Any) -> list[bytes]:
    gallery = sources.gallery
    gallery.drop(buffers[0], question["height"], question["width"], question["name"])
    sources.renew_inputs()
    return [encode({}, {})]


def _cancel(sources: Sources, *_: Any) -> None:
    sources.cancel()


def _ping(*_: Any) -> list[bytes]:
    return []


def _page(sources: Sources, question: Question, _: Any) -> list[bytes]:
    return [sources.page(question.get("view", {})).encode()]


ANSWERS: Mapping[str, Answer] = MappingProxyType(
    {
        "cut": _of_graph(exact_cut),
        "matrix": _of_graph(matrices.describe_matrix),
        "tile": _of_graph(matrices.tile),
        "internal": _of_graph(matrices.internal_dimensions),
        "filters": _of_graph(filters.effective_filters),
        "vectors": _of_graph(filters.neuron_vectors),
        "images": _images,
        "drop": _drop,
        "cancel": _cancel,
        "ping": _ping,
        "page": _page,
    }
)
"""What every widget answers; a timeline answers ``"frame"`` too."""
