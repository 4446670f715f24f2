"""Closing widgets whole: ipywidgets closes a box and keeps its children and layouts for good."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import ipywidgets
from ipywidgets.widgets.widget import _instances


def widgets_of(root: ipywidgets.Widget, keep: Collection[Any] = ()) -> list[ipywidgets.Widget]:
    """A widget and all that hang on it by their traits, but for some and what hangs on those."""
    found: dict[int, ipywidgets.Widget] = {}
    left: list[Any] = [root]
    while left:
        widget = left.pop()
        if id(widget) not in found and not any(widget is kept for kept in keep):
            found[id(widget)] = widget
            # What was never asked for is not made for this: defaults come into being when read.
            left += _widgets_in(list(widget._trait_values.values()))
    return list(found.values())


def close_parts(root: ipywidgets.Widget, keep: Collection[Any] = ()) -> None:
    """Close all that hang on a widget, but for some, and a layout that another widget has too."""
    parts = widgets_of(root, keep)
    mine = {id(part) for part in parts}
    shared = {
        id(layout)
        for widget in list(_instances.values())
        if id(widget) not in mine
        for layout in _widgets_in([widget._trait_values.get("layout")])
    }
    for part in parts:
        if part is not root and id(part) not in shared:
            part.close()


def _widgets_in(values: Iterable[Any]) -> Iterator[ipywidgets.Widget]:
    for value in values:
        if isinstance(value, ipywidgets.Widget):
            yield value
        elif isinstance(value, list | tuple):
            yield from _widgets_in(value)
        elif isinstance(value, Mapping):
            yield from _widgets_in(list(value.values()))
