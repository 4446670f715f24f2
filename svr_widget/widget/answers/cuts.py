"""The exact cut at a level that the page cannot work out from what it was sent."""

from __future__ import annotations

from typing import Any

import numpy as np

from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import encode


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
