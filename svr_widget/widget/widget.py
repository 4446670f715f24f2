"""``SVRWidget``: the SVR of a model as a live picture in a notebook."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import traitlets as t

from svr_widget.engine.analysis.activations.activations import form_of_inputs
from svr_widget.engine.analysis.activations.similarity import Reference
from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.significance.multiple_testing import MODES
from svr_widget.svr import SVR
from svr_widget.widget.answers.gallery import Gallery
from svr_widget.widget.answers.requests import KINDS, Answers, Kind, Sources
from svr_widget.widget.cells.closing import close_parts
from svr_widget.widget.cells.displayed import displayed
from svr_widget.widget.computing.shown_graph import Shown, ShownGraph
from svr_widget.widget.export.exports import Exports
from svr_widget.widget.export.page import Part
from svr_widget.widget.traits import Traits
from svr_widget.widget.wire import front_end

if TYPE_CHECKING:
    from svr_widget.widget.charts import Charts
    from svr_widget.widget.comparison import Comparison
    from svr_widget.widget.dashboard import Dashboard

INPUT_KEYWORDS = ("inputs", "transform", "labels")
GIVEN_KEYWORDS = {"example_inputs", *INPUT_KEYWORDS, "reference"}
SVR_KEYWORDS = frozenset(inspect.signature(SVR).parameters) - {"source", "example_inputs"}


class SVRWidget(Traits):
    """The graph of spectral neurons of a network (paper, sections 2 and 4), drawn and linked.

    Args:
        model: an ``nn.Module``, an ``SVR``, a list of weights, a mapping of names to weights or the
            path of a file or folder of them; the latter have links only where ``links`` says so, or
            a model does that they belong to (``SVRWidget(model, weights="file")``).
        example_inputs: what the model takes, where the links cannot be read off without it.
        inputs: for the pane of spectral images (section 5.1): a tensor or array ``[n, ...]``, an
            image or a list of them (see ``SVR.spectral_activations``), with ``transform`` where
            they are to become the model's input in another way, or a ``DataLoader``, of which the
            first batch is taken; also settable later, ``widget.inputs = images``.
        transform: from one image to the tensor that the model takes; also for dropped images.
        labels: what the inputs are called, one a piece.
        reference: what spectral images are compared with, ``"sobel"`` or a function, as in
            ``SVR.similarity``; also settable later.
        fdr, p, sigma, bonferroni: the threshold to begin with, one of them (``set_threshold``).
        **keywords: the widget's own traits (``y_scale``, ``folded``, ``theme``, ``height``,
            ``max_edges``...) and ``SVR``'s keywords.

    The model is checked and traced at once, so bad input raises here. What takes longer than
    about three seconds is then computed in a thread, while the widget shows how far it is and the
    maps that are done; of those that take more than a second their leading singular values first.

    Raises:
        SVRError: the model, its weights or an option cannot be used; the message says which.
        TypeError: a keyword is unknown; the message names the nearest.

    Examples:
        >>> from svr_widget import SVRWidget
        >>> widget = SVRWidget(model, p=0.15, theme="dark")
        >>> widget.threshold_mode, widget.threshold, len(widget.edges())
        ('p', 0.15, 36)
        >>> widget.selected = [("0", 0)]
        >>> widget.selected_link = ("0", "2")
    """

    _code = t.Bytes(front_end.packed("widget.js")).tag(sync=True, echo_update=False)
    _esm = t.Unicode(front_end.loader(_code.default_value)).tag(sync=True)
    _css = t.Unicode(front_end.read("widget.css")).tag(sync=True)

    def __init__(self, model: Any, example_inputs: Any = None, **keywords: Any) -> None:
        traits = {name: keywords.pop(name) for name in self._own_keywords() & keywords.keys()}
        levels = {mode: keywords.pop(mode) for mode in MODES if mode in keywords}
        reference = keywords.pop("reference", "sobel")
        given_inputs = [keywords.pop(name, None) for name in INPUT_KEYWORDS]
        if unknown := sorted(keywords.keys() - SVR_KEYWORDS):
            hint = nearest_name(
                unknown[0], {*SVR_KEYWORDS, *self._own_keywords(), *MODES, *GIVEN_KEYWORDS}
            )
            raise TypeError(f"{type(self).__name__}() has no keyword {unknown[0]!r}{hint}")
        method, norm = traits.pop("method", None), traits.pop("norm", None)
        if isinstance(model, SVR):
            if keywords or example_inputs is not None:
                given = ", ".join(sorted(keywords)) or "example_inputs"
                raise TypeError(f"{given}: give it to SVR(...), which is already made here")
            svr = model.by_norm(norm or model.norm).by_method(method or model.method)
        else:
            keywords |= {"method": method or "svr", "norm": norm or "ignore"}
            keywords.setdefault("non_finite", "leave out")
            svr = SVR(model, example_inputs, **keywords)
        self._gallery = Gallery(svr.model, reference, form_of_inputs(svr))
        self._gallery.give(*given_inputs)
        self._shown = self._shown_part(svr)
        self._answers = Answers(self._sources(), self._kinds())
        self._exports = Exports(self, self._shown, self._answers)
        # A layout that comes later would leave the one of before behind.
        layout = {name: traits.pop(name) for name in ("layout",) if name in traits}
        super().__init__(method=svr.method, norm=svr.norm, **layout)
        self._renew_inputs()
        if levels:
            self.set_threshold(**levels)
        self._level_given = "threshold" in traits
        with self.hold_trait_notifications():
            for name, value in traits.items():
                setattr(self, name, value)
        self._level_given = False
        self.on_msg(self._answer)
        self._shown.show(svr)

    def _shown_part(self, svr: SVR) -> Shown:
        """The part that computes what is shown."""
        return ShownGraph(self, svr)

    def _kinds(self) -> Mapping[str, Kind]:
        """What the page may ask."""
        return KINDS

    def _sources(self) -> Sources:
        return Sources(
            at=self._shown.at,
            gallery=self._gallery,
            renew_inputs=self._renew_inputs,
            cancel=self.cancel,
            resume=self.resume,
            page=lambda view: self._exports.page(view),
            page_of_all=self._page_of_all,
        )

    @property
    def svr(self) -> SVR:
        """The engine behind the picture; raises what ended the computation, if there is none."""
        return self._shown.svr

    @property
    def _network(self) -> SVR:
        return self._shown.network

    def wait(self, timeout: float | None = None) -> None:
        """Block until what was last asked for is there; raises its error, or ``TimeoutError``.

        Of a timeline that is every checkpoint that there is.
        """
        self._shown.wait(timeout)
        if threading.current_thread() is threading.main_thread():
            self._exports.draw_late_pictures()

    def cancel(self) -> None:
        """Stop a computation that is still running, before its next map or checkpoint."""
        self._shown.cancel()

    def resume(self) -> None:
        """Go on with a computation that was cancelled before there was a picture.

        What was done by then is kept. Nothing happens where nothing was cancelled.
        """
        if self._status.get("state") == "cancelled":
            self._shown.show(self._shown.asked)

    def close(self) -> None:
        """Take the widget off every page, stop its computation and free what it holds."""
        if hasattr(self, "_shown"):  # absent where the constructor raised
            self._shown.close()
        close_parts(self)
        if self.comm is not None:
            # JupyterLab keeps the models of closed widgets, with all that they hold.
            for name in ("_scene", "_preview", "_frames", "_timeline"):
                if self.has_trait(name):
                    setattr(self, name, b"")
        super().close()

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
        self._renew_inputs()

    @property
    def reference(self) -> Reference:
        """What the spectral images are compared with: ``"sobel"`` or a function.

        The function takes the model's input and a size and returns ``[batch, h, w]``, as in
        ``SVR.similarity``.

        Raises:
            SVRError: it is neither; nothing is changed then.
        """
        return self._gallery.reference

    @reference.setter
    def reference(self, reference: Reference) -> None:
        self._gallery.reference = reference
        self._renew_inputs()

    def _renew_inputs(self) -> None:
        self._shown.network.add_note(self._gallery.note)
        self._inputs = self._gallery.describe()

    def __repr__(self) -> str:
        """What a notebook shows above the picture where it does not trust the widget."""
        if not hasattr(self, "_shown"):  # the constructor raised
            return object.__repr__(self)
        return repr(self._shown.network).replace("SVR", type(self).__name__, 1)

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

    def dashboard(self) -> Dashboard:
        """The widget and its charts side by side; closing it leaves the widget alone."""
        from svr_widget.widget.dashboard import Dashboard

        return Dashboard(self, self.charts())

    @classmethod
    def compare(
        cls,
        a: Any,
        *others: Any,
        names: Sequence[str] | None = None,
        least: float = 0.5,
        **keywords: Any,
    ) -> Comparison:
        """Networks beside each other on the same axes, linked (paper, Figures 2, 12 and 13).

        Tools, threshold, law, method, scale and panes are one for all, and folds where networks
        have the same modules. Where they have maps of the same name and form, their neurons are
        matched (``SVR.match``): what is selected in one is selected in the others, rings mark what
        is new or gone, a table lists it, and the difference can be drawn: neurons by the change of
        their singular values, edges that came and went.

        Args:
            a: what ``SVRWidget`` takes: a model, an ``SVR``, weights. The others are compared with
                it. Alone, the list of all networks.
            *others: likewise.
            names: what the networks are called, one each; by default their titles.
            least: a neuron is new where no neuron of ``a`` has a cosine (the overlap of
                ``SVR.match``) of at least that with it; gone likewise.
            **keywords: given to all widgets; ``folded``, also an attribute of what is returned,
                names modules of at least one network.

        Raises:
            SVRError: there are fewer than two networks, or not one name for each.

        Examples:
            >>> from svr_widget import compare
            >>> trained = {name: weight + 0.01 for name, weight in model.state_dict().items()}
            >>> both = compare(model, trained, names=("base", "tuned"), fdr=0.01)
            >>> both.changes().head(2)[["change", "map", "k", "other_k"]]
              change map   k  other_k
            0    new   0  14       15
            1   same   0  12       12
        """
        from svr_widget.widget.comparison import Comparison, named

        networks = [a, *others] if others else list(a) if isinstance(a, list | tuple) else [a]
        if len(networks) < 2:
            raise SVRError("compare takes at least two networks: compare(a, b), or a list of them")
        if not 0 <= least <= 1:
            raise SVRError(f"least = {least!r} is out of range: 0 <= least <= 1, it is a cosine")
        keywords.setdefault("panes", [])
        folded = keywords.pop("folded", None)
        sides = [cls(network, **keywords) for network in networks]
        titles = named([side._network for side in sides], names)
        return Comparison(sides, titles, least, folded)

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the widget as a page that works without a kernel and without a network.

        The page holds the edges that travelled (``max_edges``), the threshold's tables for all of
        them, and every link's matrix pooled to at most 256 x 256 cells; the filters and images
        that its panes show when they open, and whatever views of this widget have asked for about
        this graph: other matrices, filters and images. Of images ``MOST_IMAGE_BYTES`` go in at
        most, of all else ``MOST_OTHER_BYTES``, links with the strongest edges first; less where the
        graph itself is large, so that the page of GPT-2 small takes 5 MB.
        Threshold, hover, selection and panes are alive in it; what it does not hold says so.
        Waits for a computation that is under way.

        Raises:
            OSError: the file cannot be written; what stood there stays.

        Examples:
            >>> from svr_widget import SVRWidget
            >>> SVRWidget(model).to_html("svr.html")
        """
        self._exports.write_page(path)

    def save_image(self, path: str | os.PathLike[str]) -> None:
        """Write the graph as a picture for print, at the present threshold, null, scale and theme.

        ``SVR.plot`` draws it: the whole graph, whatever the camera, with at most the 20,000
        strongest edges. Theme ``"auto"`` is drawn light. Waits for a computation under way.

        Args:
            path: of the file; its suffix, ``.png`` or ``.svg``, says which format.

        Raises:
            SVRError: another suffix; nothing is drawn.
            OSError: the file cannot be written; what stood there stays.

        Examples:
            >>> from svr_widget import SVRWidget
            >>> SVRWidget(model, theme="dark").save_image("svr.svg")
        """
        self._exports.write_image(path)

    def _repr_mimebundle_(self, **keywords: Any) -> Any:
        """The view, as of every widget; a picture follows as an output of its own."""
        displayed(self)
        return super()._repr_mimebundle_(**keywords)

    def _publish_picture(self) -> None:
        self._exports.publish_picture()

    def _small_picture(self) -> str:
        return self._exports.small_picture()

    def _look(self) -> dict[str, Any]:
        return self._exports.look()

    def _page_of_all(self, views: Sequence[Mapping[str, Any]]) -> str:
        if self._comparison_page is None:
            raise SVRError("this widget is part of no comparison")
        return self._comparison_page(views)

    def _page_part(self, view: Mapping[str, Any]) -> Part:
        return self._exports.part(view)

    def _answer(self, _: Any, content: Any, buffers: Any) -> None:
        if (reply := self._answers.answer(content, buffers)) is not None:
            message, binary = reply
            self.send(message, buffers=binary)

    @t.observe("method", "norm")
    def _show_another(self, _: Any) -> None:
        """Show the network by another method, or with its norms folded or not."""
        asked = self._shown.asked
        if (self.method, self.norm) == (asked.method, asked.norm):
            return
        try:
            wanted = self._shown.network.by_norm(self.norm).by_method(self.method)
        except SVRError as error:
            self._notice = str(error)
            self._name_method(asked)
            raise
        self._shown.show(wanted)

    @t.observe("max_edges")
    def _send_again(self, _: Any) -> None:
        self._shown.send_again()

    @t.observe("_scene")
    def _forget_questions(self, _: Any) -> None:
        self._answers.asked.clear()

    @t.observe("_status")
    def _draw_late_pictures(self, _: Any) -> None:
        self._exports.draw_late_pictures()
