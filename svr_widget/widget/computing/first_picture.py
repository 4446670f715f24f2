"""What is seen of a graph while there is no picture yet: its maps as they are done."""

from __future__ import annotations

import time
from collections.abc import Mapping

from svr_widget.engine.decompose.preview import Preview
from svr_widget.engine.graph.cost import is_slow
from svr_widget.svr import SVR
from svr_widget.widget.computing.computation import Report
from svr_widget.widget.traits import Traits
from svr_widget.widget.wire.preview import encode_preview

PAUSE = 1.0
"""Seconds between two that are sent, at least."""
SHARE = 0.05
"""The part of the time that is spent on them, at most."""


class FirstPicture:
    """Sends the maps of a graph that are decomposed, and of slow ones their leading values.

    Args:
        widget: whose page they are sent to, as long as it has no scene.
        svr: the graph that is being computed.
    """

    def __init__(self, widget: Traits, svr: SVR) -> None:
        self._widget, self._svr = widget, svr
        self._previews: Mapping[str, Preview] = {}
        self._sent: tuple[str, ...] | None = None
        self._next = -float("inf")

    def begin(self, report: Report) -> None:
        """Find what is known of the slow maps long before they are done."""
        total = len(self._missing()) + len(self._svr.links)
        self._previews = self._svr.preview_all(lambda name, _: report(name, 0, total))

    def following(self, report: Report) -> Report:
        """Report, and send what is there now and then, and before what takes long."""

        def told(name: str, done: int, total: int) -> None:
            report(name, done, total)  # raises where it was cancelled
            known = self._svr.maps.get(name)
            if time.monotonic() >= self._next or (known is not None and is_slow(known)):
                self.send()

        return told

    def send(self) -> None:
        """Send what there is, unless that was sent before; nothing where there is nothing."""
        start, missing = time.monotonic(), self._missing()
        begun = len(missing) < len(self._svr.columns) or self._previews
        if begun and missing != self._sent and not self._widget._scene:
            self._widget._preview = encode_preview(self._svr, self._previews)
            self._sent = missing
        end = time.monotonic()
        self._next = end + max(PAUSE, (end - start) / SHARE)

    def _missing(self) -> tuple[str, ...]:
        decomposed = self._svr.decomposed
        return tuple(name for name, column in self._svr.columns.items() if column not in decomposed)
