"""A self-contained page: the widget as it stands, without a kernel and without a network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from svr_widget.widget.answers.asked import MATRIX_KINDS, Question
from svr_widget.widget.wire import front_end
from svr_widget.widget.wire.codec import Array, encode

MOST_IMAGE_BYTES = 8_000_000
MOST_OTHER_BYTES = 16_000_000
LEAST_OTHER_BYTES = 500_000
"""Spectral images, and matrices, filters and vectors in a page, before they are compressed; those
asked for come first. Of the latter as much less as the graph itself is large, fourfold: a page of
tens of thousands of links has room for the matrices of a few."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="svr_widget">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
body {{ margin: 0; padding: 16px; }}
body:has(.svr[data-theme="dark"]) {{ background: #14171a; }}
{css}
</style>
</head>
<body>
<main id="svr"></main>
<noscript>This page draws with JavaScript, which is switched off here.</noscript>
<script type="text/plain" id="svr-data">{data}</script>
<script type="module">{script}</script>
</body>
</html>
"""
# Nothing is loaded from anywhere and no script runs but the page's own, known by its hash: the page
# says so itself, and the browser holds it to it. Workers are made of blobs by that script.
_POLICY = (
    "default-src 'none'; script-src {scripts}; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
)


class Answer(NamedTuple):
    """What the page answers to every question that says at least ``question``."""

    question: Mapping[str, Any]
    message: Mapping[str, Any]
    buffers: Sequence[bytes]


def answers_to(
    questions: Iterable[Question],
    ask: Callable[[Question], tuple[Mapping[str, Any], Sequence[bytes]] | None],
    beside: int = 0,
) -> list[Answer]:
    """Ask in advance: matrices in coarse, and all until ``MOST_..._BYTES`` are full.

    Args:
        questions: more important ones first; what comes twice is asked once.
        ask: gives the message and its buffers, if there is a reply.
        beside: bytes of the graph itself.
    """
    answers: dict[str, Answer] = {}
    other = min(MOST_OTHER_BYTES, max(MOST_OTHER_BYTES - 4 * beside, LEAST_OTHER_BYTES))
    room = {True: MOST_IMAGE_BYTES, False: other}
    for question in questions:
        key = json.dumps(question)
        is_image = question["kind"] == "images"
        if key in answers or room[is_image] <= 0:
            continue
        coarse = {"coarse": True} if question["kind"] in MATRIX_KINDS else {}
        if (reply := ask({**question, **coarse})) is None:
            continue
        message, buffers = reply
        room[is_image] -= len(key) + len(json.dumps(message)) + sum(map(len, buffers))
        if room[is_image] >= 0:
            answers[key] = Answer(question, message, buffers)
    return list(answers.values())


class Part(NamedTuple):
    """What a page holds of a widget: its traits, bytes as they are, and answers in advance."""

    state: Mapping[str, Any]
    answers: Sequence[Answer] = ()


def page(title: str, state: Mapping[str, Any], answers: Sequence[Answer]) -> str:
    """The page as HTML.

    Args:
        title: of the page.
        state: the widget's traits; those that are bytes go as they are.
        answers: what panes ask Python for, answered in advance.
    """
    return _written(title, *_packed(Part(state, answers), ""))


def page_of_several(title: str, whole: Part, sides: Sequence[Part]) -> str:
    """The page of a comparison, as HTML: its own traits, and a widget's for each network."""
    meta, arrays = _packed(whole, "")
    described = []
    for place, side in enumerate(sides):
        about, more = _packed(side, f"{place}/")
        described.append(about)
        arrays |= more
    return _written(title, {**meta, "sides": described}, arrays)


def _packed(part: Part, prefix: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """What a container says of a part, and its arrays, whose names begin with the prefix."""
    state, answers = part
    binary = {name: value for name, value in state.items() if isinstance(value, bytes)}
    buffers = {
        f"answer {place} {index}": buffer
        for place, answer in enumerate(answers)
        for index, buffer in enumerate(answer.buffers)
    }
    meta = {
        "traits": {name: value for name, value in state.items() if name not in binary},
        "binary": list(binary),
        "answers": [
            {
                "question": answer.question,
                "message": answer.message,
                "buffers": [f"answer {place} {index}" for index in range(len(answer.buffers))],
            }
            for place, answer in enumerate(answers)
        ],
    }
    arrays = {f"{prefix}{name}": _bytes(value) for name, value in {**binary, **buffers}.items()}
    return meta, arrays


def _written(title: str, meta: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    container = encode(meta, arrays)
    script = _inline(front_end.read("page.js"))
    return _PAGE.format(
        policy=html.escape(_POLICY.format(scripts=_hash_source(script))),
        title=html.escape(title),
        css=front_end.read("widget.css"),
        data=base64.b64encode(gzip.compress(container, mtime=0)).decode(),
        script=script,
    )


def _bytes(value: bytes) -> Array:
    return np.frombuffer(value, np.uint8)


def _inline(script: str) -> str:
    """A script that cannot end the element it stands in, with line ends as a browser reads them."""
    safe = script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    return f"\n{safe}\n".replace("\r\n", "\n").replace("\r", "\n")


def _hash_source(script: str) -> str:
    """What a content security policy calls a script that stands in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
