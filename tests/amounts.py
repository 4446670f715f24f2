"""How much of a thing the tests try: some in each run, many where ``make soak`` asks for it."""

from __future__ import annotations

import os

SOAK = bool(os.environ.get("SVR_SOAK"))


def amount(usual: int, soaked: int) -> int:
    """``usual``, or ``soaked`` in a soak."""
    return soaked if SOAK else usual
