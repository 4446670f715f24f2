"""The widget's picture where the widget cannot be shown: files, notebooks, nbconvert."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from PIL import Image
from torch import nn

from svr_widget import SVR, SVRWidget
from svr_widget.engine.errors import SVRError
from svr_widget.plot import LIGHT
from svr_widget.widget.export.picture import small_picture
from tests.browser.networks import PLANTED, SHOW

SLOW = """
from svr_widget.widget.computing import shown_graph
shown_graph.AT_ONCE_SECONDS = 0
"""
MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def svr() -> SVR:
    made: dict[str, Any] = {}
    exec(PLANTED, made)
    return SVR(made["model"])


def pixels(image: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))


def is_drawn(image: bytes) -> bool:
    """Whether it has the planted network's orange-free picture: blue dots, black edges."""
    red, _, blue = np.moveaxis(pixels(image).astype(int), 2, 0)
    blue_dots = (blue - red > 100).sum()
    ink = (pixels(image).max(axis=2) < 90).sum()
    return bool(blue_dots > 100 and ink > 100)


def executed(*cells: str) -> NotebookNode:
    """The cells as a notebook, run, without the state of its widgets."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return NotebookClient(notebook, timeout=120, store_widget_state=False).execute()


def images_of(notebook: NotebookNode) -> list[bytes]:
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    bundles = [output.data for output in outputs if "data" in output]
    return [base64.b64decode(data["image/png"]) for data in bundles if "image/png" in data]


def html_images(notebook: NotebookNode) -> list[bytes]:
    page, _ = HTMLExporter().from_notebook_node(notebook)
    found = re.findall(r'<img[^>]+src="data:image/png;base64,([^"]+)"', page)
    return [base64.b64decode(image) for image in found]


@pytest.fixture(scope="module")
def notebook() -> NotebookNode:
    """Cells that show a widget, and another one that takes its time."""
    return executed(PLANTED, SHOW, SLOW + PLANTED, SHOW, "widget.wait()")


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


def test_the_picture_is_drawn_as_set(svr: SVR) -> None:
    widget = SVRWidget(svr, theme="dark", p=0.2, y_scale="log")
    dark = base64.b64decode(widget._small_picture())
    assert pixels(dark)[0, 0].max() < 60
    widget.theme = "auto"
    assert pixels(base64.b64decode(widget._small_picture()))[0, 0].min() > 240


def test_kinds_of_maps_keep_their_colours_in_a_small_picture() -> None:
    torch.manual_seed(0)
    tokens = torch.randint(0, 60, (1, 8))
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.Sequential(nn.Embedding(60, 16), layer, nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 4, 3))
    small = pixels(base64.b64decode(small_picture(SVR(model, tokens), {"p": 0.15}))).reshape(-1, 3)
    for kind in ("embedding", "attention", "linear", "convolution"):
        hue = np.array(to_rgb(LIGHT.hue(kind))) * 255
        assert (np.abs(small - hue).max(axis=1) <= 12).sum() > 10, kind


def test_save_image_writes_what_is_set(svr: SVR, tmp_path: Path) -> None:
    widget = SVRWidget(svr, fdr=0.01)
    widget.save_image(tmp_path / "graph.PNG")
    assert is_drawn((tmp_path / "graph.PNG").read_bytes())
    strict = pixels((tmp_path / "graph.PNG").read_bytes())
    widget.set_threshold(p=0.3)
    widget.save_image(tmp_path / "graph.png")
    loose = pixels((tmp_path / "graph.png").read_bytes())
    assert (loose < 200).sum() > 1.5 * (strict < 200).sum()
    widget.save_image(tmp_path / "graph.svg")
    assert "</svg>" in (tmp_path / "graph.svg").read_text("utf-8")
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "graph.PNG",
        "graph.png",
        "graph.svg",
    ]


@pytest.mark.parametrize("name", ["graph.jpeg", "graph", "graph.svg.gz"])
def test_save_image_refuses_other_formats(svr: SVR, tmp_path: Path, name: str) -> None:
    with pytest.raises(SVRError, match=f"'{name}'"):
        SVRWidget(svr).save_image(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
