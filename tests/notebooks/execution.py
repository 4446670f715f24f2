"""Notebooks executed from top to bottom, and written with what they printed and drew.

Run with ``python -m tests.notebooks.execution [NAME...]`` to write them anew.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from unittest import mock

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
# A view of a widget that is gone: where it is in the file JupyterLab says "model not found", and
# does not show the picture beside it.
GONE = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")


def execute(
    notebook: NotebookNode, kernel: str = "python3", *, keep_state: bool = True
) -> NotebookNode:
    """Run the cells in an empty folder, with warnings as errors; an error of theirs is raised.

    ``keep_state`` keeps the state of the widgets in the notebook.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.dict(os.environ, PYTHONWARNINGS="error:::__main__"),
    ):
        resources = {"metadata": {"path": folder}}
        options = {"kernel_name": kernel, "store_widget_state": keep_state}
        NotebookClient(notebook, timeout=300, resources=resources, **options).execute()
    return notebook


def outputs(notebook: NotebookNode) -> list[NotebookNode]:
    """The outputs of all cells, in order."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def without_view(output: NotebookNode) -> NotebookNode | None:
    """An output with the picture of its widget only; None where it has none, as a slider."""
    data = output.get("data", {})
    views = [data.pop(mime) for mime in GONE if mime in data]
    return None if views and set(data) <= {"text/plain"} else output


def record(path: Path) -> None:
    """Execute a notebook and write it with its outputs; of widgets their pictures."""
    notebook = execute(nbformat.read(path, as_version=4))
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = [kept for kept in map(without_view, cell.outputs) if kept]
    nbformat.write(notebook, path)


def main(names: list[str]) -> None:
    """Write the notebooks of these names, or all."""
    for path in [FOLDER / f"{name}.ipynb" for name in names] or NOTEBOOKS:
        record(path)
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e3:,.0f} kB\n")


if __name__ == "__main__":
    main(sys.argv[1:])
