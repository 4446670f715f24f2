"""Whatever the page asks, and who answers it: one table of all kinds of question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.streaming.stream import COUNTED
from svr_widget.engine.significance.multiple_testing import MODES, check_level
from svr_widget.engine.significance.nulls import LOG_10
from svr_widget.svr import SVR
from svr_widget.widget.answers import filters, matrices
from svr_widget.widget.answers.asked import Asked, Question
from svr_widget.widget.answers.fields import (
    Anything,
    Fields,
    Flag,
    ListOf,
    MapOf,
    OneOf,
    Optional,
    Real,
    Text,
    Unless,
    Whole,
    read_fields,
)
from svr_widget.widget.answers.gallery import LARGEST_IMAGE, MOST_INPUTS, Gallery
from svr_widget.widget.answers.images import MOST_PIXELS, bytes_of_images
from svr_widget.widget.wire.codec import encode
from svr_widget.widget.wire.contract import LAWS, MATRICES
from svr_widget.widget.wire.words import sendable, shown

Reply = tuple[dict[str, Any], list[bytes]]

MOST_REPLY_BYTES = 16_000_000
"""Of one reply, worked out before it is made: the panes ask for a tenth of that at most."""

MOST_NEURONS = 64
"""Of one map, in one question."""
MOST_NETWORKS = 1024
"""Of one comparison."""

_LARGEST_ID = 2**53
_LONGEST_ID = 64


@dataclass(frozen=True)
class Sources:
    """What answers are made of.

    Attributes:
        at: the SVR of a checkpoint, or the one on screen.
        gallery: the inputs of the pane of spectral images.
        renew_inputs: tells the page that the inputs are others.
        cancel: stops what is being computed.
        resume: goes on with what was stopped.
        page: the widget as a page, with the traits of a view that may be ahead.
        page_of_all: the comparison that the widget is part of as a page, with the traits of a view
            of each of its networks.
    """

    at: Callable[[int | None], SVR]
    gallery: Gallery
    renew_inputs: Callable[[], None]
    cancel: Callable[[], None]
    resume: Callable[[], None]
    page: Callable[[Mapping[str, Any]], str]
    page_of_all: Callable[[Sequence[Mapping[str, Any]]], str]


Buffers = Sequence[memoryview | bytes]


def _bounded(_: Sources, __: Question) -> int:
    """The size of a reply that no question makes larger than what Python holds already."""
    return 0


@dataclass(frozen=True)
class Kind:
    """One kind of question.

    Attributes:
        fields: what it says.
        answer: gives the buffers of the reply; None where there is to be no reply.
        size: bytes of the reply, at most, worked out before it is made.
        buffers: how many come with it.
    """

    fields: Fields
    answer: Callable[[Sources, Question, Buffers], list[bytes] | None]
    size: Callable[[Sources, Question], int] = _bounded
    buffers: int = 0


class Answers:
    """Answers messages; what cannot be answered is said in a message too, never raised.

    Args:
        sources: what answers are made of.
        kinds: what may be asked.

    Attributes:
        asked: the questions about the present graph that were answered so far.
    """

    def __init__(self, sources: Sources, kinds: Mapping[str, Kind]) -> None:
        self._sources, self._kinds = sources, kinds
        self.asked = Asked()

    def answer(self, content: Any, buffers: Any = ()) -> Reply | None:
        """The reply to a view; an exported page will be able to answer the same question."""
        return self._reply(content, buffers, self.asked.add)

    def reply(self, content: Any, buffers: Any = ()) -> Reply | None:
        """The reply, which carries the question's ``id``, and its binary buffers."""
        return self._reply(content, buffers, lambda _: None)

    @with_own_settings
    def _reply(
        self, content: Any, buffers: Any, remember: Callable[[Question], None]
    ) -> Reply | None:
        reply: dict[str, Any] = {"kind": "error", "id": None}
        try:
            reply["id"] = _id_of(content)
            name, kind = self._kind_of(content)
            question = {"kind": name, **read_fields(kind.fields, content)}
            if len(buffers or ()) < kind.buffers:
                raise SVRError(f"{name} comes without its bytes")
            if (size := kind.size(self._sources, question)) > MOST_REPLY_BYTES:
                raise SVRError(
                    f"the reply would have {size:,} bytes, more than {MOST_REPLY_BYTES:,}: "
                    "ask for less at once"
                )
            binary = kind.answer(self._sources, question, buffers or ())
            if binary is None:
                return None
            remember(question)
            return {**reply, "kind": name}, binary
        except Exception as error:  # the person at the widget has to see it
            return {**reply, "message": _said(error)}, []

    def _kind_of(self, content: Any) -> tuple[str, Kind]:
        if not isinstance(content, Mapping):
            raise SVRError(f"a question is a mapping, not {shown(content)}")
        name = content.get("kind")
        if not isinstance(name, str) or name not in self._kinds:
            raise SVRError(f"there is no answer to {shown(name)}")
        return name, self._kinds[name]


def _id_of(content: Any) -> int | str | None:
    """What tells a view that the reply is for it; None where the message has nothing of the kind.

    What goes back has to be JSON for the page: a NaN or half of a character is not.
    """
    found = content.get("id") if isinstance(content, Mapping) else None
    if isinstance(found, str) and len(found) <= _LONGEST_ID and found.isprintable():
        return found
    if isinstance(found, int) and not isinstance(found, bool) and abs(found) < _LARGEST_ID:
        return found
    return None


def _said(error: Exception) -> str:
    """An error in words that can travel."""
    # What the engine refuses says what to do; of anything else the kind of error helps.
    name = "" if isinstance(error, SVRError) else f"{type(error).__name__}: "
    try:
        words = str(error)
    except Exception:  # an error of the model's own code may not know its words
        words = "its message cannot be read"
    return sendable(f"{name}{words}")


def exact_cut(svr: SVR, question: Question) -> bytes:
    """The cut at ``question["level"]`` of ``question["mode"]`` under ``question["law"]``.

    ``meta`` has ``log10_p``, ``significant`` and ``expected``, as in ``Cut``, beside what was
    asked; ``counts`` uint32 ``[links]`` are the significant edges of each link, as the page numbers
    them, where the scene has such counts as well.
    """
    asked = {name: question[name] for name in ("law", "mode", "level")}
    tests, level = svr.significance(question["law"]), np.array([float(question["level"])])
    check_level(question["mode"], question["level"])
    log_p = tests.log_cuts(question["mode"], level)
    significant = tests.totals(log_p)
    meta = {
        **asked,
        # Without a link nothing is tested.
        "log10_p": float(log_p[0]) / LOG_10 if tests.keys else None,
        "significant": int(significant[0]),
        "expected": float(tests.expected(question["mode"], level, log_p, significant)[0]),
    }
    counted = len(tests.keys) <= COUNTED
    arrays = {"counts": tests.counts(log_p)[0].astype(np.uint32)} if counted else {}
    return encode(meta, arrays)


def _images(sources: Sources, question: Question, _: Buffers) -> list[bytes]:
    return [sources.gallery.images(sources.at(question.get("step")), question)]


def _drop(sources: Sources, question: Question, buffers: Buffers) -> list[bytes]:
    gallery = sources.gallery
    gallery.drop(buffers[0], question["height"], question["width"], question["name"])
    sources.renew_inputs()
    return [encode({}, {})]


def _cancel(sources: Sources, *_: Any) -> None:
    sources.cancel()


def _resume(sources: Sources, *_: Any) -> None:
    sources.resume()


def _ping(*_: Any) -> list[bytes]:
    return []


def _page(sources: Sources, question: Question, _: Buffers) -> list[bytes]:
    return [sources.page(question.get("view", {})).encode()]


def _page_of_all(sources: Sources, question: Question, _: Buffers) -> list[bytes]:
    return [sources.page_of_all(question["views"]).encode()]


_LAW = OneOf(LAWS)
_STEP = Optional(Whole())
_MATRIX: Fields = {
    "link": Whole(),
    "matrix": OneOf(MATRICES),
    "coarse": Optional(Flag()),
}
_SOME = ListOf(Whole(), MOST_NEURONS)
_VIEW = MapOf(Anything(), 64)


def _of_graph(
    answer: Callable[[SVR, Question], bytes],
    fields: Fields,
    size: Callable[[SVR, Question], int] = lambda *_: 0,
) -> Kind:
    """A question that takes no more than a graph: the one on screen, or that of a checkpoint."""
    return Kind(
        {**fields, "step": _STEP},
        lambda sources, question, _: [answer(sources.at(question.get("step")), question)],
        lambda sources, question: size(sources.at(question.get("step")), question),
    )


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "cut": _of_graph(exact_cut, {"law": _LAW, "mode": OneOf(MODES), "level": Real()}),
        "matrix": _of_graph(matrices.describe_matrix, _MATRIX),
        "tile": _of_graph(
            matrices.tile,
            {
                **_MATRIX,
                "tile": Unless("coarse", ListOf(Whole(), 2, exactly=True)),
                "steps": Unless("coarse", ListOf(Whole(), 2, exactly=True)),
                "law": Unless("coarse", _LAW),
            },
        ),
        "internal": _of_graph(matrices.internal_dimensions, _MATRIX),
        "filters": _of_graph(
            filters.effective_filters,
            {"link": Whole(), "rows": _SOME, "columns": _SOME},
            filters.bytes_of_filters,
        ),
        "vectors": _of_graph(
            filters.neuron_vectors,
            {"column": Whole(), "k": Whole(), "most": Whole(0)},
            filters.bytes_of_vectors,
        ),
        "images": Kind(
            {
                "inputs": ListOf(Whole(), MOST_INPUTS, different=True),
                "neurons": MapOf(_SOME, MOST_NEURONS),
                "most": Whole(1, MOST_PIXELS),
                "cosine": Optional(Flag()),
                "revision": Optional(Whole()),
                "step": _STEP,
            },
            _images,
            lambda _, question: bytes_of_images(question),
        ),
        "drop": Kind(
            {
                "height": Whole(1, LARGEST_IMAGE),
                "width": Whole(1, LARGEST_IMAGE),
                "name": Text(),
            },
            _drop,
            buffers=1,
        ),
        "cancel": Kind({}, _cancel),
        "resume": Kind({}, _resume),
        "ping": Kind({}, _ping),
        "page": Kind({"view": Optional(_VIEW)}, _page),
        "comparison": Kind({"views": ListOf(_VIEW, MOST_NETWORKS)}, _page_of_all),
    }
)
"""What every widget answers; a timeline answers ``"frame"`` too."""


def frame_kind(scene: Callable[[int], bytes]) -> Kind:
    """The scene of a checkpoint, which only a timeline has."""
    return Kind({"step": Whole()}, lambda _, question, __: [scene(question["step"])])
