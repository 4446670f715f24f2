"""Every notebook runs from top to bottom without an error or a warning, and shows its pictures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import nbformat
import pytest

from tests.notebooks.execution import GONE, NOTEBOOKS, execute, outputs, without_view

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@each_notebook
def test_notebook_runs(path: Path, kernel: str) -> None:
    ran = outputs(execute(nbformat.read(path, as_version=4), kernel))
    warned = [
        output.text for output in ran if output.output_type == "stream" and output.name == "stderr"
    ]
    assert warned == []


@each_notebook
def test_notebook_is_committed_with_its_pictures(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    shown = {mime for output in outputs(notebook) for mime in output.get("data", {})}
    assert "image/png" in shown
    assert not shown.intersection(GONE)


def test_of_widgets_their_pictures_are_kept() -> None:
    view, words = {GONE[0]: {"model_id": "1"}}, {"text/plain": "IntSlider(value=1)"}
    picture = {"image/png": "iVBO"}
    output = partial(nbformat.v4.new_output, "display_data")
    assert without_view(output(data=view | words)) is None
    assert without_view(output(data=view | words | picture)).data == words | picture
    assert without_view(output(data=words)).data == words


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
