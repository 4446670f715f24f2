"""Two networks side by side: one axis, one threshold, and neurons that are the same in both."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from typing import Any

import ipywidgets
import traitlets

from svr_widget.engine.analysis.matching import Matching, form, same_names
from svr_widget.engine.errors import SVRError, listed
from svr_widget.plot.columns import scale_of
from svr_widget.svr import SVR
from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.cells.displayed import displayed
from svr_widget.widget.cells.pictures import show_picture, side_by_side
from svr_widget.widget.traits import Traits
from svr_widget.widget.wire.words import sendable

__all__ = ["Comparison"]

SHARED = ("method", "null", "y_scale", "panes", "theme", "height")
MOST_BIRTHS = 50
"""Rows of the table of births; the frame has all."""

_BIRTH_COLUMNS = ("other_map", "other_k", "S", "k", "overlap", "log10_p", "new")

Neuron = tuple[str, int]


class Comparison(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
    """Two widgets that show two networks on the same axes and follow each other.

    Attributes:
        left, right: the two ``SVRWidget``.
        matching: which neurons are the same (``SVR.match``) over the maps of the same name and
            form; None where there is no such map.
    """

    def __init__(self, left: Traits, right: Traits) -> None:
        self.left, self.right = left, right
        for widget in (left, right):
            widget.wait()
        self.matching: Matching | None = None
        self._partners: dict[bool, dict[Neuron, Neuron]] = {True: {}, False: {}}
        self._following = False
        self._said, self._born = ipywidgets.HTML(), ipywidgets.HTML()
        sides = ipywidgets.GridBox(
            [left, right],
            layout={"grid_template_columns": "minmax(0, 1fr) minmax(0, 1fr)", "grid_gap": "16px"},
        )
        super().__init__([self._said, sides, self._born])
        self._links = [traitlets.link((left, name), (right, name)) for name in SHARED]
        left.observe(self._share_threshold, ["threshold", "threshold_mode"])
        right.observe(self._share_threshold, ["threshold", "threshold_mode"])
        for widget in (left, right):
            widget.observe(self._share_norm, "norm")
            widget.observe(self._share_selection, "selected")
            widget.observe(self._renew, "_scene")
        self._share_threshold({"owner": left})
        self._share_norm({"owner": left})
        self._renew(None)

    def close(self) -> None:
        """Take both widgets off every page."""
        if hasattr(self, "_links"):
            while self._links:
                self._links.pop().unlink()
        close_parts(self)
        super().close()

    def _publish_picture(self) -> None:
        """Put a picture of both into an output of the cell."""
        try:
            pictures = [widget._small_picture() for widget in (self.left, self.right)]
        except Exception as error:  # without the picture everything else is as it should be
            words = f"there is no picture for the saved notebook: {error}"
            self.left._notice = sendable(words)
            return
        show_picture(side_by_side(pictures))

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        displayed(self)
        return super()._repr_mimebundle_(**keywords)

    def _renew(self, _: Any) -> None:
        """Match the networks anew: the method changed, or what became of norms."""
        a, b = self.left.svr, self.right.svr
        if (a.method, a.norm) != (b.method, b.norm):  # one of the two is still being computed
            return
        values = [svr[name].S for svr in (a, b) for name in svr.columns]
        positive = [float(S[S > 0].min()) for S in values if (S > 0).any()]
        largest = max(float(S.max()) for S in values if len(S))
        span = [min(positive, default=largest), largest]
        self.left.y_range = self.right.y_range = span
        if self.left.y_scale == "auto":  # of one axis there is one scale
            chosen = {scale_of(a), scale_of(b)}
            self.left.y_scale = chosen.pop() if len(chosen) == 1 else "log"
        self.matching = _match(a, b)
        self._partners = {True: {}, False: {}}
        if self.matching is not None:
            pairs = self.matching.pairs
            ours = _neurons(pairs["map"], pairs["k"])
            theirs = _neurons(pairs["other_map"], pairs["other_k"])
            self._partners[True] = dict(zip(ours, theirs, strict=True))
            self._partners[False] = dict(zip(theirs, ours, strict=True))
        self._mark()
        self._said.value = _words(a, b, self.matching)
        self._born.value = "" if self.matching is None else _births(b, self.matching)

    def _mark(self) -> None:
        """Put rings around the neurons that the other network has not, not even nearly."""
        matching = self.matching
        if matching is None:
            self.left._marked = self.right._marked = {}
            return
        gone = matching.deaths[matching.deaths["gone"]]
        new = matching.births[matching.births["new"]]
        self.left._marked = {
            "word": "gone",
            "meaning": f"no neuron on the right is as near as chance would not be: {len(gone):,}",
            "neurons": _neurons(gone["map"], gone["k"]),
        }
        self.right._marked = {
            "word": "new",
            "meaning": f"no neuron on the left is as near as chance would not be: {len(new):,}",
            "neurons": _neurons(new["other_map"], new["other_k"]),
        }

    def _share_threshold(self, change: Any) -> None:
        changed = change["owner"]
        other = self.right if changed is self.left else self.left
        if (other.threshold_mode, other.threshold) != (changed.threshold_mode, changed.threshold):
            other.set_threshold(**{changed.threshold_mode: changed.threshold})

    def _share_norm(self, change: Any) -> None:
        """Fold the norms of both networks or of none: one that refuses decides for both."""
        changed = change["owner"]
        other = self.right if changed is self.left else self.left
        try:
            other.norm = changed.norm
        except SVRError as error:
            changed.norm = other.norm
            changed._notice = str(error)
            raise

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
    common = _common(a, b)
    return a.match(b, common) if common and a.flattening == b.flattening else None


def _common(a: SVR, b: SVR) -> dict[str, str]:
    return {
        name: partner
        for name, partner in same_names(a, b).items()
        if form(a.maps[name]) == form(b.maps[partner])
    }


def _neurons(names: Iterable[str], indices: Iterable[int]) -> list[Neuron]:
    return [(name, int(k)) for name, k in zip(names, indices, strict=True)]


def _words(a: SVR, b: SVR, matching: Matching | None) -> str:
    titles = f"<b>{html.escape(a.title)}</b> beside <b>{html.escape(b.title)}</b>"
    if matching is None:
        return _paragraph(f"{titles}: no map of the same name and form, so no neurons are matched")
    new = int(matching.births["new"].sum())
    common = _common(a, b)
    alone = [
        f"{html.escape(name)} on the {side}"
        for side, svr, known in (("left", a, common.keys()), ("right", b, common.values()))
        for name in svr.maps
        if name not in known
    ]
    left_out = f"; without a map of the same name and form: {listed(alone, shown=6)}"
    return _paragraph(
        f"{titles}: {len(matching.pairs):,} neurons matched (chance of any such pair "
        f"{matching.level:g}), {len(matching.deaths):,} only on the left, "
        f"{len(matching.births):,} only on the right ({new:,} of them new)"
        f"{left_out if alone else ''}"
    )


def _paragraph(words: str) -> str:
    """Words set like those of the widgets beneath, not with the line height of a control."""
    return f"<p style='margin:0;padding:4px 8px 8px;line-height:1.5'>{words}</p>"


def _births(b: SVR, matching: Matching) -> str:
    """The neurons that only the right network has, the strongest first, as a table."""
    births = matching.births
    if births.empty:
        return ""
    neurons = _neurons(births["other_map"], births["other_k"])
    values = [float(b.decomposition(name, b.flattening).S[k]) for name, k in neurons]
    ordered = births.assign(S=values).sort_values("S", ascending=False).head(MOST_BIRTHS)
    columns = (ordered[name].tolist() for name in _BIRTH_COLUMNS)
    rows = "".join(
        f"<tr><td style='text-align:left'>{html.escape(name)} · {k}</td><td>{S:.3g}</td>"
        f"<td>{'–' if nearest < 0 else nearest}</td><td>{overlap:.2f}</td>"
        f"<td>{_p_value(log10_p)}</td><td>{'new' if new else ''}</td></tr>"
        for name, k, S, nearest, overlap, log10_p, new in zip(*columns, strict=True)
    )
    shown = f"{len(ordered):,} of {len(births):,}, " if len(ordered) < len(births) else ""
    return (
        f"<details style='padding-inline:8px'><summary>{len(births):,} births: neurons only on the "
        f"right ({shown}the strongest first; <code>matching.births</code> has all)</summary>"
        "<table style='text-align:right;border-spacing:12px 2px;border-collapse:separate'><thead>"
        "<tr><th style='text-align:left'>neuron</th><th>singular value</th>"
        "<th>nearest on the left</th><th>overlap</th><th>p of that overlap</th><th></th></tr>"
        f"</thead><tbody>{rows}</tbody></table></details>"
    )


def _p_value(log10_p: float) -> str:
    if log10_p >= -3:
        return f"{10**log10_p:.2g}"
    exponent = math.floor(log10_p)
    return f"{10 ** (log10_p - exponent):.0f} × 10<sup>−{-exponent}</sup>"
