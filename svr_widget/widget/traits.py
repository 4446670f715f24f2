"""What is set on the widget, in Python or on the page: its traits, and which values they take."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, get_args

import anywidget
import traitlets as t

from svr_widget.engine.errors import SVRError, ThresholdError, nearest_name
from svr_widget.engine.graph.adjacency import Method
from svr_widget.engine.graph.folding import check_folded, modules_of
from svr_widget.engine.network.norms.folding import Normalisation
from svr_widget.engine.significance.multiple_testing import LEVELS, MODES, Mode, check_level
from svr_widget.engine.significance.nulls import Kind
from svr_widget.svr import SVR
from svr_widget.widget.wire.contract import COLOURS, LAWS, PANES, THEMES, Y_SCALES
from svr_widget.widget.wire.words import sendable, shown

_LONGEST_LINK = 3


class Number(t.Float[float, Any]):
    """A float; a whole number that is too large for one is infinite, for the check to refuse."""

    def validate(self, obj: Any, value: Any) -> float:
        """The number as a float."""
        try:
            return float(super().validate(obj, value))
        except OverflowError:
            return math.inf if value > 0 else -math.inf


class Traits(anywidget.AnyWidget):
    """The traits of ``SVRWidget``. Those that begin with an underscore are for the page alone."""

    method: t.Enum[Method] = t.Enum(
        get_args(Method), "svr", help="which spectral neurons are joined; a change is computed anew"
    ).tag(sync=True)
    norm: t.Enum[Normalisation] = t.Enum(
        get_args(Normalisation),
        "ignore",
        help="whether norms are left out or folded into the weights; a change is computed anew",
    ).tag(sync=True)
    threshold_mode: t.Enum[Mode] = t.Enum(MODES, "fdr", help="what `threshold` is a level of").tag(
        sync=True
    )
    threshold = Number(
        LEVELS["fdr"].default, help="the level of significance, in its mode's own unit"
    ).tag(sync=True)
    null: t.Enum[Kind] = t.Enum(LAWS, "exact", help="law of an entry under chance").tag(sync=True)
    y_scale = t.Enum(
        Y_SCALES,
        "auto",
        help="the vertical axis; auto is linear, or logarithmic or relative where that would "
        "squash a kind of map",
    ).tag(sync=True)
    colour = t.Enum(
        COLOURS,
        "chance",
        help="what the hue of a neuron tells: how sure it is that chance does not give it its "
        "edges, or the paper's intensity",
    ).tag(sync=True)
    selected: t.List[Any] = t.List(help="spectral neurons, as (map name, k)").tag(sync=True)
    selected_link: t.List[Any] = t.List(
        default_value=None,
        allow_none=True,
        help="(producer, consumer) in the adjacency pane; a key of `svr.links`",
    ).tag(sync=True)
    folded: t.List[str] = t.List(
        t.Unicode(),
        None,
        allow_none=True,
        help="names of modules, 'h.3', or of ranges of a plain stack, 'fc1-fc10', that are shown "
        "as one column each; None folds a deep network until some 24 columns are seen, [] nothing",
    ).tag(sync=True)
    panes = t.List(
        t.Enum(PANES), ["adjacency"], maxlen=len(PANES), help="side panes that are open"
    ).tag(sync=True)
    panes_width = t.Int(
        None,
        allow_none=True,
        min=200,
        max=4000,
        help="pixels that the side panes are wide; None is about a third of the widget",
    ).tag(sync=True)
    camera: t.List[float] = t.List(
        Number(),
        None,
        allow_none=True,
        help="[zoom, x, y]: the zoom, and which shares of the picture lie in the middle, from the "
        "left and from the top; None is the whole graph, or of a deep one the part in which most "
        "was found",
    ).tag(sync=True)
    y_range: t.List[float] = t.List(
        Number(),
        None,
        allow_none=True,
        minlen=2,
        maxlen=2,
        help="[smallest, largest] singular value that the vertical axis reaches to at least, for "
        "graphs that are to share it; None is the graph's own",
    ).tag(sync=True)
    theme = t.Enum(THEMES, "auto", help="the colours; auto follows the notebook's").tag(sync=True)
    height = t.Int(620, min=280, max=4000, help="pixels").tag(sync=True)
    tour = t.Bool(
        True, help="offer a tour of five steps, once in a browser; the help always has it"
    ).tag(sync=True)
    max_edges = t.Int(100_000, min=0, help="most edges that travel to the page").tag(sync=True)

    _scene = t.Bytes(b"").tag(sync=True, echo_update=False)
    _preview = t.Bytes(b"", help="what is known while there is no scene").tag(
        sync=True, echo_update=False
    )
    _status = t.Dict({"state": "computing"}).tag(sync=True)
    _notice = t.Unicode("").tag(sync=True)
    _name = t.Unicode("", help="what the network is called beside others").tag(sync=True)
    _marked = t.Dict(help="neurons with a ring, and what it means").tag(sync=True)
    _inputs = t.Dict(help="what the pane of spectral images can show").tag(sync=True)
    _level_given = False
    _comparison_page: Callable[[Sequence[Mapping[str, Any]]], str] | None = None
    """Gives the comparison that it is part of as a page."""

    @property
    def svr(self) -> SVR:
        """The engine behind the picture; raises what ended the computation, if there is none."""
        raise NotImplementedError

    @property
    def _network(self) -> SVR:
        """What names are looked up in: the graph on screen, or else the one that is to come."""
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> None:
        """Block until what was last asked for is there; raises its error, or ``TimeoutError``."""
        raise NotImplementedError

    def _small_picture(self) -> str:
        """What is shown as a small PNG in base64, as notebooks hold it."""
        raise NotImplementedError

    def _look(self) -> dict[str, Any]:
        """What is set, as options of ``SVR.plot``."""
        raise NotImplementedError

    def _page_part(self, view: Mapping[str, Any]) -> Any:
        """What a page holds of it, with the traits of a view that may be ahead."""
        raise NotImplementedError

    def _publish_picture(self) -> None:
        """Put a picture into an output of the cell, for where the widget cannot be shown."""
        raise NotImplementedError

    @classmethod
    def _own_keywords(cls) -> set[str]:
        inherited = set(anywidget.AnyWidget.class_trait_names()) - {"layout"}
        return {n for n in cls.class_trait_names() if not n.startswith("_")} - inherited

    def set_threshold(
        self,
        *,
        fdr: float | None = None,
        p: float | None = None,
        sigma: float | None = None,
        bonferroni: float | None = None,
    ) -> None:
        """Draw the edges that are significant at one level: exactly one of the four.

        Args:
            fdr: false discovery rate over the whole graph, in (0, 1) (Benjamini-Hochberg).
            p: level of each single test, in (0, 1]; the paper uses 0.15 (section 3.1).
            sigma: the same as standard deviations of a normal law, p = 1 - Phi(sigma).
            bonferroni: level of the whole graph, in (0, 1], divided by the number of tests.

        Raises:
            ThresholdError: the level is outside its range; nothing is changed.
            TypeError: none or several are given.

        Examples:
            >>> from svr_widget import SVRWidget
            >>> widget = SVRWidget(model)
            >>> widget.set_threshold(sigma=4)
            >>> widget.threshold_mode, widget.threshold, len(widget.edges())
            ('sigma', 4.0, 2)
        """
        given: dict[Mode, float | None]
        given = {"fdr": fdr, "p": p, "sigma": sigma, "bonferroni": bonferroni}
        levels = {mode: level for mode, level in given.items() if level is not None}
        if len(levels) != 1:
            raise TypeError("set_threshold() takes exactly one of fdr, p, sigma and bonferroni")
        ((mode, level),) = levels.items()
        try:
            check_level(mode, level)
        except ThresholdError as error:
            self._notice = str(error)
            raise
        self._level_given = True
        try:
            with self.hold_trait_notifications():
                self.threshold_mode, self.threshold = mode, level
        finally:
            self._level_given = False

    @t.validate("threshold", "selected", "selected_link", "folded", "camera")
    def _check(self, proposal: dict[str, Any]) -> Any:
        name = proposal["trait"].name
        with self._noticing():
            return self._allowed(name, proposal["value"], self.threshold_mode)

    @t.validate("y_range")
    def _check_y_range(self, proposal: dict[str, Any]) -> list[float] | None:
        """Python sets it, of itself too: that is no end of what the page was told before."""
        try:
            return self._allowed_y_range(proposal["value"])
        except SVRError as error:
            raise t.TraitError(str(error)) from error

    def _allowed(self, name: str, value: Any, mode: Mode) -> Any:
        """A value as its trait keeps it; ``mode`` is what a threshold is a level of.

        Raises:
            SVRError, TypeError: it means nothing for this graph.
        """
        check = getattr(self, f"_allowed_{name}", None)
        return value if check is None else check(value, mode)

    def allowed_view(self, view: Mapping[str, Any]) -> dict[str, Any]:
        """The public traits of a view, which may be ahead of this side.

        Raises:
            SVRError, TypeError, TraitError: a trait refuses its value.
        """
        found = {}
        for name in (self._own_keywords() & view.keys()) - {"layout"}:
            trait, value = self.traits()[name], view[name]
            kept = value is None and trait.allow_none
            found[name] = value if kept else trait.validate(self, value)
        mode = found.get("threshold_mode", self.threshold_mode)
        return {name: self._allowed(name, value, mode) for name, value in found.items()}

    def _allowed_threshold(self, value: float, mode: Mode) -> float:
        check_level(mode, value)
        return float(value)

    def _allowed_selected(self, value: Sequence[Any], _: Mode) -> list[tuple[str, int]]:
        if len(value) > (most := sum(map(self._neurons_of, self._network.columns))):
            raise SVRError(f"selected: {len(value)} neurons are more than the {most} there are")
        return [self._neuron(item) for item in value]

    def _neuron(self, item: Any) -> tuple[str, int]:
        if not (isinstance(item, tuple | list) and len(item) == 2):
            raise SVRError(f"selected: {shown(item)} is no neuron (map, k)")
        name, k = item
        count = self._neurons_of(name)
        if count == 0:
            raise SVRError(f"no map {shown(name)}{nearest_name(name, self._network.columns)}")
        if not (isinstance(k, int) and not isinstance(k, bool) and 0 <= k < count):
            raise SVRError(f"map {name!r} has neurons 0 to {count - 1}, not {shown(k)}")
        return name, k

    def _neurons_of(self, name: str) -> int:
        """How many spectral neurons a column has; none where there is no such column."""
        network = self._network
        if name not in network.columns:
            return 0
        map_name, flattening = network.columns[name]
        count = network.maps[map_name].neurons(flattening)
        return min(count, network.rank or count)

    def _allowed_selected_link(self, value: Sequence[Any] | None, _: Mode) -> list[Any] | None:
        links = self._network.links
        if value is not None and tuple(value) not in links:
            arrows = {" -> ".join(map(str, key)) for key in links}
            asked = " -> ".join(shown(part).strip("'") for part in value[:_LONGEST_LINK])
            raise SVRError(f"no link {asked!r}{nearest_name(asked, arrows)}")
        return None if value is None else list(value)

    def _allowed_folded(self, value: Sequence[str] | None, _: Mode) -> list[str] | None:
        if value is None:
            return None
        check_folded(modules_of(list(self._network.columns)), value)
        return list(dict.fromkeys(value))

    def _allowed_camera(self, value: list[float] | None, _: Mode) -> list[float] | None:
        if value is not None and (
            len(value) != 3 or not 1 <= value[0] <= 200 or not all(map(math.isfinite, value))
        ):
            raise SVRError(
                f"camera is [zoom, x, y] with 1 <= zoom <= 200, or None, not {shown(value)}"
            )
        return value

    def _allowed_y_range(self, value: list[float] | None, *_: Any) -> list[float] | None:
        if value is not None and not (all(map(math.isfinite, value)) and value[0] <= value[1]):
            raise SVRError(
                f"y_range is [smallest, largest] singular value, or None, not {shown(value)}"
            )
        return value

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the page changed; what only Python writes stays.

        Raises:
            TraitError: a trait refuses its value; nothing is changed then.
        """
        pythons = self._pythons()
        super().set_state({n: value for n, value in sync_data.items() if n not in pythons})

    @classmethod
    def _pythons(cls) -> set[str]:
        """Traits of ours that only Python writes: the page would break what it shows itself."""
        inherited = set(anywidget.AnyWidget.class_trait_names())
        return {n for n in cls.class_trait_names() if n.startswith("_")} - inherited

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Show in the widget, too, why a setting is refused."""
        try:
            yield
        except (TypeError, ValueError) as error:
            self._notice = sendable(str(error))
            raise t.TraitError(str(error)) from error
        self._notice = ""

    def _name_method(self, svr: SVR) -> None:
        """Let the traits say by which method an SVR was made, and what became of its norms."""
        with self.hold_trait_notifications():  # one at a time would ask for a mixture
            self.method, self.norm = svr.method, svr.norm

    def _keep_existing(self) -> None:
        """Let go of what is selected and not there: another method has other columns."""
        self.selected = [item for item in self.selected if item[1] < self._neurons_of(item[0])]
        if self.folded is not None:
            there = {module.name for module in modules_of(list(self._network.columns))}
            self.folded = [name for name in self.folded if name in there]

    @t.observe("threshold_mode")
    def _keep_the_cut(self, change: dict[str, Any]) -> None:
        """Convert the level, unless whoever changes the mode gives one in the same breath."""
        if self._level_given or "threshold" in self._property_lock:
            return
        if self._scene:
            tests = self._network.significance(self.null)
            self.threshold = tests.convert(change["old"], self.threshold, change["new"])
        else:
            self.threshold = LEVELS[change["new"]].default


class TimelineTraits(Traits):
    """What ``SVRTimeline`` has besides."""

    step = t.Int(None, allow_none=True, help="the checkpoint on screen, by its step").tag(sync=True)
    following = t.Bool(True, help="show the newest checkpoint as it comes").tag(sync=True)
    max_edges = t.Int(20_000, min=0, help="most edges of a checkpoint that travel").tag(sync=True)

    _recorded = t.Int(0, help="checkpoints that there are, computed or not").tag(sync=True)
    _timeline = t.Bytes(b"").tag(sync=True, echo_update=False)
    _frames = t.Bytes(b"").tag(sync=True, echo_update=False)
