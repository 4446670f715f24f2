"""Networks beside each other: one axis, one threshold, what is the same in both and what is new."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import anywidget
import numpy as np
import pandas as pd
import traitlets as t
from ipywidgets import Widget, widget_serialization

from svr_widget.engine.analysis.matching import Matching, form, same_names
from svr_widget.engine.environment.files import destination, write_whole
from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.graph.folding import Module, folded_like, modules_of
from svr_widget.plot.columns import scale_of
from svr_widget.svr import SVR
from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.cells.displayed import displayed
from svr_widget.widget.cells.pictures import show_picture, side_by_side
from svr_widget.widget.export.page import Part, page_of_several
from svr_widget.widget.export.picture import format_of, images_file
from svr_widget.widget.traits import Traits
from svr_widget.widget.wire import front_end
from svr_widget.widget.wire.contract import COMPARISON_VIEWS
from svr_widget.widget.wire.matchings import encode_matchings
from svr_widget.widget.wire.words import sendable

__all__ = ["Comparison", "named"]

SHARED = ("method", "null", "y_scale", "colour", "panes", "theme", "height")

Neuron = tuple[str, int]


class Comparison(anywidget.AnyWidget):
    """Widgets that show networks on the same axes and follow each other; see ``compare``.

    The first network is the base, the others are compared with it.

    Args:
        sides: the widgets, at least two.
        names: what the networks are called, one each.
        least: cosine to the nearest neuron below which a neuron is new or gone.
        folded: names of modules that are one column each, in every network that has them.

    Attributes:
        sides: the ``SVRWidget`` of each network; ``left`` and ``right`` the first two.
        matchings: which neurons of the base are which of each other network (``SVR.match``), over
            the maps of the same name and form; None where there is no such map. ``matching`` is the
            first.
    """

    names: t.List[str] = t.List(t.Unicode(), help="what the networks are called").tag(sync=True)
    least = t.Float(
        0.5, min=0.0, max=1.0, help="cosine to the nearest below which a neuron is new or gone"
    ).tag(sync=True)
    folded: t.List[str] = t.List(
        t.Unicode(),
        None,
        allow_none=True,
        help="names of modules that are shown as one column each, in every network that has them; "
        "None folds deep networks until some 24 columns are seen, [] nothing",
    )
    view = t.Enum(
        COMPARISON_VIEWS, "beside", help="the networks beside each other, or their difference"
    ).tag(sync=True)

    _sides: t.List[Any] = t.List(t.Instance(Widget)).tag(sync=True, **widget_serialization)
    _matchings = t.Bytes(b"").tag(sync=True, echo_update=False)
    _code = t.Bytes(front_end.packed("widget.js")).tag(sync=True, echo_update=False)
    _esm = t.Unicode(front_end.loader(_code.default_value)).tag(sync=True)
    _css = t.Unicode(front_end.read("widget.css")).tag(sync=True)

    def __init__(
        self,
        sides: Sequence[Traits],
        names: Sequence[str],
        least: float = 0.5,
        folded: Sequence[str] | None = None,
    ) -> None:
        self.sides = tuple(sides)
        self.matchings: tuple[Matching | None, ...] = (None,) * (len(sides) - 1)
        for widget, name in zip(self.sides, names, strict=True):
            widget.wait()
            widget._name = name
            widget._comparison_page = self._page
        super().__init__(names=list(names), least=least, _sides=list(sides))
        self._partners: dict[tuple[int, int], dict[Neuron, Neuron]] = {}
        self._following = self._folding = False
        self._links = [
            t.link((one, name), (next_one, name))
            for one, next_one in pairwise(self.sides)
            for name in SHARED
        ]
        for widget in self.sides:
            widget.observe(self._share_threshold, ["threshold", "threshold_mode"])
            widget.observe(self._share_norm, "norm")
            widget.observe(self._share_selection, "selected")
            widget.observe(self._share_folds, "folded")
            widget.observe(self._renew, "_scene")
        self.observe(self._renew, "least")
        self._share_threshold({"owner": self.left})
        self._share_norm({"owner": self.left})
        self._renew(None)
        self.set_trait("folded", None if folded is None else list(folded))

    @property
    def left(self) -> Traits:
        """The widget of the base."""
        return self.sides[0]

    @property
    def right(self) -> Traits:
        """The widget of the network that is compared with it first."""
        return self.sides[1]

    @property
    def matching(self) -> Matching | None:
        """The first of ``matchings``."""
        return self.matchings[0]

    def changes(self, other: int = 1) -> pd.DataFrame:
        """What became of every neuron, the largest changes of singular value first.

        Args:
            other: which network is compared with the base, 1 for the first.

        Returns:
            change ("same", "new" or "gone"), map, k, other_map, other_k (of a neuron that is new or
            gone those of the nearest, -1 for none), S, other_S (0 for one that is not there),
            difference of the two, overlap, log10_p, ringed: whether the cosine to the nearest is
            below ``least``, or chance explains it.

        Raises:
            SVRError: there is no such network, or no map of it has a partner.
        """
        if not 1 <= other < len(self.sides):
            raise SVRError(f"other = {other}: there are networks 1 to {len(self.sides) - 1}")
        matching = self.matchings[other - 1]
        if matching is None:
            raise SVRError(f"{self.names[0]} and {self.names[other]} have no map in common")
        base, compared = self.left.svr, self.sides[other].svr
        rows = [
            matching.pairs.assign(change="same", ringed=False),
            matching.births.rename(columns={"new": "ringed"}).assign(change="new"),
            matching.deaths.rename(columns={"gone": "ringed"}).assign(change="gone"),
        ]
        frame = pd.concat([each for each in rows if len(each)] or rows, ignore_index=True)
        frame["S"] = _values(base, frame["map"], frame["k"]) * (frame["change"] != "new")
        frame["other_S"] = _values(compared, frame["other_map"], frame["other_k"]) * (
            frame["change"] != "gone"
        )
        frame["difference"] = frame["other_S"] - frame["S"]
        order = frame["difference"].abs().sort_values(ascending=False, kind="stable").index
        columns = [
            "change", "map", "k", "other_map", "other_k", "S", "other_S", "difference", "overlap",
            "log10_p", "ringed",
        ]  # fmt: skip
        return frame.loc[order, columns].reset_index(drop=True)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the comparison as a page that works without a kernel and without a network.

        It holds of each network what ``SVRWidget.to_html`` holds.

        Raises:
            OSError: the file cannot be written; what stood there stays.
        """
        write_whole(destination(path), self._page([{}] * len(self.sides)).encode())

    def save_image(self, path: str | os.PathLike[str]) -> None:
        """Write the graphs beside each other as a picture for print, on the same axis.

        Args:
            path: of the file; its suffix, ``.png`` or ``.svg``, says which format.

        Raises:
            SVRError: another suffix; nothing is drawn.
            OSError: the file cannot be written; what stood there stays.
        """
        image_format, path = format_of(path), destination(path)
        drawn = [(widget.svr, widget._look()) for widget in self.sides]
        write_whole(path, images_file(drawn, image_format))

    def _page(self, views: Sequence[Mapping[str, Any]]) -> str:
        """The page, with the traits of a view of each network that may be ahead of this side."""
        if len(views) != len(self.sides):
            raise SVRError(f"{len(views)} views of {len(self.sides)} networks")
        own = {"names", "least", "view", "_matchings"}
        whole = Part({name: value for name, value in self.get_state().items() if name in own})
        sides = [widget._page_part(view) for widget, view in zip(self.sides, views, strict=True)]
        title = f"Singular value representations of {' and '.join(self.names)}"
        return page_of_several(title, whole, sides)

    def close(self) -> None:
        """Take all widgets off every page."""
        if hasattr(self, "_links"):
            while self._links:
                self._links.pop().unlink()
        close_parts(self)
        super().close()

    def _publish_picture(self) -> None:
        """Put a picture of all into an output of the cell."""
        try:
            pictures = [widget._small_picture() for widget in self.sides]
        except Exception as error:  # without the picture everything else is as it should be
            words = f"there is no picture for the saved notebook: {error}"
            self.left._notice = sendable(words)
            return
        show_picture(side_by_side(pictures))

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        displayed(self)
        return super()._repr_mimebundle_(**keywords)

    def _renew(self, _: Any) -> None:
        """Match the networks anew: the method changed, or what became of norms, or ``least``."""
        if not all(widget._scene for widget in self.sides):  # one is being closed
            return
        svrs = [widget.svr for widget in self.sides]
        if len({(svr.method, svr.norm) for svr in svrs}) > 1:  # some are still being computed
            return
        values = [svr[name].S for svr in svrs for name in svr.columns]
        positive = [float(S[S > 0].min()) for S in values if (S > 0).any()]
        largest = max((float(S.max()) for S in values if len(S)), default=1.0)
        for widget in self.sides:
            widget.y_range = [min(positive, default=largest), largest]
        if self.left.y_scale == "auto":  # of one axis there is one scale
            chosen = set(map(scale_of, svrs))
            self.left.y_scale = chosen.pop() if len(chosen) == 1 else "log"
        base, *others = svrs
        self.matchings = tuple(_match(base, other, self.least) for other in others)
        self._partners = {}
        for place, matching in enumerate(self.matchings, start=1):
            pairs = [] if matching is None else _pairs(matching)
            self._partners[0, place] = dict(pairs)
            self._partners[place, 0] = {theirs: ours for ours, theirs in pairs}
        self._mark()
        self._matchings = encode_matchings(svrs, self.matchings)

    def _mark(self) -> None:
        """Put rings around the neurons that have no like; in the base where no network has it."""
        gone = [_flagged(each, "gone", "") for each in self.matchings if each is not None]
        everywhere = set.intersection(*map(set, gone)) if gone else set()
        base, *others = self.names
        found = [neuron for neuron in gone[0] if neuron in everywhere] if gone else []
        self.left._marked = self._rings("gone", " and ".join(others), found) if gone else {}
        for widget, matching in zip(self.sides[1:], self.matchings, strict=True):
            if matching is None:
                widget._marked = {}
            else:
                widget._marked = self._rings("new", base, _flagged(matching, "new", "other_"))

    def _rings(self, word: str, where: str, neurons: list[Neuron]) -> dict[str, Any]:
        meaning = (
            f"no neuron of {where} is nearer than a cosine of {self.least:g}, "
            f"or none is nearer than chance: {len(neurons):,}"
        )
        return {"word": word, "meaning": sendable(meaning), "neurons": neurons}

    def _share_threshold(self, change: Any) -> None:
        changed = change["owner"]
        for other in self.sides:
            level = other.threshold_mode, other.threshold
            if level != (changed.threshold_mode, changed.threshold):
                other.set_threshold(**{changed.threshold_mode: changed.threshold})

    def _share_norm(self, change: Any) -> None:
        """Fold the norms of all networks or of none: one that refuses decides for all."""
        changed = change["owner"]
        for other in self.sides:
            try:
                other.norm = changed.norm
            except SVRError as error:
                changed.norm = other.norm
                changed._notice = str(error)
                raise

    @t.validate("folded")
    def _check_folded(self, proposal: Any) -> list[str] | None:
        """Refuse what is a module of no network."""
        folded = proposal["value"]
        if folded is None:
            return None
        known = {module.name for side in self.sides for module in _modules(side)}
        for name in folded:
            if name not in known:
                raise t.TraitError(
                    f"folded: no network has a module {name!r}{nearest_name(name, known)}"
                )
        return list(dict.fromkeys(folded))

    @t.observe("folded")
    def _fold(self, change: Any) -> None:
        """Fold in every network what it has of these."""
        if self._folding:
            return
        folded = change["new"]
        self._folding = True
        try:
            for side in self.sides:
                there = {module.name for module in _modules(side)}
                own = None if folded is None else [n for n in folded if n in there]
                side.set_trait("folded", own)
        finally:
            self._folding = False

    def _share_folds(self, change: Any) -> None:
        """Fold in the other networks what is folded in one, as far as they have it."""
        if self._folding:
            return
        changed = change["owner"]
        self._folding = True
        try:
            for other in self.sides:
                if other is not changed:
                    modules = _modules(changed), _modules(other)
                    alike = folded_like(modules[0], changed.folded, modules[1], other.folded)
                    other.set_trait("folded", alike)
            of_all = [side.folded for side in self.sides if side.folded is not None]
            every = list(dict.fromkeys(itertools.chain(*of_all)))
            self.set_trait("folded", every if of_all else None)
        finally:
            self._folding = False

    def _share_selection(self, change: Any) -> None:
        """Select the partners in the other networks, as far as there are any."""
        if self._following:
            return
        source = next(i for i, side in enumerate(self.sides) if side is change["owner"])
        chosen = [tuple(neuron) for neuron in change["new"]]
        self._following = True
        try:
            in_base = chosen if source == 0 else self._answering(chosen, source, 0)
            for place, side in enumerate(self.sides):
                if place != source:
                    side.selected = self._answering(in_base, 0, place) if place else in_base
        finally:
            self._following = False

    def _answering(self, neurons: list[Neuron], source: int, target: int) -> list[Neuron]:
        partners = self._partners.get((source, target), {})
        return [partners[neuron] for neuron in neurons if neuron in partners]


def named(svrs: Sequence[SVR], names: Sequence[str] | None) -> list[str]:
    """What networks are called: as they are asked to be, or by their titles, told apart.

    Raises:
        SVRError: there are more or fewer names than networks, or two are the same.
    """
    if names is not None:
        given = [str(name) for name in names]
        if isinstance(names, str) or len(given) != len(svrs) or len(set(given)) < len(given):
            raise SVRError(f"names = {names!r}: one name for each of the {len(svrs)} networks")
        return given
    titles = [svr.title for svr in svrs]
    if len(set(titles)) == len(titles):
        return titles
    return [f"{title} {place}" for place, title in enumerate(titles, start=1)]


def _modules(side: Traits) -> tuple[Module, ...]:
    return modules_of(list(side._network.columns))


def _match(a: SVR, b: SVR, least: float) -> Matching | None:
    """The matching over the maps of the same name whose neurons live in the same spaces."""
    common = {
        name: partner
        for name, partner in same_names(a, b).items()
        if form(a.maps[name]) == form(b.maps[partner])
    }
    if not common or a.flattening != b.flattening:
        return None
    return a.match(b, common, least=least)


def _pairs(matching: Matching) -> list[tuple[Neuron, Neuron]]:
    pairs = matching.pairs
    ours = zip(pairs["map"], pairs["k"].tolist(), strict=True)
    theirs = zip(pairs["other_map"], pairs["other_k"].tolist(), strict=True)
    return list(zip(ours, theirs, strict=True))


def _flagged(matching: Matching, word: str, side: str) -> list[Neuron]:
    alone = matching.births if word == "new" else matching.deaths
    found = alone[alone[word]]
    return list(zip(found[f"{side}map"], found[f"{side}k"].tolist(), strict=True))


def _values(svr: SVR, names: pd.Series[str], indices: pd.Series[int]) -> Any:
    values = {name: svr.decomposition(name).S.numpy() for name in names.unique()}
    found = [values[name][k] if k >= 0 else 0.0 for name, k in zip(names, indices, strict=True)]
    return np.array(found, np.float64)
