"""The widget's picture as a file, and as small as a notebook carries it."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from torch import nn

from svr_widget import SVR, SVRWidget
from svr_widget.engine.errors import SVRError
from svr_widget.plot import LIGHT
from svr_widget.widget.export.picture import small_picture
from tests.browser.networks import PLANTED
from tests.pixels import is_drawn, pixels


@pytest.fixture(scope="module")
def svr() -> SVR:
    made: dict[str, Any] = {}
    exec(PLANTED, made)
    return SVR(made["model"])


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


def test_pictures_are_folded_as_the_widget_is(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    weights = {f"fc{i}": torch.randn(4, 4, generator=generator) for i in range(30)}
    widget = SVRWidget(weights, links="chain", p=0.1)
    columns = {}
    for folded in (None, []):
        widget.folded = folded
        widget.save_image(path := tmp_path / "graph.svg")
        # Matplotlib writes a comment with every text.
        columns[folded is None] = re.findall(r"<!-- (fc[^ ]*) -->", path.read_text("utf-8"))
    assert columns[True] == [f"fc{i}-fc{i + 2}" for i in range(0, 30, 3)]
    alone = [f"fc{i}" for i in range(30)]
    assert [name for name in columns[False] if name in alone] == alone
    assert columns[False][-10:] == columns[True]  # the brackets


@pytest.mark.parametrize("name", ["graph.jpeg", "graph", "graph.svg.gz"])
def test_save_image_refuses_other_formats(svr: SVR, tmp_path: Path, name: str) -> None:
    with pytest.raises(SVRError, match=f"'{name}'"):
        SVRWidget(svr).save_image(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
