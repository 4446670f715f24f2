"""The examples of the docstrings and of the README do what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import matplotlib.pyplot as plt
import networkx
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import svr_widget
from svr_widget import SVR, SVRRecorder, SVRTimeline, SVRWidget
from tests.engine.support.zoo import language

README = Path(__file__).parents[1] / "README.md"


def documented() -> dict[str, doctest.DocTest]:
    """Every docstring of the package that holds an example, by the name of what it is about."""
    finder = doctest.DocTestFinder()
    names = [module.name for module in pkgutil.walk_packages(svr_widget.__path__, "svr_widget.")]
    modules = [svr_widget, *map(importlib.import_module, names)]
    found = (test for module in modules for test in finder.find(module, globs={}))
    return {test.name: test for test in found if test.examples}


DOCUMENTED = documented()
FIRST = "svr_widget.svr.SVR"


def run(test: doctest.DocTest, globs: dict[str, object]) -> dict[str, object]:
    """The names that an example leaves, whose output is that of its docstring."""
    told: list[str] = []
    test.globs = globs
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test, out=told.append, clear_globs=False)
    assert runner.failures == 0, "".join(told)
    return test.globs


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Files that an example writes are no files of the repository."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_docstring(name):
    first = run(DOCUMENTED[FIRST], {})
    if name != FIRST:  # the others go on from there
        run(DOCUMENTED[name], first)


@pytest.mark.parametrize("name", ["SVR", "SVRRecorder", "Recording", "Adjacency", "Decomposition"])
def test_main_names_have_an_example(name):
    of = getattr(svr_widget, name)
    assert f"{of.__module__}.{name}" in DOCUMENTED


class Network(nn.Module):
    """What the README calls ``model``: two convolutions and a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6)
        self.conv2, self.fc = nn.Conv2d(6, 8, 3), nn.Linear(8, 4)

    def forward(self, images):
        hidden = self.conv2(torch.relu(self.norm(self.conv1(images))))
        return self.fc(torch.relu(hidden).mean((2, 3)))


def surroundings() -> dict[str, object]:
    """What the README's code takes for granted: the names of somebody's notebook."""
    torch.manual_seed(0)
    model, untrained, images = Network(), Network(), torch.rand(6, 3, 12, 12)
    recorder = SVRRecorder(model, example_inputs=images, every=1)
    names = {"base": model, "tuned": untrained, "before": model, "after": untrained}
    batches = [(images, torch.zeros(6, dtype=torch.long))]
    return {
        **names,
        "SVR": SVR,
        "SVRRecorder": SVRRecorder,
        "SVRTimeline": SVRTimeline,
        "SVRWidget": SVRWidget,
        "Network": Network,
        "accuracy": lambda network: network(images).mean().item(),
        "batches": batches,
        "earlier": SVR(untrained),
        "images": images,
        "loader": batches,
        "loss": torch.tensor(0.7),
        "model": model,
        "networkx": networkx,
        "recorder": recorder,
        "svr": SVR(model),
        "svr_after": SVR(untrained),
        "svr_before": SVR(model),
        "train": lambda batch: None,
        "untrained": untrained,
    }


BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # bqplot on numpy 2
def test_readme():
    """All of its code, block by block, as a reader would type it into one notebook."""
    names = surroundings()
    save_file(names["model"].state_dict(), "checkpoint.safetensors")
    language.gpt2()[0].save_pretrained("folder/gpt2")
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"README.md, block {number}", "exec"), names)
    plt.close("all")
    assert len(BLOCKS) > 6
    assert Path("svr.pdf").stat().st_size > 1000
