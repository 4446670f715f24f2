"""The widget under the caller's settings: shown, answered and exported as ever."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from svr_widget import SVRWidget
from tests.engine.support.callers_settings import SETTINGS


def shown(path: Path, model: nn.Module, inputs: Tensor) -> tuple[bytes, list[bytes]]:
    widget = SVRWidget(model, inputs, inputs=inputs, panes=["adjacency"])
    replies: list[bytes] = []
    widget.send = lambda content, buffers=None: replies.extend(map(bytes, buffers or []))
    for question in (
        {"kind": "matrix", "link": 0, "matrix": "adjacency", "method": None},
        {"kind": "internal", "link": 0},
        {"kind": "cut", "law": "exact", "mode": "p", "level": 0.123},
        {"kind": "images", "inputs": [0], "neurons": {"0": [0, 1]}, "most": 96, "cosine": False},
    ):
        widget._answer(widget, {**question, "id": 1, "revision": 0}, [])
    widget.to_html(path)
    assert "</html>" in path.read_text()
    widget.threshold_mode = "sigma"
    scene = widget._scene
    widget.close()
    return scene, replies


@pytest.mark.parametrize("name", SETTINGS)
def test_the_widget_is_the_same(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
    inputs = torch.ones(2, 6)
    scene, replies = shown(tmp_path / "usual.html", model, inputs)
    with SETTINGS[name]():
        other, again = shown(tmp_path / "other.html", model, inputs)
    assert other == scene
    assert len(replies) >= 2
    assert again == replies


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # bqplot on numpy 2
@pytest.mark.parametrize("name", ["numpy raises", "default device", "inference mode"])
def test_the_charts_are_drawn(name: str) -> None:
    weights = [torch.eye(5), torch.eye(5)]
    with SETTINGS[name]():
        widget = SVRWidget(weights)
        charts = widget.charts()
        charts.close()
        widget.close()
