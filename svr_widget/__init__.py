"""See what a neural network has learned in its weights: the Singular Value Representation.

``SVR`` computes the graph of spectral neurons and ``SVRRecorder`` follows it through training;
``SVRWidget`` and ``SVRTimeline`` show them in a notebook. The widgets are imported when they are
first asked for, so the engine works where no notebook packages are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from svr_widget.engine import SVR, SVRRecorder

if TYPE_CHECKING:
    from svr_widget.widget import SVRTimeline, SVRWidget

__all__ = ["SVR", "SVRRecorder", "SVRTimeline", "SVRWidget"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in ("SVRTimeline", "SVRWidget"):
        from svr_widget import widget

        return getattr(widget, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
