"""How the front end reaches the page: once in each widget, packed, and loaded once by all."""

from __future__ import annotations

import gzip

import torch

from svr_widget import SVRWidget
from svr_widget.widget.wire import front_end


def test_every_widget_carries_the_whole_front_end_packed() -> None:
    widget = SVRWidget([torch.eye(3)])
    state = widget.get_state()
    assert gzip.decompress(state["_code"]).decode() == front_end.read("widget.js")
    assert len(state["_code"]) < 0.5 * len(front_end.read("widget.js"))
    widget.close()


def test_the_module_of_a_widget_is_small_and_names_its_front_end() -> None:
    code = front_end.packed("widget.js")
    loader = front_end.loader(code)
    assert len(loader) < 2000
    assert SVRWidget([torch.eye(3)]).get_state()["_esm"] == loader
    assert front_end.loader(code + b"x") != loader
    assert code == front_end.packed("widget.js")
