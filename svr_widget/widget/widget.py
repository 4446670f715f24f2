"""``SVRWidget``: the SVR of a model as a live picture in a notebook."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

import ipywidgets
import pandas as pd
import traitlets as t

from svr_widget.engine.activations.similarity import Reference
from svr_widget.engine.errors import nearest_name
from svr_widget.engine.significance.multiple_testing import MODES
from svr_widget.svr import SVR
from svr_widget.widget.answers import requests
from svr_widget.widget.answers.gallery import Gallery
from svr_widget.widget.export.exports import Outputs
from svr_widget.widget.export.page_answers import Asked, Question
from svr_widget.widget.wire import front_end
from svr_widget.widget.wire.codec import encode

if TYPE_CHECKING:
    from svr_widget.widget.charts import Charts
    from svr_widget.widget.comparison import Comparison

INPUT_KEYWORDS = ("inputs", "transform", "labels")
GIVEN_KEYWORDS = {"example_inputs", *INPUT_KEYWORDS, "reference"}
SVR_KEYWORDS = frozenset(inspect.signature(SVR).parameters) - {"source", "example_inputs"}


class SVRWidget(Outputs):
    """The graph of spectral neurons of a network (paper, sections 2 and 4), drawn and linked.

    Args:
        model: an ``nn.Module``, an ``SVR``, a list of weights or a mapping of names to weights.
        example_inputs: what the model takes, where the links cannot be read off without it.
        inputs: for the pane of spectral images (section 5.1): a tensor or array ``[n, ...]``, a
            list of images with ``transform``, or a ``DataLoader``, of which the first batch is
            taken; also settable later, ``widget.inputs = images``.
        transform: from one image to the tensor that the model takes; also for dropped images.
        labels: what the inputs are called, one a piece.
        reference: what spectral images are compared with, ``"sobel"`` or a function, as in
            ``SVR.similarity``; also settable later.
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
            self._svr = model.by_norm(norm or model.norm).by_method(method or model.method)
        else:
            keywords |= {"method": method or "svr", "norm": norm or "ignore"}
            self._svr = SVR(model, example_inputs, **keywords)
        gallery = Gallery(self._svr.model, reference)
        gallery.give(*given_inputs)
        self._questions = Asked()
        super().__init__(method=self._svr.method, norm=self._svr.norm)
        self._gallery = gallery
        self._inputs = gallery.describe()
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
        self._inputs = self._gallery.describe()

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
        reply, binary = self._reply(content, buffers)
        self.send(reply, buffers=binary)
        self._questions.add(content)

    def _reply(self, question: Question, buffers: Any = ()) -> tuple[dict[str, Any], list[bytes]]:
        return requests.answer(self._asked_about(question), question, self._answers(buffers))

    def _asked_about(self, _: dict[str, Any]) -> SVR:
        """The graph that a question of the page is about."""
        return self.svr

    def _answers(self, buffers: Any) -> dict[str, requests.Answer]:
        """What answers the questions that take more than an SVR, by their kind."""
        return {"images": self._gallery.images, "drop": partial(self._drop, buffers)}

    def _drop(self, buffers: Any, _: SVR, question: dict[str, Any]) -> bytes:
        self._gallery.drop(buffers[0], question["height"], question["width"], question["name"])
        self._inputs = self._gallery.describe()
        return encode({}, {})
