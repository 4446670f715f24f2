"""The engine: torch in, numbers out; it knows neither pictures nor notebooks.

What users call, catch or annotate with is exported by ``svr_widget`` itself.
"""

from __future__ import annotations

import warnings
from typing import Any

_MOVED = frozenset(
    {
        "SVR",
        "Adjacency",
        "Certificate",
        "Decomposition",
        "Layout",
        "LinearMap",
        "Link",
        "Recording",
        "SVRRecorder",
    }
)
"""What this package exported up to version 0.1."""


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import svr_widget

    warnings.warn(
        f"svr_widget.engine.{name} is svr_widget.{name} now; the old name goes with version 0.3",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr(svr_widget, name)
