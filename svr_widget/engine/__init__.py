"""The engine: torch in, numbers out; it knows no widget."""

from svr_widget.engine.adjacency import Adjacency
from svr_widget.engine.decompose import Certificate, Decomposition
from svr_widget.engine.links import Layout, Link
from svr_widget.engine.maps import LinearMap
from svr_widget.engine.recording.recorder import SVRRecorder
from svr_widget.engine.recording.recording import Recording
from svr_widget.engine.svr import SVR

__all__ = [
    "SVR",
    "Adjacency",
    "Certificate",
    "Decomposition",
    "Layout",
    "LinearMap",
    "Link",
    "Recording",
    "SVRRecorder",
]
