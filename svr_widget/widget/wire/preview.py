"""What the page draws before there is a scene; ``js/src/wire/preview.ts`` reads it.

Columns with the singular values that are known so far, and who feeds whom; no edges, no tests.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from svr_widget.engine.decompose.preview import Preview
from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import Array, encode
from svr_widget.widget.wire.columns import about_columns
from svr_widget.widget.wire.links import link_ends

WAITING, PREVIEW, EXACT = 0, 1, 2
"""What ``state`` says of a column: nothing is known of it, its leading values, or all of them."""


def encode_preview(svr: SVR, previews: Mapping[str, Preview]) -> bytes:
    """Pack the maps that are decomposed, the leading values of others, and the links.

    Args:
        svr: nothing of it is computed here.
        previews: by column, of those that are not decomposed yet.
    """
    shown, values, null, states = [], [np.empty(0)], [np.empty(0, np.bool_)], []
    for name, column in svr.columns.items():
        exact, preview = svr.decomposed.get(column), previews.get(name)
        if exact is not None:
            found, zero = exact.S.numpy(), exact.null.numpy()
            states.append(EXACT)
        elif preview is not None:
            found, zero = preview.S.numpy(), np.zeros(len(preview), np.bool_)
            states.append(PREVIEW)
        else:
            found, zero = np.empty(0), np.empty(0, np.bool_)
            states.append(WAITING)
        shown.append((len(found), 0.0 if exact is None else exact.energy))
        values.append(found)
        null.append(zero)
    meta = {
        "model": svr.title,
        "method": svr.method,
        "norm": svr.norm if svr.has_norms else None,
        **about_columns(svr, shown),
    }
    return encode(
        meta,
        {
            "state": np.array(states, np.uint8),
            "singular_value": np.concatenate(values),
            "null": np.concatenate(null).astype(np.uint8),
            **_links(svr),
        },
    )


def _links(svr: SVR) -> dict[str, Array]:
    """Which column feeds which, each once; ``flags`` as of the links of a scene."""
    ends = link_ends(svr)
    each = np.unique(np.stack(list(ends.values()), axis=1), axis=0, return_index=True)[1]
    first = np.sort(each)
    return {name: column[first] for name, column in ends.items()}
