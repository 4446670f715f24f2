"""The exported page: what it holds, and that nothing gets out of its place."""

from __future__ import annotations

import base64
import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from svr_widget import SVR, SVRWidget
from svr_widget.widget.codec import decode
from svr_widget.widget.files import write_whole
from svr_widget.widget.page import Answer, page
from svr_widget.widget.scene import encode_scene

HOSTILE = '</script><img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def svr() -> SVR:
    torch.manual_seed(1)
    shapes = {"a": (300, 20), "b": (25, 300), "c": (9, 25)}
    return SVR({name: torch.randn(*shape) for name, shape in shapes.items()})


def contents(text: str) -> tuple[Any, dict[str, Any]]:
    packed = re.findall(r'<script type="text/plain" id="svr-data">([^<]*)</script>', text)
    assert len(packed) == 1
    return decode(gzip.decompress(base64.b64decode(packed[0])))


def test_a_page_holds_the_graph_the_view_and_every_matrix(svr: SVR, tmp_path: Path) -> None:
    widget = SVRWidget(svr, p=0.01, y_scale="log")
    widget.selected = [("b", 3)]
    widget.to_html(tmp_path / "page.html")
    meta, arrays = contents((tmp_path / "page.html").read_text("utf-8"))
    traits = meta["traits"]
    assert (traits["threshold_mode"], traits["threshold"]) == ("p", 0.01)
    assert (traits["y_scale"], traits["selected"]) == ("log", [["b", 3]])
    assert traits["_status"] == {"state": "ready"}
    assert "_esm" not in traits
    assert meta["binary"] == ["_scene"]
    assert arrays["_scene"].tobytes() == encode_scene(svr, widget.max_edges)
    assert [answer["question"]["link"] for answer in meta["answers"]] == [0, 1]


def test_matrices_are_pooled_and_right_to_a_256th(svr: SVR, tmp_path: Path) -> None:
    SVRWidget(svr).to_html(tmp_path / "page.html")
    meta, arrays = contents((tmp_path / "page.html").read_text("utf-8"))
    for answer, link in zip(meta["answers"], svr.links, strict=True):
        (name,) = answer["buffers"]
        about, cells = decode(arrays[name].tobytes())
        dense = svr.adjacency(link).dense().numpy().astype(np.float64)
        assert about["shape"] == list(dense.shape)
        assert cells["adjacency"].dtype == np.uint8
        root = cells["adjacency"] / 255
        if dense.shape == root.shape:
            assert np.abs(root - np.sqrt(dense / dense.max())).max() <= 0.5 / 255 + 1e-6
        else:
            assert max(root.shape) == 256
        assert root.max() == 1


def test_no_name_ends_the_element_that_it_stands_in(svr: SVR) -> None:
    hostile = SVR({HOSTILE: torch.randn(5, 4), "b": torch.randn(3, 5)})
    hostile.title = HOSTILE
    widget = SVRWidget(hostile)
    text = widget._page({"selected": [[HOSTILE, 0]]})
    assert "<img" not in text
    assert text.count("</script>") == 2
    meta, _ = contents(text)
    assert meta["traits"]["selected"] == [[HOSTILE, 0]]


def test_a_view_changes_public_traits_only(svr: SVR) -> None:
    text = SVRWidget(svr)._page({"threshold": 0.2, "_scene": "x", "_status": {}, "_esm": "x"})
    meta, arrays = contents(text)
    assert meta["traits"]["threshold"] == 0.2
    assert meta["traits"]["_status"] == {"state": "ready"}
    assert "_esm" not in meta["traits"]
    assert arrays["_scene"].size > 1


def test_the_page_loads_nothing_from_anywhere(svr: SVR) -> None:
    text = SVRWidget(svr)._page({})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src &#x27;none&#x27;;")
    assert not re.search(r'(src|href)="(https?:)?//', text)


def test_answers_keep_their_buffers_apart() -> None:
    text = page(
        "two",
        {},
        [Answer({"kind": "a"}, {"n": 1}, [b"x", b"yy"]), Answer({"kind": "b"}, {"n": 2}, [b"z"])],
    )
    meta, arrays = contents(text)
    held = [[arrays[name].tobytes() for name in answer["buffers"]] for answer in meta["answers"]]
    assert held == [[b"x", b"yy"], [b"z"]]


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "page.html"
    write_whole(target, b"old")

    def fail(self: Path, content: bytes) -> int:
        with self.open("wb") as file:
            file.write(content[:2])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="no space"):
        write_whole(target, b"new content")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]
