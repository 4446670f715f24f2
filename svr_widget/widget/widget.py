"""``SVRWidget``: the SVR of a model as a live picture in a notebook."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import anywidget
import ipywidgets
import pandas as pd
import traitlets as t

from svr_widget.engine import SVR
from svr_widget.engine.adjacency import Method
from svr_widget.engine.errors import SVRError, ThresholdError, nearest_name
from svr_widget.engine.nulls import Kind
from svr_widget.engine.significance import MODES, Mode, check_level
from svr_widget.widget import front_end, requests
from svr_widget.widget.codec import encode
from svr_widget.widget.computation import Computation, Progress, Report
from svr_widget.widget.files import write_whole
from svr_widget.widget.gallery import Gallery
from svr_widget.widget.page import page_of
from svr_widget.widget.scene import LAWS, encode_scene
from svr_widget.widget.still import LateStill, format_of, image_file, show_bundle, still

if TYPE_CHECKING:
    from svr_widget.widget.charts import Charts
    from svr_widget.widget.comparison import Comparison

AT_ONCE_SECONDS = 3.0
DEFAULT_LEVELS = {"fdr": 0.05, "p": 1e-3, "sigma": 4.0, "bonferroni": 0.05}
PANES = ("adjacency", "images", "filters", "table")
INPUT_KEYWORDS = ("inputs", "transform", "labels")
SVR_KEYWORDS = frozenset(inspect.signature(SVR).parameters) - {"source", "example_inputs"}


class SVRWidget(anywidget.AnyWidget):
    """The graph of spectral neurons of a network (paper, sections 2 and 4), drawn and linked.

    Args:
        model: an ``nn.Module``, an ``SVR``, a list of weights or a mapping of names to weights.
        example_inputs: what the model takes, where the links cannot be read off without it.
        inputs: for the pane of spectral images (section 5.1): a tensor or array ``[n, ...]``, a
            list of images with ``transform``, or a ``DataLoader``, of which the first batch is
            taken; also settable later, ``widget.inputs = images``.
        transform: from one image to the tensor that the model takes; also for dropped images.
        labels: what the inputs are called, one a piece.
        fdr, p, sigma, bonferroni: the threshold to begin with, one of them (``set_threshold``).
        **keywords: the widget's own traits (``y_scale``, ``theme``, ``height``, ``max_edges``...)
            and ``SVR``'s keywords.

    The model is checked and traced at once, so bad input raises here. What takes longer than
    about three seconds is then computed in a thread, while the widget shows how far it is.

    Raises:
        SVRError: the model, its weights or an option cannot be used; the message says which.
        TypeError: a keyword is unknown; the message names the nearest.
    """

    _esm = t.Unicode(front_end.read("widget.js")).tag(sync=True)
    _css = t.Unicode(front_end.read("widget.css")).tag(sync=True)

    method: t.Enum[Method] = t.Enum(
        get_args(Method), "svr", help="which spectral neurons are joined; a change is computed anew"
    ).tag(sync=True)
    threshold_mode: t.Enum[Mode] = t.Enum(MODES, "fdr", help="what `threshold` is a level of").tag(
        sync=True
    )
    threshold = t.Float(0.05, help="the level of significance, in its mode's own unit").tag(
        sync=True
    )
    null: t.Enum[Kind] = t.Enum(LAWS, "exact", help="law of an entry under chance").tag(sync=True)
    y_scale = t.Enum(("linear", "log", "relative", "rank"), "linear", help="the vertical axis").tag(
        sync=True
    )
    selected: t.List[Any] = t.List(help="spectral neurons, as (map name, k)").tag(sync=True)
    selected_link: t.List[Any] = t.List(
        default_value=None, allow_none=True, help="(producer, consumer) in the adjacency pane"
    ).tag(sync=True)
    panes = t.List(t.Enum(PANES), ["adjacency"], help="side panes that are open").tag(sync=True)
    camera: t.List[float] = t.List(
        t.Float(),
        None,
        allow_none=True,
        help="[zoom, x, y]: the zoom, and which shares of the picture lie in the middle, from the "
        "left and from the top; None is the whole graph, or the first columns of a deep one",
    ).tag(sync=True)
    y_range: t.List[float] = t.List(
        t.Float(),
        None,
        allow_none=True,
        minlen=2,
        maxlen=2,
        help="[smallest, largest] singular value that the vertical axis reaches to at least, for "
        "graphs that are to share it; None is the graph's own",
    ).tag(sync=True)
    theme = t.Enum(("auto", "light", "dark"), "auto").tag(sync=True)
    height = t.Int(620, min=280, max=4000, help="pixels").tag(sync=True)
    max_edges = t.Int(100_000, min=0, help="most edges that travel to the page").tag(sync=True)

    _scene = t.Bytes(b"").tag(sync=True, echo_update=False)
    _status = t.Dict({"state": "computing"}).tag(sync=True)
    _notice = t.Unicode("").tag(sync=True)
    _inputs = t.Dict(help="what the pane of spectral images can show").tag(sync=True)
    _level_given = False
    _late_stills: list[LateStill]

    def __init__(self, model: Any, example_inputs: Any = None, **keywords: Any) -> None:
        traits = {name: keywords.pop(name) for name in self._own_keywords() & keywords.keys()}
        levels = {mode: keywords.pop(mode) for mode in MODES if mode in keywords}
        given_inputs = [keywords.pop(name, None) for name in INPUT_KEYWORDS]
        if unknown := sorted(keywords.keys() - SVR_KEYWORDS):
            hint = nearest_name(
                unknown[0], {*SVR_KEYWORDS, *self._own_keywords(), *MODES, *INPUT_KEYWORDS}
            )
            raise TypeError(f"SVRWidget() has no keyword {unknown[0]!r}{hint}")
        method = traits.pop("method", None)
        if isinstance(model, SVR):
            if keywords or example_inputs is not None:
                given = ", ".join(sorted(keywords)) or "example_inputs"
                raise TypeError(f"{given}: give it to SVR(...), which is already made here")
            self._svr = model.by_method(method or model.method)
        else:
            self._svr = SVR(model, example_inputs, method=method or "svr", **keywords)
        gallery = Gallery(self._svr.model)
        gallery.give(*given_inputs)
        super().__init__(method=self._svr.method)
        self._gallery = gallery
        self._inputs = gallery.describe()
        self._late_stills = []
        if levels:
            self.set_threshold(**levels)
        self._level_given = "threshold" in traits
        with self.hold_trait_notifications():
            for name, value in traits.items():
                setattr(self, name, value)
        self._level_given = False
        self.on_msg(self._answer)
        self._show(self._svr)

    @property
    def svr(self) -> SVR:
        """The engine behind the picture; raises what ended the computation, if there is none."""
        if not self._scene and (error := self._computation.error):
            raise error
        return self._svr

    @property
    def inputs(self) -> Any:
        """What the pane of spectral images shows, as it was given; None for nothing.

        To set it is to show other inputs, with the ``transform`` of before; what was dropped on
        the page goes.

        Raises:
            TypeError, ValueError: they cannot be shown; nothing is changed then.
        """
        return self._gallery.given

    @inputs.setter
    def inputs(self, inputs: Any) -> None:
        self._gallery.give(inputs, self._gallery.transform)
        self._inputs = self._gallery.describe()

    def wait(self, timeout: float | None = None) -> None:
        """Block until what was last asked for is there; raises its error, or ``TimeoutError``."""
        computation = self._computation
        try:
            computation.wait(timeout)
        except CancelledError:
            if computation is self._computation:
                raise
            self.wait(timeout)  # another one took its place

    def cancel(self) -> None:
        """Stop a computation that is still running, before its next map."""
        self._computation.cancel()

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

    def edges(self) -> pd.DataFrame:
        """The significant edges at the present threshold, strongest first (``SVR.edges``)."""
        options: dict[str, Any] = {"null": self.null, self.threshold_mode: self.threshold}
        return self.svr.edges(**options)

    def neurons(self) -> pd.DataFrame:
        """The spectral neurons on screen (``SVR.neurons``)."""
        return self.svr.neurons()

    def charts(self) -> Charts:
        """Bqplot figures of what is shown, linked with the widget both ways.

        The spectrum of a map with the edge that noise would have (brushing it selects neurons),
        the survival function of a link's entries against the laws of chance (paper, Figures 10
        and 11), and the internal dimensions of the links (3.2; a click chooses the link). Waits
        for a computation that is under way. Figures need Jupyter: elsewhere the widget stands
        alone.
        """
        from svr_widget.widget.charts import Charts  # bqplot is slow to import

        return Charts(self)

    def dashboard(self) -> ipywidgets.GridBox:
        """The widget and its charts side by side."""
        shape = {"grid_template_columns": "minmax(0, 5fr) minmax(0, 2fr)", "grid_gap": "16px"}
        return ipywidgets.GridBox([self, self.charts()], layout=shape)

    @classmethod
    def compare(cls, a: Any, b: Any, **keywords: Any) -> Comparison:
        """Two networks side by side on the same axes, linked (paper, Figures 2, 12 and 13).

        Threshold, law, method, scale and panes are shared. Where both have maps of the same name
        and form, their neurons are matched (``SVR.match``), and what is selected in one is
        selected in the other.

        Args:
            a: what ``SVRWidget`` takes: a model, an ``SVR``, weights.
            b: likewise.
            **keywords: given to both widgets.
        """
        from svr_widget.widget.comparison import Comparison

        return Comparison(cls(a, **keywords), cls(b, **keywords))

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the widget as a page that works without a kernel and without a network.

        The page holds the edges that travelled (``max_edges``), the threshold's tables for all of
        them, and every link's matrix pooled to at most 256 x 256 cells. Threshold, hover,
        selection and panes are alive in it; what would need Python says so. Waits for a
        computation that is under way.

        Raises:
            OSError: the file cannot be written; what stood there stays.
        """
        self.wait()
        write_whole(path, self._page({}).encode())

    def save_image(self, path: str | os.PathLike[str]) -> None:
        """Write the graph as a picture for print, at the present threshold, null, scale and theme.

        ``SVR.plot`` draws it: the whole graph, whatever the camera, with at most the 20,000
        strongest edges. Theme ``"auto"`` is drawn light. Waits for a computation under way.

        Args:
            path: of the file; its suffix, ``.png`` or ``.svg``, says which format.

        Raises:
            SVRError: another suffix; nothing is drawn.
            OSError: the file cannot be written; what stood there stays.
        """
        image_format = format_of(path)
        self.wait()
        write_whole(path, image_file(self.svr, self._look(), image_format))

    def _look(self) -> dict[str, Any]:
        """What is set here, as options of ``SVR.plot``."""
        return {
            self.threshold_mode: self.threshold,
            "null": self.null,
            "y_scale": self.y_scale,
            "theme": "dark" if self.theme == "dark" else "light",
        }

    def _repr_mimebundle_(self, **keywords: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The view, and a picture for where it cannot be shown, once there is one to draw."""
        bundle: tuple[dict[str, Any], dict[str, Any]] | None
        bundle = super()._repr_mimebundle_(**keywords)
        if bundle is not None and self._scene:
            bundle[0]["image/png"] = still(self._svr, self._look())
        return bundle

    def _ipython_display_(self) -> None:
        """Show the widget; its picture follows where it is still being computed."""
        late = not self._scene
        if bundle := self._repr_mimebundle_():
            show_bundle(bundle[0], metadata=bundle[1])
        if late:
            self._late_stills.append(LateStill())
            if self._scene:  # it came in between
                self._show_late_stills()

    def _show_late_stills(self) -> None:
        if self._late_stills:
            image = still(self._svr, self._look())
            for late in tuple(self._late_stills):
                late.show(image)

    def _page(self, view: Mapping[str, Any]) -> str:
        """The page, with the traits of a view that may be ahead of this side."""
        shown = self._own_keywords() | {"_scene"}
        state = {name: value for name, value in self.get_state().items() if name in shown}
        still = {"_status": {"state": "ready"}, "_notice": ""}
        chosen = {name: value for name, value in view.items() if name in self._own_keywords()}
        return page_of(self.svr, {**state, **still, **chosen})

    def close(self) -> None:
        """Take the widget off every page, stop its computation and free what it holds."""
        if hasattr(self, "_computation"):  # absent where the constructor raised
            self.cancel()
        super().close()

    @classmethod
    def _own_keywords(cls) -> set[str]:
        inherited = set(anywidget.AnyWidget.class_trait_names()) - {"layout"}
        return {n for n in cls.class_trait_names() if not n.startswith("_")} - inherited

    def _show(self, svr: SVR) -> None:
        """Compute a graph, at once where that is quick, and put it in the picture's place."""
        if hasattr(self, "_computation"):
            self.cancel()
        computation = Computation(partial(self._compute, svr), self._show_progress)
        self._computation, self._asked = computation, svr
        self._status = {"state": "computing"}
        if svr.estimate_seconds() >= AT_ONCE_SECONDS:
            computation.start(partial(self._show_end, computation))
            return
        try:
            computation.run()
        except BaseException as error:
            self._show_end(computation, error)
            raise

    def _compute(self, svr: SVR, report: Report) -> None:
        svr.compute(report)
        scene = encode_scene(svr, self.max_edges)
        report("", 1, 1)  # raises where it was cancelled meanwhile
        is_first = not self._scene
        self._svr, self._scene = svr, scene
        self.selected = [item for item in self.selected if item[1] < self._neurons_of(item[0])]
        self._status = {"state": "ready"}
        if is_first:
            self._show_late_stills()

    def _show_end(self, computation: Computation, error: BaseException | None) -> None:
        """Say what ended a computation; where there is a picture, go back to it."""
        if error is None or computation is not self._computation:
            return
        if not self._scene:
            self._status = {"state": "failed", "message": f"{error}" or type(error).__name__}
            return
        self._notice = "" if isinstance(error, CancelledError) else str(error)
        self._status = {"state": "ready"}
        self._asked = self._svr
        self.method = self._svr.method

    def _show_progress(self, progress: Progress) -> None:
        self._status = {"state": "computing", **asdict(progress)}

    def _answer(self, _: Any, content: dict[str, Any], buffers: Any) -> None:
        if content.get("kind") == "cancel":
            self.cancel()
            return
        if content.get("kind") == "ping":
            self.send({"kind": "ping", "id": content.get("id")})
            return
        if content.get("kind") == "page":
            page = self._page(content.get("view", {}))
            self.send({"kind": "page", "id": content.get("id")}, buffers=[page.encode()])
            return
        more: dict[str, requests.Answer]
        more = {"images": self._gallery.images, "drop": partial(self._drop, buffers)}
        reply, binary = requests.answer(self.svr, content, more)
        self.send(reply, buffers=binary)

    def _drop(self, buffers: Any, _: SVR, question: dict[str, Any]) -> bytes:
        self._gallery.drop(buffers[0], question["height"], question["width"], question["name"])
        self._inputs = self._gallery.describe()
        return encode({}, {})

    @t.validate("threshold")
    def _check_threshold(self, proposal: dict[str, Any]) -> float:
        with self._noticing():
            check_level(self.threshold_mode, proposal["value"])
        return float(proposal["value"])

    @t.validate("selected")
    def _check_selected(self, proposal: dict[str, Any]) -> list[tuple[str, int]]:
        with self._noticing():
            return [self._neuron(item) for item in proposal["value"]]

    def _neuron(self, item: Any) -> tuple[str, int]:
        name, k = item
        count = self._neurons_of(name)
        if count == 0:
            raise SVRError(f"no map {name!r}{nearest_name(str(name), self._svr.columns)}")
        if not (isinstance(k, int) and 0 <= k < count):
            raise SVRError(f"map {name!r} has neurons 0 to {count - 1}, not {k!r}")
        return name, k

    def _neurons_of(self, name: str) -> int:
        """How many spectral neurons a column has; none where there is no such column."""
        if name not in self._svr.columns:
            return 0
        map_name, flattening = self._svr.columns[name]
        count = self._svr.maps[map_name].neurons(flattening)
        return min(count, self._svr.rank or count)

    @t.validate("selected_link")
    def _check_selected_link(self, proposal: dict[str, Any]) -> list[str] | None:
        with self._noticing():
            wanted = proposal["value"]
            if wanted is not None and tuple(wanted) not in {key[:2] for key in self._svr.links}:
                arrows = {" -> ".join(key[:2]) for key in self._svr.links}
                asked = " -> ".join(map(str, wanted))
                raise SVRError(f"no link {asked!r}{nearest_name(asked, arrows)}")
            return None if wanted is None else list(wanted)

    @t.validate("camera")
    def _check_camera(self, proposal: dict[str, Any]) -> list[float] | None:
        camera: list[float] | None = proposal["value"]
        with self._noticing():
            if camera is not None and (
                len(camera) != 3 or not 1 <= camera[0] <= 200 or not all(map(math.isfinite, camera))
            ):
                raise SVRError(
                    f"camera is [zoom, x, y] with 1 <= zoom <= 200, or None, not {camera}"
                )
        return camera

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Show in the widget, too, why a setting is refused."""
        try:
            yield
        except (TypeError, ValueError) as error:
            self._notice = str(error)
            raise t.TraitError(str(error)) from error
        self._notice = ""

    @t.observe("threshold_mode")
    def _keep_the_cut(self, change: dict[str, Any]) -> None:
        """Convert the level, unless whoever changes the mode gives one in the same breath."""
        if self._level_given or "threshold" in self._property_lock:
            return
        if self._scene:
            tests = self._svr.significance(self.null)
            self.threshold = tests.convert(change["old"], self.threshold, change["new"])
        else:
            self.threshold = DEFAULT_LEVELS[change["new"]]

    @t.observe("method")
    def _change_method(self, change: dict[str, Any]) -> None:
        if hasattr(self, "_asked") and change["new"] != self._asked.method:
            self._show(self._svr.by_method(change["new"]))

    @t.observe("max_edges")
    def _send_again(self, _: Any) -> None:
        if self._scene:
            self._scene = encode_scene(self._svr, self.max_edges)
