"""What Python and the page must agree on, each fact once; the page imports what is written from it.

``python -m svr_widget.widget.wire.contract`` writes js/src/wire/contract.ts in a checkout.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from svr_widget.engine.graph.adjacency import Method
from svr_widget.engine.maps import parts
from svr_widget.engine.network.norms.folding import Normalisation
from svr_widget.engine.significance.intensity_null import CERTAIN
from svr_widget.engine.significance.multiple_testing import LEVELS, MODES
from svr_widget.engine.significance.nulls import Kind

LAWS: tuple[Kind, ...] = get_args(Kind)
Y_SCALES = ("auto", "linear", "log", "relative", "rank")
COLOURS = ("chance", "paper")
"""What the hue of a neuron tells: how sure it is that chance does not do it, or the intensity."""

THEMES = ("auto", "light", "dark")
PANES = ("adjacency", "links", "images", "filters", "table")
COMPARISON_VIEWS = ("beside", "difference")
"""How networks are compared: beside each other, or by what changed."""

MATRICES = ("adjacency", "cross", "output")
"""The matrices of a link."""

TILE = 256
"""Cells of a tile of a matrix, a side."""

FIRST_NEURONS, MOST_NEURONS, MOST_CHANNELS = 4, 6, 64
"""In the pane of filters: neurons of a map where none is selected, and at most; channels of one."""

MOST_COLUMNS, MOST_POSITIONS = 12, 96
"""In the pane of spectral images: maps or inputs side by side, and positions a side of an image."""

_LAYERS = (parts.LINEAR, parts.CONVOLUTION, parts.TRANSPOSED_CONVOLUTION, parts.EMBEDDING)
KINDS = (*(layer.noun for layer in _LAYERS), "attention")
"""The kinds of maps that have a hue of their own."""

WRITTEN = Path(__file__).parents[3] / "js" / "src" / "wire" / "contract.ts"

_HEAD = """\
// What Python and the page must agree on, each fact once. Not written by hand:
// `python -m svr_widget.widget.wire.contract` writes it from Python's own values.

"""


def contract() -> dict[str, Any]:
    """The facts as the page has them."""
    return {
        "methods": get_args(Method),
        "norms": get_args(Normalisation),
        "modes": MODES,
        "laws": LAWS,
        "y_scales": Y_SCALES,
        "colours": COLOURS,
        "certain": CERTAIN,
        "themes": THEMES,
        "panes": PANES,
        "matrices": MATRICES,
        "comparison_views": COMPARISON_VIEWS,
        "kinds": KINDS,
        "levels": {mode: levels._asdict() for mode, levels in LEVELS.items()},
        "filters": {
            "first_neurons": FIRST_NEURONS,
            "most_neurons": MOST_NEURONS,
            "most_channels": MOST_CHANNELS,
        },
        "images": {"most_columns": MOST_COLUMNS, "most_positions": MOST_POSITIONS},
        "tile": TILE,
    }


def as_typescript() -> str:
    """The file that the page imports."""
    return f"{_HEAD}export const CONTRACT = {json.dumps(contract(), indent=2)} as const;\n"


if __name__ == "__main__":
    WRITTEN.write_text(as_typescript(), encoding="utf-8")
