"""Parameters of no known layer: which of them are only added to what the maps make."""

from __future__ import annotations

from collections.abc import Iterable

from svr_widget.engine.trace.flow.call import Call

_BESIDE = frozenset({"add", "sub", "rsub", "cat", "stack", "where", "copy"})
"""Operators in which a tensor of learned numbers is added to others or put beside them."""

_MASK = "attn_mask"
"""What attention adds to its scores."""


class Constants:
    """Watches some parameters through the operators of a forward pass.

    Args:
        names: qualified names of the parameters.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._met: set[str] = set()
        self._combined: set[str] = set()

    @property
    def added(self) -> frozenset[str]:
        """Those that were met, and were nowhere combined with channels or data but by addition."""
        return frozenset(self._met - self._combined)

    def see(self, call: Call) -> None:
        """Take note of an operator, which applies no map."""
        if not self._names:
            return
        flows = list(call.flows())
        combines = call.name not in _BESIDE and any(flow.traced or flow.data for flow in flows)
        for flow in flows:
            names = flow.weights & self._names
            self._met |= names
            if combines and flow is not call.get(_MASK):
                self._combined |= names

    def applied(self, weights: frozenset[str], read: frozenset[str]) -> None:
        """Take note of a map's use: of what its weight is computed from, and of what it reads."""
        self._combined |= weights & self._names
        self._met |= read & self._names
