"""What a cell displayed before it was run again goes, if nobody holds it.

ipywidgets keeps every widget alive until it is closed, since the page may show it. When its cell is
run again the page shows it no longer; but whether a variable, a list or a callback still has it
nobody can say but Python's own collector. So for a moment nothing of the machinery holds it: what
the collector then frees closes itself, and whatever is left is put back as it was.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ipywidgets
from ipywidgets.widgets.widget import _instances

from svr_widget.widget.cells.closing import widgets_of

Reference = weakref.ref[ipywidgets.Widget]


class _Result(NamedTuple):
    """An entry of ``Out`` or of the names like it, such as ``_5``."""

    entries: dict[Any, Any]
    name: Any
    value: Reference


class Superseded:
    """Remembers what each cell displayed last."""

    def __init__(self) -> None:
        self._last: dict[str, list[Reference]] = {}
        self._stale: list[Reference] = []

    def run(self, shell: Any, cell: str | None, shown: Sequence[ipywidgets.Widget]) -> None:
        """A cell has ended; ``cell`` is what the notebook calls it, None where nobody knows."""
        if cell is None:
            return
        before = self._last.pop(cell, [])
        if shown:
            self._last[cell] = [weakref.ref(widget) for widget in shown]
        again = {id(widget) for widget in shown}
        gone = [each for each in before if id(each()) not in again and each() is not None]
        if gone:
            # Those that _, __ or ___ held the last time may be free by now.
            self._stale = [each for each in self._stale + gone if each() is not None]
            free(self._stale, shell)
            self._stale = [each for each in self._stale if each() is not None]


def free(roots: Sequence[Reference], shell: Any) -> None:
    """Let go of widgets that nothing but the machinery holds, with all that hang on them.

    Args:
        roots: what was displayed.
        shell: the names that it gave to results of cells do not count.
    """
    parts, results = _parts_of(roots), _results_of(roots, shell)
    try:
        for part in parts:
            if (widget := part()) is not None and widget.comm is not None:
                _instances.pop(widget.model_id, None)
                # Messages reach it as long as it lives.
                widget.comm.on_msg(_weakly(part))
        for result in results:
            result.entries.pop(result.name, None)
        widget = None
        gc.collect()
    finally:
        for part in parts:
            if (widget := part()) is not None and widget.comm is not None:
                _instances[widget.model_id] = widget
                widget.comm.on_msg(widget._handle_msg)
        for result in results:
            if (value := result.value()) is not None:
                result.entries.setdefault(result.name, value)


def _parts_of(roots: Sequence[Reference]) -> list[Reference]:
    """All widgets that hang on some and are not closed."""
    found = {}
    for root in roots:
        if (widget := root()) is not None:
            found.update({id(part): part for part in widgets_of(widget)})
    return [weakref.ref(part) for part in found.values() if part.comm is not None]


def _weakly(reference: Reference) -> Callable[[Any], None]:
    def handle(message: Any) -> None:
        if (widget := reference()) is not None:
            widget._handle_msg(message)

    return handle


def _results_of(roots: Sequence[Reference], shell: Any) -> list[_Result]:
    """Where ``Out`` and names like ``_5`` have them: the cell has another result and number now."""
    held = {id(widget) for root in roots if (widget := root()) is not None}
    out = shell.user_ns.get("_oh", {})
    found = [_Result(out, n, weakref.ref(value)) for n, value in out.items() if id(value) in held]
    return found + [
        _Result(names, name, result.value)
        for result in found
        for names in (shell.user_ns, shell.user_ns_hidden)
        if names.get(name := f"_{result.name}") is result.value()
    ]
