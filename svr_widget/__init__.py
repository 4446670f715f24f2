"""See what a neural network has learned in its weights: the Singular Value Representation.

``SVR`` computes the graph of spectral neurons and ``SVRRecorder`` follows it through training;
``SVRWidget`` and ``SVRTimeline`` show them in a notebook. The widgets are imported when they are
first asked for, so the engine works where no notebook packages are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from svr_widget import cache
from svr_widget.engine.analysis.matching import Matching
from svr_widget.engine.compression.pruning.report import PruningReport
from svr_widget.engine.compression.removal.report import RemovalReport
from svr_widget.engine.decompose import Certificate, Decomposition
from svr_widget.engine.errors import (
    NoMapsError,
    NonFiniteWeightsError,
    OutputChangeError,
    SVRError,
    ThresholdError,
    TraceError,
    UnsupportedLayerError,
    WidthMismatchError,
)
from svr_widget.engine.graph.adjacency import Adjacency
from svr_widget.engine.graph.internal_dimensions import InternalDimensions
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import Layout, Link
from svr_widget.recording.recorder import SVRRecorder
from svr_widget.recording.recording import Recording
from svr_widget.svr import SVR

if TYPE_CHECKING:
    from svr_widget.widget import SVRTimeline, SVRWidget, compare

__all__ = [
    "SVR",
    "Adjacency",
    "Certificate",
    "Decomposition",
    "InternalDimensions",
    "Layout",
    "LinearMap",
    "Link",
    "Matching",
    "NoMapsError",
    "NonFiniteWeightsError",
    "OutputChangeError",
    "PruningReport",
    "Recording",
    "RemovalReport",
    "SVRError",
    "SVRRecorder",
    "SVRTimeline",
    "SVRWidget",
    "ThresholdError",
    "TraceError",
    "UnsupportedLayerError",
    "WidthMismatchError",
    "cache",
    "compare",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("SVRTimeline", "SVRWidget", "compare"):
        from svr_widget import widget

        return getattr(widget, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
