"""Two networks side by side: one axis, one threshold, and neurons that are the same in both."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from svr_widget.engine import SVR
from svr_widget.engine.matching import Matching, form

if TYPE_CHECKING:
    from svr_widget.widget.widget import SVRWidget

__all__ = ["Comparison"]

SHARED = ("method", "null", "y_scale", "panes", "theme", "height")
Neuron = tuple[str, int]


class Comparison(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
    """Two widgets that show two networks on the same axes and follow each other.

    Attributes:
        left, right: the two ``SVRWidget``.
        matching: which neurons are the same (``SVR.match``) over the maps of the same name and
            form; None where there is no such map.
    """

    def __init__(self, left: SVRWidget, right: SVRWidget) -> None:
        self.left, self.right = left, right
        for widget in (left, right):
            widget.wait()
        self.matching: Matching | None = None
        self._partners: dict[bool, dict[Neuron, Neuron]] = {True: {}, False: {}}
        self._following = False
        self._said = ipywidgets.HTML()
        sides = ipywidgets.GridBox(
            [left, right],
            layout={"grid_template_columns": "minmax(0, 1fr) minmax(0, 1fr)", "grid_gap": "16px"},
        )
        super().__init__([self._said, sides])
        self._links = [traitlets.link((left, name), (right, name)) for name in SHARED]
        left.observe(self._share_threshold, ["threshold", "threshold_mode"])
        right.observe(self._share_threshold, ["threshold", "threshold_mode"])
        left.observe(self._share_selection, "selected")
        right.observe(self._share_selection, "selected")
        for widget in (left, right):
            widget.observe(self._renew, "_scene")
        self._share_threshold({"owner": left})
        self._renew(None)

    def close(self) -> None:
        """Take both widgets off every page."""
        if hasattr(self, "_links"):
            while self._links:
                self._links.pop().unlink()
            for widget in (self.left, self.right):
                widget.close()
            self._said.close()
        super().close()

    def _renew(self, _: Any) -> None:
        """Match the networks anew: the method changed."""
        a, b = self.left.svr, self.right.svr
        if a.method != b.method:  # one of the two is still being computed
            return
        values = [svr[name].S for svr in (a, b) for name in svr.columns]
        positive = [float(S[S > 0].min()) for S in values if (S > 0).any()]
        span = [min(positive, default=1.0), max(float(S.max()) for S in values if len(S))]
        self.left.y_range = self.right.y_range = span
        self.matching = _match(a, b)
        self._partners = {True: {}, False: {}}
        if self.matching is not None:
            pairs = self.matching.pairs
            ours = _neurons(pairs["map"], pairs["k"])
            theirs = _neurons(pairs["other_map"], pairs["other_k"])
            self._partners[True] = dict(zip(ours, theirs, strict=True))
            self._partners[False] = dict(zip(theirs, ours, strict=True))
        self._said.value = _words(a, b, self.matching)

    def _share_threshold(self, change: Any) -> None:
        changed = change["owner"]
        other = self.right if changed is self.left else self.left
        if (other.threshold_mode, other.threshold) != (changed.threshold_mode, changed.threshold):
            other.set_threshold(**{changed.threshold_mode: changed.threshold})

    def _share_selection(self, change: Any) -> None:
        """Select the partners in the other network, as far as there are any."""
        if self._following:
            return
        from_left = change["owner"] is self.left
        partners = self._partners[from_left]
        chosen = [tuple(neuron) for neuron in change["new"]]
        self._following = True
        try:
            other = self.right if from_left else self.left
            other.selected = [partners[neuron] for neuron in chosen if neuron in partners]
        finally:
            self._following = False


def _match(a: SVR, b: SVR) -> Matching | None:
    """The matching over the maps of the same name whose neurons live in the same spaces."""
    common = {
        name: name
        for name, linear in a.maps.items()
        if name in b.maps and form(linear) == form(b.maps[name])
    }
    return a.match(b, common) if common and a.flattening == b.flattening else None


def _neurons(names: Iterable[str], indices: Iterable[int]) -> list[Neuron]:
    return [(name, int(k)) for name, k in zip(names, indices, strict=True)]


def _words(a: SVR, b: SVR, matching: Matching | None) -> str:
    titles = f"<b>{html.escape(a.title)}</b> beside <b>{html.escape(b.title)}</b>"
    if matching is None:
        return f"{titles}: no map of the same name and form, so no neurons are matched"
    new = int(matching.births["new"].sum())
    return (
        f"{titles}: {len(matching.pairs):,} neurons matched (chance of any such pair "
        f"{matching.level:g}), {len(matching.births):,} only on the right, {new:,} of them new, "
        f"{len(matching.deaths):,} only on the left"
    )
