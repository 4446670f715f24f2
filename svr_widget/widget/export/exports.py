"""The widget as something to keep: a page, a picture, and the picture in a saved notebook."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import traitlets as t

from svr_widget.engine.files import destination, write_whole
from svr_widget.widget.computing.shown_graph import LiveGraph
from svr_widget.widget.export.page import answers_to, page
from svr_widget.widget.export.page_answers import Asked, Question, foreseen
from svr_widget.widget.export.picture import LateStill, format_of, image_file, show_bundle, still


class Outputs(LiveGraph):
    """Writes what is shown to files and into the output of a cell."""

    _late_stills: tuple[LateStill, ...] = ()
    _questions: Asked
    _inputs: Any

    def _reply(self, question: Question, buffers: Any = ()) -> tuple[dict[str, Any], list[bytes]]:
        """The answer to a question of the front end."""
        raise NotImplementedError

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Write the widget as a page that works without a kernel and without a network.

        The page holds the edges that travelled (``max_edges``), the threshold's tables for all of
        them, and every link's matrix pooled to at most 256 x 256 cells; the filters and images
        that its panes show when they open, and whatever views of this widget have asked for about
        this graph: other matrices, filters and images. Of images ``MOST_IMAGE_BYTES`` go in at
        most, of all else ``MOST_OTHER_BYTES``, links with the strongest edges first.
        Threshold, hover, selection and panes are alive in it; what it does not hold says so.
        Waits for a computation that is under way.

        Raises:
            OSError: the file cannot be written; what stood there stays.
        """
        path = destination(path)
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
        image_format, path = format_of(path), destination(path)
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
            self._late_stills += (LateStill(),)
            if self._scene:  # it came in between
                self._show_late_stills()

    @t.observe("_status")
    def _show_late_stills(self, _: Any = None) -> None:
        if self._scene and self._late_stills:
            waiting, self._late_stills = self._late_stills, ()
            image = still(self._svr, self._look())
            for late in waiting:
                late.show(image)

    def _page(self, view: Mapping[str, Any]) -> str:
        """The page, with the traits of a view that may be ahead of this side."""
        shown = self._own_keywords() | {"_scene", "_inputs", "_marked"}
        state = {name: value for name, value in self.get_state().items() if name in shown}
        still = {"_status": {"state": "ready"}, "_notice": ""}
        chosen = {name: value for name, value in view.items() if name in self._own_keywords()}
        state |= still | chosen
        state |= self._page_traits()
        about = self._page_question()
        questions = [
            {**question, **about}
            for question in foreseen(self.svr, self._questions, state["selected"], self._inputs)
        ]
        title = f"Singular value representation of {self.svr.title}"
        return page(title, state, answers_to(questions, self._reply))

    @t.observe("_scene")
    def _forget_questions(self, _: Any) -> None:
        self._questions.clear()

    def _page_traits(self) -> dict[str, Any]:
        """Traits that only a page begins with."""
        return {}

    def _page_question(self) -> dict[str, Any]:
        """What every question of the page says."""
        return {}
