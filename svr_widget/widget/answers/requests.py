"""What the front end asks for while it is shown, and who answers which kind of question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from svr_widget.widget.answers import filters, matrices
from svr_widget.widget.wire.codec import encode

Answer = Callable[[SVR, dict[str, Any]], bytes]


def exact_cut(svr: SVR, question: dict[str, Any]) -> bytes:
    """The cut at ``question["level"]`` of ``question["mode"]`` under ``question["law"]``.

    ``counts`` uint32 ``[links]`` are the significant edges of each link, as the page numbers them;
    ``meta`` has ``log10_p`` and ``expected``, as in ``Cut``, beside what was asked.
    """
    asked = {name: question[name] for name in ("law", "mode", "level")}
    cut = svr.significance(question["law"]).cut(**{question["mode"]: question["level"]})
    # Over a whole graph every link has the same cut; without a link nothing is tested.
    meta = {**asked, "log10_p": next(iter(cut.log10_p.values()), None), "expected": cut.expected}
    return encode(meta, {"counts": np.array(list(cut.counts.values()), np.uint32)})


ANSWERS: Mapping[str, Answer] = {
    "cut": exact_cut,
    "matrix": matrices.describe_matrix,
    "tile": matrices.tile,
    "internal": matrices.internal_dimensions,
    "filters": filters.effective_filters,
    "vectors": filters.neuron_vectors,
}


def answer(
    svr: SVR, question: dict[str, Any], more: Mapping[str, Answer] = MappingProxyType({})
) -> tuple[dict[str, Any], list[bytes]]:
    """Answer one message; what cannot be answered is said in a message too, never raised.

    Args:
        svr: what is asked about.
        question: its ``kind`` and what that takes.
        more: answers that take more than an SVR, by kind.

    Returns:
        The reply, which carries the question's ``id``, and its binary buffers.
    """
    kind = str(question.get("kind"))
    reply = {"kind": kind, "id": question.get("id")}
    try:
        known = {**ANSWERS, **more}
        if kind not in known:
            raise ValueError(f"there is no answer to {kind!r}")
        return reply, [known[kind](svr, question)]
    except Exception as error:  # the person at the widget has to see it
        # What the engine refuses says what to do; of anything else the kind of error helps.
        name = "" if isinstance(error, SVRError) else f"{type(error).__name__}: "
        return {**reply, "kind": "error", "message": f"{name}{error}"}, []
