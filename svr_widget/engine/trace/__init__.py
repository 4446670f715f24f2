"""Which map feeds which, read off a model."""

from __future__ import annotations

from svr_widget.engine.trace.api import Trace, trace
from svr_widget.engine.trace.order import depths, directed
from svr_widget.engine.trace.pairs import links_from_pairs

__all__ = ["Trace", "depths", "directed", "links_from_pairs", "trace"]
