"""Values that came from outside in words that can travel back."""

from __future__ import annotations

from typing import Any

_LONGEST_SHOWN = 60
_MOST_SHOWN = 3
_LONGEST_SENT = 2000


def shown(value: Any, depth: int = 1) -> str:
    """A value of any kind and size, briefly: lists by their first items."""
    if isinstance(value, bool | float) or value is None:
        return repr(value)
    if isinstance(value, int):
        # Python writes no more than 4,300 digits.
        return repr(value) if value.bit_length() <= 64 else f"one of {value.bit_length()} bits"
    if isinstance(value, str):
        cut = value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}…"
        return repr(cut) if cut.isprintable() else ascii(cut)
    if isinstance(value, list | tuple) and depth:
        items = [shown(each, depth - 1) for each in value[:_MOST_SHOWN]]
        more = ["…"] if len(value) > _MOST_SHOWN else []
        return f"[{', '.join(items + more)}]"
    return f"a {type(value).__name__}"


def sendable(words: str) -> str:
    """Words cut to what one reads, without halves of characters, which are no UTF-8."""
    return words[:_LONGEST_SENT].encode(errors="replace").decode()
