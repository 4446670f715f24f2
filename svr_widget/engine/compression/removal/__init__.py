"""Dead channels taken out of a model for good."""

from __future__ import annotations

from svr_widget.engine.compression.removal.remove import TOLERANCE, remove_dead_channels
from svr_widget.engine.compression.removal.report import RemovalReport

__all__ = ["TOLERANCE", "RemovalReport", "remove_dead_channels"]
