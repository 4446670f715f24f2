"""Which map feeds which, read off a running model."""

from __future__ import annotations

from svr_widget.engine.trace.trace_model import Trace, trace

__all__ = ["Trace", "trace"]
