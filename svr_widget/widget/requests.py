"""What the front end asks for while it is shown, and the answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine import SVR
from svr_widget.widget.codec import encode
from svr_widget.widget.scene import scene_links


def answer(svr: SVR, question: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Answer one message; what cannot be answered is said in a message too, never raised.

    Returns:
        The reply, which carries the question's ``id``, and its binary buffers.
    """
    reply = {"kind": question.get("kind"), "id": question.get("id")}
    try:
        if reply["kind"] != "adjacency":
            raise ValueError(f"there is no answer to {reply['kind']!r}")
        return reply, [_adjacency(svr, question)]
    except Exception as error:  # the person at the widget has to see it
        return {**reply, "kind": "error", "message": f"{type(error).__name__}: {error}"}, []


def _adjacency(svr: SVR, question: dict[str, Any]) -> bytes:
    """A part of a link's matrix, pooled to at most ``question["max"]`` cells a side.

    With ``question["bytes"]`` an entry is one byte, 255 times the root of its share of the largest.
    """
    link, _ = scene_links(svr)[question["link"]]
    adjacency = svr.adjacency(link)
    dense = adjacency.dense().numpy()
    rows, cols = (
        _range(question.get(side), size)
        for side, size in zip(("rows", "cols"), dense.shape, strict=True)
    )
    pooled = max_pool(dense[slice(*rows), slice(*cols)], question["max"])
    dimensions = adjacency.internal_dimensions()
    p_value = dimensions.p_value
    meta = {
        "link": question["link"],
        "rows": rows,
        "cols": cols,
        "shape": dense.shape,
        "max": float(dense.max(initial=0.0)),
        "internal": {
            "d_out": dimensions.d_out,
            "d_in": dimensions.d_in,
            "deviation": dimensions.deviation,
            "p_value": p_value,
        },
    }
    if question.get("bytes"):
        share = np.sqrt(pooled.astype(np.float64) / (meta["max"] or 1.0))
        return encode(meta, {"adjacency": np.rint(255 * share).astype(np.uint8)})
    return encode(meta, {"adjacency": pooled.astype(np.float32)})


def max_pool(matrix: NDArray[np.floating], most: tuple[int, int]) -> NDArray[np.floating]:
    """The largest entry of each cell, in a grid of at most ``most`` rows and columns.

    Cell ``i`` of ``r`` holds the entries ``ceil(i n / r)`` up to ``ceil((i + 1) n / r)`` of ``n``.
    """
    for axis, cells in enumerate(most):
        size = matrix.shape[axis]
        if size > cells:
            starts = -(-np.arange(cells) * size // cells)
            matrix = np.maximum.reduceat(matrix, starts, axis=axis)
    return matrix


def _range(asked: Any, size: int) -> tuple[int, int]:
    low, high = asked or (0, size)
    if not 0 <= low < high <= size:
        raise ValueError(f"entries {low} to {high} reach outside of {size}")
    return int(low), int(high)
