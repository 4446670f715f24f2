"""See what a neural network has learned in its weights: the Singular Value Representation.

``SVR`` computes the graph of spectral neurons; ``SVRWidget`` shows it in a notebook. The widget
is imported when it is first asked for, so the engine works where no notebook packages are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from svr_widget.engine import SVR, SVRRecorder

if TYPE_CHECKING:
    from svr_widget.widget import SVRWidget

__all__ = ["SVR", "SVRRecorder", "SVRWidget"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "SVRWidget":
        from svr_widget.widget import SVRWidget

        return SVRWidget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
