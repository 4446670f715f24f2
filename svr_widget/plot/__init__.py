"""Pictures for print, with matplotlib: what ``SVR.plot`` draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from matplotlib.figure import Figure

from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.plot.dimensions import dimensions
from svr_widget.plot.graph import graph
from svr_widget.plot.images import images
from svr_widget.plot.links import links
from svr_widget.plot.matrices import adjacency, cross, output
from svr_widget.plot.similarity import similarity
from svr_widget.plot.survival import survival
from svr_widget.plot.themes import DARK, LIGHT, Theme

__all__ = [
    "DARK",
    "LIGHT",
    "Plot",
    "Theme",
    "adjacency",
    "cross",
    "dimensions",
    "draw",
    "graph",
    "images",
    "links",
    "output",
    "similarity",
    "survival",
]

Plot = Literal[
    "graph",
    "adjacency",
    "cross",
    "output",
    "survival",
    "dimensions",
    "links",
    "images",
    "similarity",
]

_PLOTS: dict[Plot, Callable[..., Figure]] = {
    "graph": graph,
    "adjacency": adjacency,
    "cross": cross,
    "output": output,
    "survival": survival,
    "dimensions": dimensions,
    "links": links,
    "images": images,
    "similarity": similarity,
}

_OF: dict[str, str] = {
    **dict.fromkeys(("graph", "dimensions", "links"), "nothing"),
    **dict.fromkeys(("output", "images", "similarity"), "the name of a map"),
}
"""What a picture is of, where that is not a link."""


def draw(svr: SpectralGraph, what: Plot, of: Any, options: dict[str, Any]) -> Figure:
    """One of the pictures; see ``SVR.plot``."""
    known = get_args(Plot)
    if what not in known:
        names = ", ".join(map(repr, known))
        raise SVRError(f"plot: {what!r} is none of {names}{nearest_name(what, known)}")
    wanted = _OF.get(what, "a key of links")
    if (of is None) != (wanted == "nothing"):
        raise SVRError(f"plot({what!r}, of) is a picture of {wanted}, got of={of!r}")
    return _PLOTS[what](svr, *(() if of is None else (of,)), **options)
