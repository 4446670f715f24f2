"""Which widgets a cell displayed itself: a picture follows them when it has ended.

What is shown under a ``display_id``, put into an ``Output`` widget or captured is for others to
update and to take away: a picture beside it would stay.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, NamedTuple, Protocol

import ipywidgets
from IPython.core.displayhook import DisplayHook
from IPython.core.getipython import get_ipython
from IPython.display import display
from ipywidgets.widgets.widget import _instances

from svr_widget.widget.cells.superseded import Superseded

_DEPTH = 24
"""Frames from a widget's bundle up to what asked for it: IPython has about ten between."""


class Pictured(Protocol):
    """A widget that can put its picture into an output."""

    def _publish_picture(self) -> None:
        """Put it there, now or once it can be drawn; raises nothing."""


class _Shown(NamedTuple):
    """A widget and where it was displayed: into what, at whose request."""

    widget: Any
    publisher: Any
    request: Any


class _Cells:
    """Follows the cells of a shell from the first one that displays a widget of ours."""

    def __init__(self) -> None:
        self._shell: Any = None
        self._waiting: list[_Shown] = []
        self._superseded = Superseded()

    def display(self, widget: Pictured) -> None:
        shell = get_ipython()
        if shell is None or not _by_the_cell_itself():
            return
        if self._shell is not shell:
            self._shell = shell
            shell.events.register("post_run_cell", self._ended)
        self._waiting.append(_Shown(widget, shell.display_pub, _request(shell)))

    def _ended(self, result: Any) -> None:
        waiting, self._waiting = self._waiting, []
        # Not those that were captured within the cell, nor what a handler displayed before it.
        here = self._shell.display_pub, _request(self._shell)
        shown = [each.widget for each in waiting if (each.publisher, each.request) == here]
        for widget in {id(each): each for each in shown}.values():
            widget._publish_picture()
        cell = getattr(getattr(result, "info", None), "cell_id", None)
        self._superseded.run(self._shell, cell, shown)


_cells = _Cells()


def displayed(widget: Pictured) -> None:
    """To be called while the output of a widget is made."""
    _cells.display(widget)


def _by_the_cell_itself() -> bool:
    """Whether a plain ``display(widget)`` or the result of the cell is being made.

    IPython does not tell a widget for which output its bundle is; whoever asks for it stands above.
    """
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_DEPTH):
        if frame is None:
            return False
        if frame.f_code is DisplayHook.__call__.__code__:
            return True
        if frame.f_code is display.__code__:
            asked = frame.f_locals
            others = asked.get("display_id"), asked.get("transient"), asked.get("kwargs")
            return not any(others) and not _captured()
        frame = frame.f_back
    return False


def _captured() -> bool:
    """Whether an ``Output`` widget takes what is displayed now."""
    widgets = list(_instances.values())
    return any(isinstance(widget, ipywidgets.Output) and widget.msg_id for widget in widgets)


def _request(shell: Any) -> Any:
    """What the output is an answer to; None where there is no kernel."""
    return getattr(shell.display_pub, "parent_header", {}).get("msg_id")
