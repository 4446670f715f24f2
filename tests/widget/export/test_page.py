"""The exported page: what it holds, and that nothing gets out of its place."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from svr_widget import SVR, SVRWidget
from svr_widget.engine.environment.files import write_whole
from svr_widget.widget.export.page import Answer, page
from svr_widget.widget.wire.codec import decode
from svr_widget.widget.wire.scene import encode_scene

HOSTILE = '</script><img src=x onerror="alert(1)">'


@pytest.fixture(scope="module")
def svr() -> SVR:
    torch.manual_seed(1)
    shapes = {"a": (300, 20), "b": (25, 300), "c": (9, 25)}
    return SVR({name: torch.randn(*shape) for name, shape in shapes.items()}, links="chain")


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
    asked = [answer["question"] for answer in meta["answers"]]
    matrices = [(at["link"], at["kind"]) for at in asked if at.get("matrix") == "adjacency"]
    kinds = ("matrix", "tile", "internal")
    assert sorted(matrices) == sorted((link, kind) for link in (0, 1) for kind in kinds)
    assert not [at for at in asked if at.get("matrix", "adjacency") != "adjacency"]


def test_matrices_are_pooled_and_right_to_a_256th(svr: SVR, tmp_path: Path) -> None:
    SVRWidget(svr).to_html(tmp_path / "page.html")
    meta, arrays = contents((tmp_path / "page.html").read_text("utf-8"))
    answers = {
        (a["question"]["link"], a["question"]["kind"]): a
        for a in meta["answers"]
        if "matrix" in a["question"]
    }
    for place, link in enumerate(svr.links):
        about, tile = (
            decode(arrays[answers[place, kind]["buffers"][0]].tobytes())
            for kind in ("matrix", "tile")
        )
        dense = svr.adjacency(link).dense().numpy().astype(np.float64)
        assert about[0]["shape"] == list(dense.shape)
        cells = tile[1]["values"]
        assert cells.dtype == np.uint8
        assert max(cells.shape) <= 256
        step = 2 if 300 in dense.shape else 1
        assert about[0]["steps"] == [step if n == 300 else 1 for n in dense.shape]
        for row in range(cells.shape[0]):
            for column in range(cells.shape[1]):
                down, across = about[0]["steps"]
                rows = slice(row * down, (row + 1) * down)
                columns = slice(column * across, (column + 1) * across)
                root = np.sqrt(dense[rows, columns].max() / dense.max())
                assert abs(cells[row, column] / 255 - root) <= 0.5 / 255 + 1e-6
        assert cells.max() == 255


def test_no_name_ends_the_element_that_it_stands_in(svr: SVR) -> None:
    hostile = SVR({HOSTILE: torch.randn(5, 4), "b": torch.randn(3, 5)}, links="chain")
    hostile.title = HOSTILE
    widget = SVRWidget(hostile)
    text = widget._exports.page({"selected": [[HOSTILE, 0]]})
    assert "<img" not in text
    assert text.count("</script>") == 2
    meta, _ = contents(text)
    assert meta["traits"]["selected"] == [[HOSTILE, 0]]


def test_a_view_changes_public_traits_only(svr: SVR) -> None:
    text = SVRWidget(svr)._exports.page(
        {"threshold": 0.2, "_scene": "x", "_status": {}, "_esm": "x"}
    )
    meta, arrays = contents(text)
    assert meta["traits"]["threshold"] == 0.2
    assert meta["traits"]["_status"] == {"state": "ready"}
    assert "_esm" not in meta["traits"]
    assert arrays["_scene"].size > 1


def test_the_page_loads_nothing_from_anywhere(svr: SVR) -> None:
    text = SVRWidget(svr)._exports.page({})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert policy[1].startswith("default-src &#x27;none&#x27;;")
    assert not re.search(r'(src|href)="(https?:)?//', text)


def test_only_the_pages_own_script_may_run(svr: SVR, tmp_path: Path) -> None:
    SVRWidget(svr).to_html(tmp_path / "page.html")
    # Bytes, since that is what the browser hashes; and no \r, which it would read as \n.
    content = (tmp_path / "page.html").read_bytes()
    (script,) = re.findall(rb'<script type="module">(.*?)</script>', content, re.DOTALL)
    assert b"\r" not in script
    hashed = base64.b64encode(hashlib.sha256(script).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', content.decode())
    directives = dict(part.strip().split(" ", 1) for part in html.unescape(policy).split(";"))
    assert directives["script-src"] == f"'sha256-{hashed}'"
    assert directives["worker-src"] == "blob:"
    assert content.index(b"Content-Security-Policy") < content.index(b"<script")


def test_answers_keep_their_buffers_apart() -> None:
    text = page(
        "two",
        {},
        [Answer({"kind": "a"}, {"n": 1}, [b"x", b"yy"]), Answer({"kind": "b"}, {"n": 2}, [b"z"])],
    )
    meta, arrays = contents(text)
    held = [[arrays[name].tobytes() for name in answer["buffers"]] for answer in meta["answers"]]
    assert held == [[b"x", b"yy"], [b"z"]]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*gone to write page\.html into"):
        write_whole(tmp_path / "gone" / "page.html", b"")


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
