"""The widget's picture where the widget cannot be shown: executed notebooks, nbconvert."""

from __future__ import annotations

import base64
import re

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from tests.browser.networks import PLANTED, SHOW
from tests.notebooks.execution import execute, outputs
from tests.pixels import is_drawn, pixels

SLOW = """
from svr_widget.widget.computing import shown_graph
shown_graph.AT_ONCE_SECONDS = 0
"""
MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def notebook(kernel: str) -> NotebookNode:
    """Cells that show a widget, and another one that takes its time."""
    cells = PLANTED, SHOW, SLOW + PLANTED, SHOW, "widget.wait()"
    code = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return execute(nbformat.v4.new_notebook(cells=code), kernel, keep_state=False)


def images_of(notebook: NotebookNode) -> list[bytes]:
    bundles = [output.data for output in outputs(notebook) if "data" in output]
    return [base64.b64decode(data["image/png"]) for data in bundles if "image/png" in data]


def html_images(notebook: NotebookNode) -> list[bytes]:
    page, _ = HTMLExporter().from_notebook_node(notebook)
    found = re.findall(r'<img[^>]+src="data:image/png;base64,([^"]+)"', page)
    return [base64.b64decode(image) for image in found]


def test_an_executed_notebook_holds_the_picture(notebook: NotebookNode) -> None:
    first = images_of(notebook)[0]
    assert is_drawn(first)
    assert len(first) < MOST_BYTES


def test_the_picture_of_a_long_computation_comes_when_it_is_done(notebook: NotebookNode) -> None:
    first, late = images_of(notebook)
    assert len(pixels(late)) == len(pixels(first))
    assert is_drawn(late)


def test_nbconvert_shows_the_pictures(notebook: NotebookNode) -> None:
    assert html_images(notebook) == images_of(notebook)
