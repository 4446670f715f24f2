"""The VGGs of the paper's notebook, and how they take torchvision's published weights."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch

from tests.notebooks.execution import FOLDER

# Published with torchvision's weights.
PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
}
# The places of the convolutions in torchvision's ``features``.
CONVOLUTIONS = {
    "vgg11": [0, 3, 6, 8, 11, 13, 16, 18],
    "vgg16": [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
    "vgg11_bn": [0, 4, 8, 11, 15, 18, 22, 25],
    "vgg19_bn": [0, 3, 7, 10, 14, 17, 20, 23, 27, 30, 33, 36, 40, 43, 46, 49],
}


@pytest.fixture(scope="module")
def paper() -> dict[str, Any]:
    """What the notebook's cells about VGG define."""
    notebook = nbformat.read(FOLDER / "paper.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if "vgg" in cell.metadata.get("tags", [])]
    assert len(cells) == 3
    defined: dict[str, Any] = {}
    exec("\n".join(cells), defined)
    return defined


def made(paper: dict[str, Any], name: str) -> dict[str, torch.Tensor]:
    """A state dict of the right shapes, each tensor one number repeated without taking memory."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in paper["vgg"](name).state_dict().items()}
    numbers = range(len(shapes))
    return {
        key: torch.tensor(float(number)).expand(shape)
        for number, (key, shape) in zip(numbers, shapes.items(), strict=True)
    }


def test_nothing_is_downloaded_by_default(paper: dict[str, Any]) -> None:
    assert paper["WEIGHTS"] is None
    assert paper["DOWNLOAD"] is False


@pytest.mark.parametrize("name", PARAMETERS)
def test_it_has_as_many_parameters_as_the_published_one(paper: dict[str, Any], name: str) -> None:
    with torch.device("meta"):
        model = paper["vgg"](name)
    assert sum(weight.numel() for weight in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_names_are_torchvisions(paper: dict[str, Any], name: str) -> None:
    expected = {
        f"{layer}.{kind}"
        for layer in [f"features.{i}" for i in CONVOLUTIONS[name]]
        + [f"classifier.{i}" for i in (0, 3, 6)]
        for kind in ("weight", "bias")
    }
    if name.endswith("_bn"):
        kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        expected |= {f"features.{i + 1}.{kind}" for i in CONVOLUTIONS[name] for kind in kinds}
    with torch.device("meta"):
        assert paper["vgg"](name).state_dict().keys() == expected


@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize("name", ["vgg16", "vgg19_bn"])
def test_weights_come_from_a_folder(
    paper: dict[str, Any], tmp_path: Path, name: str, as_zip: bool
) -> None:
    """In both formats of torch, and without the counts that the published files lack."""
    state = made(paper, name)
    published = {key: value for key, value in state.items() if "num_batches" not in key}
    file = tmp_path / paper["FILES"][name]
    torch.save(published, file, _use_new_zipfile_serialization=as_zip)
    model = paper["pretrained"](name, tmp_path)
    assert not model.training
    loaded = model.state_dict()
    for key, value in published.items():
        assert loaded[key].shape == value.shape
        assert loaded[key].flatten()[-1] == value.flatten()[-1]
    assert not any(weight.is_meta for weight in loaded.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("features.2.bias"), r"Missing key.*features\.2\.bias"),
        (lambda state: state.update(extra=torch.zeros(1)), r"Unexpected key.*extra"),
        (
            lambda state: state.update({"classifier.6.weight": torch.zeros(10, 4096)}),
            r"size mismatch for classifier\.6\.weight.*\[10, 4096\]",
        ),
    ],
)
def test_other_weights_are_refused_by_name(
    paper: dict[str, Any], tmp_path: Path, change: Any, message: str
) -> None:
    state = made(paper, "vgg16")
    change(state)
    torch.save(state, tmp_path / paper["FILES"]["vgg16"])
    with pytest.raises(ValueError, match=rf"(?s)vgg16-397923af\.pth does not hold.*{message}"):
        paper["pretrained"]("vgg16", tmp_path)


def test_a_file_that_would_run_code_is_refused(paper: dict[str, Any], tmp_path: Path) -> None:
    torch.save({"features.0.weight": Path}, tmp_path / paper["FILES"]["vgg16"])
    with pytest.raises(pickle.UnpicklingError, match=r"[Ww]eights.only"):
        paper["pretrained"]("vgg16", tmp_path)


def test_a_download_is_checked_by_its_hash(
    paper: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def fetch(url: str, **keywords: Any) -> dict[str, torch.Tensor]:
        asked.update(keywords, url=url)
        return made(paper, "vgg11_bn")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fetch)
    paper["pretrained"]("vgg11_bn")
    assert asked == {
        "url": "https://download.pytorch.org/models/vgg11_bn-6002323d.pth",
        "check_hash": True,
        "weights_only": True,
    }
