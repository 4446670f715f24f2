"""The widget as something to keep: a page, a picture, and the picture in a saved notebook."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from svr_widget.engine.environment.files import destination, write_whole
from svr_widget.widget.answers.requests import Answers
from svr_widget.widget.cells.pictures import LatePicture, show_picture
from svr_widget.widget.computing.shown_graph import Shown
from svr_widget.widget.export.page import Part, answers_to, page
from svr_widget.widget.export.page_answers import page_questions
from svr_widget.widget.export.picture import format_of, image_file, small_picture
from svr_widget.widget.traits import Traits
from svr_widget.widget.wire.words import sendable


class Exports:
    """Writes what a widget shows to files and into the output of a cell.

    Args:
        widget: whose traits say how it is shown.
        shown: the part of it that computes the graph.
        answers: the part of it that answers what its panes ask.
    """

    def __init__(self, widget: Traits, shown: Shown, answers: Answers) -> None:
        self._widget, self._shown, self._answers = widget, shown, answers
        self._late: list[LatePicture] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def write_page(self, path: str | os.PathLike[str]) -> None:
        """``SVRWidget.to_html``."""
        path = destination(path)
        self._shown.wait()
        write_whole(path, self.page({}).encode())

    def write_image(self, path: str | os.PathLike[str]) -> None:
        """``SVRWidget.save_image``."""
        image_format, path = format_of(path), destination(path)
        self._shown.wait()
        write_whole(path, image_file(self._shown.svr, self.look(), image_format))

    def page(self, view: Mapping[str, Any]) -> str:
        """The page, with the traits of a view that may be ahead of this side."""
        title = f"Singular value representation of {self._widget._name or self._shown.svr.title}"
        return page(title, *self.part(view))

    def part(self, view: Mapping[str, Any]) -> Part:
        """What a page holds of this widget."""
        self._shown.wait()
        widget = self._widget
        shown = widget._own_keywords() | {"_scene", "_inputs", "_marked", "_name"}
        state = {name: value for name, value in widget.get_state().items() if name in shown}
        settled = {"_status": {"state": "ready"}, "_notice": ""}
        state |= settled | widget.allowed_view(view) | dict(self._shown.page_traits())
        svr, about = self._shown.svr, self._shown.page_question()
        asked = self._answers.asked
        questions = [
            {**question, **about}
            for question in page_questions(svr, asked, state["selected"], widget._inputs)
        ]
        graph = sum(len(value) for value in state.values() if isinstance(value, bytes))
        return Part(state, answers_to(questions, self._answers.reply, graph))

    def small_picture(self) -> str:
        """What is shown as a small PNG in base64, as notebooks hold it."""
        return small_picture(self._shown.network, self.look())

    def publish_picture(self) -> None:
        """Put the picture into an output of the cell, now or once there is something to draw."""
        if self._widget.comm is None:  # closed in the same cell
            return
        if not self._widget._scene:
            self._late.append(LatePicture())
            self._loop = _running_loop()
        elif picture := self._drawn():
            show_picture(picture)

    def draw_late_pictures(self) -> None:
        """Draw the pictures that outputs of cells wait for, in the thread that displayed them.

        Matplotlib's settings are the process's own: a cell that plots meanwhile would get ours.
        """
        if not (self._widget._scene and self._late):
            return
        loop = self._loop
        if loop is None or loop.is_closed() or loop is _running_loop():
            self._draw_late()
        else:
            loop.call_soon_threadsafe(self._draw_late)

    def _draw_late(self) -> None:
        waiting, self._late = self._late, []
        if waiting and (picture := self._drawn()):
            for late in waiting:
                late.show(picture)

    def _drawn(self) -> str | None:
        """The picture; what it cannot be drawn for is said, and stops nothing."""
        try:
            return self.small_picture()
        except Exception as error:
            self._widget._notice = sendable(f"there is no picture for the saved notebook: {error}")
            return None

    def look(self) -> dict[str, Any]:
        """What is set on the widget, as options of ``SVR.plot``."""
        widget = self._widget
        return {
            widget.threshold_mode: widget.threshold,
            "null": widget.null,
            "y_scale": widget.y_scale,
            "colour": widget.colour,
            "folded": widget.folded,
            "theme": "dark" if widget.theme == "dark" else "light",
            **({"title": widget._name} if widget._name else {}),
        }


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop of this thread, which is a kernel's while it runs a cell."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
