"""What a widget sends, as tests read it."""

from __future__ import annotations

from typing import Any

import numpy as np

from svr_widget.widget.wire.codec import decode


def scene_of(sent: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """A scene's words and arrays, and among the words each link as a row of its columns."""
    meta, arrays = decode(sent)
    columns = {name[5:]: array for name, array in arrays.items() if name.startswith("link_")}
    start = np.cumsum(columns["sent"]) - columns["sent"]
    rows = [
        {name: column[at].item() for name, column in columns.items()}
        for at in range(len(columns["sent"]))
    ]
    for row, first in zip(rows, start.tolist(), strict=True):
        row |= {"start": first, "through": meta["through"][row["through"]]}
        row |= {"side": {0: "", 4: "q", 8: "k"}[row["flags"] & 12]}
        row |= {"by_construction": bool(row["flags"] & 2)}
    return {**meta, "links": rows}, arrays
