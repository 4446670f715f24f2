"""A hook of mkdocs: ``<!-- traits of SVRWidget -->`` becomes a table of the traits of that widget.

Traits are described by their own ``help``, which the docstrings do not repeat.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import anywidget
import traitlets

import svr_widget

_PLACE = re.compile(r"<!-- traits of (\w+) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with its tables."""
    return _PLACE.sub(lambda found: "\n".join(_table(found[1])), markdown)


def _table(widget: str) -> Iterator[str]:
    traits = getattr(svr_widget, widget).class_traits(sync=True)
    theirs = anywidget.AnyWidget.class_traits()
    yield from ("| trait | value | at first | meaning |", "| --- | --- | --- | --- |")
    for name, trait in traits.items():
        if not name.startswith("_") and name not in theirs:
            yield f"| `{name}` | {_kind(trait)} | `{trait.default()!r}` | {trait.help} |"


def _kind(trait: traitlets.TraitType[Any, Any]) -> str:
    if isinstance(trait, traitlets.Enum):
        return ", ".join(f"`{value!r}`" for value in trait.values or ())
    none = " or None" if trait.allow_none else ""
    return f"{type(trait).__name__.lower()}{none}"
