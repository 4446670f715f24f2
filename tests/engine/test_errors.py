"""What a cell shows of an error: the caller's lines and what to do, none of our frames."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from torch import nn

from svr_widget import SVR, SVRError, SVRWidget

MODEL = """
def made():
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight[0, 0] = model[1].weight[0, 0] = float("nan")
    return show(model)
"""


class Broken(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("there is no such tensor")


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Iterator[InteractiveShell]:
    made = InteractiveShell.instance()
    made.run_line_magic("colors", "nocolor")
    made.user_ns.update(nn=nn, torch=torch, SVR=SVR, SVRWidget=SVRWidget, Broken=Broken)
    capsys.readouterr()
    yield made
    made.run_line_magic("xmode", "Context")
    made.reset(new_session=False)


def shown(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], code: str) -> list[str]:
    assert isinstance(shell.run_cell(code).error_in_exec, SVRError)
    return re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).rstrip().split("\n")


@pytest.mark.parametrize("name", ["SVR", "SVRWidget"])
def test_a_cell_shows_its_own_lines_and_the_message_last(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    lines = shown(shell, capsys, f"show = lambda model: {name}(model).neurons()\n{MODEL}made()")
    assert not any("svr_widget/" in line or "torch/" in line for line in lines)
    assert any("return show(model)" in line for line in lines)
    assert lines[-1].startswith("NonFiniteWeightsError: ")
    assert len(lines) < 30


def test_the_cause_stands_before_the_message(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = shown(shell, capsys, "SVR(Broken(), torch.zeros(1, 4)).links")
    (cause,) = (line for line in lines if line.startswith("caused by KeyError"))
    assert "there is no such tensor" in cause
    assert "test_errors.py, line" in cause
    assert lines.index(cause) < next(i for i, line in enumerate(lines) if "TraceError: " in line)
    assert not any("svr_widget/engine" in line for line in lines)


def test_verbose_shows_every_frame(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["show"] = SVRWidget
    shell.run_line_magic("xmode", "Verbose")
    capsys.readouterr()
    lines = shown(shell, capsys, MODEL + "made()")
    assert any("svr_widget/" in line for line in lines)


def test_an_error_of_the_callers_own_is_shown_whole(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.user_ns["SVRError"] = SVRError
    lines = shown(shell, capsys, "def f():\n    raise SVRError('mine')\nf()")
    assert any("raise SVRError('mine')" in line for line in lines)
    assert lines[-1] == "SVRError: mine"
