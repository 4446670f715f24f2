"""``svr-widget``: pages and tables without a notebook, and one line for bad input."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from svr_widget import SVR, cache
from svr_widget.command import main
from svr_widget.widget.wire.codec import decode

MODULE = """
import torch
from torch import nn
weights = [1, 2]
def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
class here:
    model = make()
def unfinished():
    return None
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a module that makes a model and a file of its weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_net", raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "my_net.py").write_text(MODULE)
    torch.save(network().state_dict(), "net.pt")
    return tmp_path


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))


@pytest.mark.parametrize("source", ["my_net:make", "my_net:here.model"])
def test_a_table_of_a_model_is_its_summary(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["table", source, "--p", "0.2", "--norm", "fold"]) == 0
    told = pd.read_csv(io.StringIO(capsys.readouterr().out), dtype={"name": str})
    summary = SVR(network(), norm="fold").summary(p=0.2)
    columns = ["rank", "energy", "weight", "significant"]
    pd.testing.assert_frame_equal(
        told[columns].astype(float), summary[columns].astype(float), check_names=False
    )
    assert list(told["kind"]) == ["map", "map", "link"]
    assert str(Path.cwd()) not in sys.path


def test_a_file_is_told_as_json_by_the_name_or_the_option(folder: Path) -> None:
    arguments = ["net.pt", "--links", "0,2", "--method", "cosvr", "--quiet"]
    assert main(["table", *arguments, "--out", "svr.json"]) == 0
    first, _, link = json.loads(Path("svr.json").read_text())
    assert (first["name"], first["out"], first["in"], first["kernel"]) == ("0", 8, 6, "")
    assert "producer" not in first
    assert (link["producer"], link["consumer"], link["link"]) == ("0", "2", 0)
    assert main(["table", *arguments, "--out", "svr.txt", "--format", "json"]) == 0
    assert Path("svr.txt").read_text() == Path("svr.json").read_text()


def test_a_folder_keeps_decompositions(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for _ in range(2):
        assert main(["table", "net.pt", "--links", "chain", "--cache", "kept", "--quiet"]) == 0
        told.append(capsys.readouterr().out)
    assert told[0] == told[1]
    assert cache.clear("kept") == 2
    assert main(["table", "net.pt", "--cache", "net.pt"]) == 2
    assert "is no folder that decompositions could be kept in" in capsys.readouterr().err


def test_a_page_is_the_widgets(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["page", "my_net:make", "--out", "svr.html", "--sigma", "2", "--theme=dark"]) == 0
    (packed,) = re.findall(r'id="svr-data">([^<]*)</script>', Path("svr.html").read_text("utf-8"))
    meta, _ = decode(gzip.decompress(base64.b64decode(packed)))
    traits = meta["traits"]
    assert (traits["threshold_mode"], traits["threshold"], traits["theme"]) == ("sigma", 2, "dark")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table", "nowhere.pt"], "there is no file nowhere.pt"),
        (["table", "my_net:nothing"], "'my_net:nothing' names no model"),
        (["table", "no_such_module:net"], "No module named 'no_such_module'"),
        (["table", "my_net:weights"], "'my_net:weights' is a list, and no nn.Module"),
        (["table", "my_net:unfinished"], "is a NoneType, and no nn.Module"),
        (["table", "net.pt", "--links", "0"], "--links takes PRODUCER,CONSUMER or chain, not '0'"),
        (["table", "net.pt", "--links", "0,3"], "no map is called '3'"),
        (["table", "net.pt", "--exclude", "*"], "no weight"),
        (["table", "net.pt", "--rank", "0"], "rank must be an integer of at least 1"),
        (["table", "net.pt", "--p", "2"], "p = 2.0 is out of range: 0 < p <= 1"),
        (["table", "net.pt", "--out", "nowhere/svr.csv"], "there is no folder"),
        (["page", "my_net:make", "--out", "nowhere/svr.html"], "there is no folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.iterdir())
    assert main([*arguments, "--quiet"]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    *notes, line = told.err.splitlines()
    assert line.startswith("svr-widget: ")
    assert said in line
    assert all(note.startswith("note: ") for note in notes)
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table", "net.pt", "--p", "0.1", "--fdr", "0.1"], "one of --fdr, --p, --sigma"),
        (["page", "net.pt"], "the following arguments are required: --out"),
        (["table", "net.pt", "--method", "svd"], "invalid choice: 'svd'"),
        ([], "page | table"),
    ],
)
def test_a_wrong_option_is_one_line_too(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.slow
def test_a_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    code = "import sys; from svr_widget.command import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "table", "my_net:make", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            command, stdout=closed, stderr=subprocess.PIPE, env=environment, check=False
        )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr
