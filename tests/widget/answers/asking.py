"""Asks about a graph what a page would ask, without a widget."""

from __future__ import annotations

from typing import Any

from svr_widget import SVR
from svr_widget.widget.answers.gallery import Gallery
from svr_widget.widget.answers.requests import KINDS, Answers, Sources


def answers_about(svr: SVR) -> Answers:
    """What answers questions about a graph."""
    sources = Sources(
        at=lambda _: svr,
        gallery=Gallery(svr.model),
        renew_inputs=lambda: None,
        cancel=lambda: None,
        resume=lambda: None,
        page=lambda _: "",
        page_of_all=lambda _: "",
    )
    return Answers(sources, KINDS)


def answer(svr: SVR, question: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """The reply to one question."""
    reply = answers_about(svr).reply(question)
    assert reply is not None
    return reply
