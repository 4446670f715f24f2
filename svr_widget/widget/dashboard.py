"""The widget and its charts side by side."""

from __future__ import annotations

from typing import Any

import ipywidgets

from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.cells.displayed import displayed
from svr_widget.widget.traits import Traits

__all__ = ["Dashboard"]


class Dashboard(ipywidgets.Box):  # type: ignore[misc]  # ipywidgets is untyped
    """A widget with its charts, which belong to the dashboard, as the widget does not."""

    def __init__(self, widget: Traits, charts: ipywidgets.Widget) -> None:
        self._widget = widget
        super().__init__([widget, charts])
        # The charts bring the style: beside the widget where there is room, else beneath it.
        self.add_class("svr-dashboard")

    def close(self) -> None:
        """Take the dashboard and its charts off every page."""
        close_parts(self, keep=[self._widget])
        super().close()

    def _publish_picture(self) -> None:
        """Put the widget's picture into an output of the cell."""
        self._widget._publish_picture()

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        displayed(self)
        return super()._repr_mimebundle_(**keywords)
