"""Recording of training runs: what is kept, what a file holds, and that the run is left alone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from torch import nn

from svr_widget import SVR, SVRRecorder
from svr_widget.engine.errors import NonFiniteWeightsError, SVRError
from svr_widget.recording.recording import Recording
from tests.engine.support.zoo import attention


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 4))


def convolutional() -> nn.Sequential:
    """Flattening, batch norm and groups: what a map is takes more than its parameter."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Conv2d(4, 6, 3, padding=1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5)),
    )


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.inner = nn.Embedding(20, 20), nn.Linear(20, 20)
        self.head = nn.Linear(20, 20, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(self.words(tokens)))


def shaken(model: nn.Module, seed: int) -> None:
    """Other weights, as a step of training gives them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)


MODELS = {
    "chain": (chain, None, {}),
    "convolutional": (convolutional, torch.zeros(1, 2, 4, 4), {}),
    "tied": (Tied, torch.zeros(1, 3, dtype=torch.int64), {}),
    "attention": (attention.ViT, torch.zeros(1, 3, 8, 8), {"exclude": "positions"}),
    "cosvr": (convolutional, torch.zeros(1, 2, 4, 4), {"method": "cosvr", "rank": 3}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("to_disk", [False, True])
def test_a_checkpoint_is_the_svr_of_its_moment(name: str, to_disk: bool, tmp_path: Path) -> None:
    """Against an SVR that traces the model anew at each moment."""
    make, example, keywords = MODELS[name]
    model = make().eval()
    path = tmp_path / "run" if to_disk else None
    recorder = SVRRecorder(model, 1, path, example_inputs=example, **keywords)
    expected = [SVR(copy.deepcopy(model), example, **keywords)]
    for seed in range(2):
        shaken(model, seed)
        assert recorder.step()
        expected.append(SVR(copy.deepcopy(model), example, **keywords))
    recorded = Recording.load(path) if path else recorder
    assert recorded.steps == (0, 1, 2)
    for got, wanted in zip(recorded, expected, strict=True):
        assert list(got.maps) == list(wanted.maps)
        assert list(got.links) == list(wanted.links)
        for column in wanted.columns:
            assert torch.equal(got[column].S, wanted[column].S)
            assert torch.equal(got[column].U, wanted[column].U)
            assert torch.equal(got[column].V, wanted[column].V)
        assert got.edges(p=0.3).equals(wanted.edges(p=0.3))
        assert [got.maps[m].tied_to for m in got.maps] == [
            wanted.maps[m].tied_to for m in wanted.maps
        ]


def test_it_records_every_nth_step_with_its_numbers() -> None:
    model = chain()
    recorder = SVRRecorder(model, every=3)
    recorded = [
        recorder.step(loss=torch.tensor(float(step), requires_grad=True)) for step in range(1, 8)
    ]
    assert recorded == [False, False, True, False, False, True, False]
    recorder.every = 5
    for _ in range(3):
        recorder.step(label="later", loss=1, accuracy=0.5)
    assert recorder.steps == (0, 3, 6, 10)
    recorder.record("best")
    history = recorder.history()
    assert history["step"].tolist() == [0, 3, 6, 10]
    assert history["label"].tolist() == ["", "", "", "best"]
    assert history["loss"].tolist()[1:3] == [3, 6]


def test_the_last_step_is_recorded_however_the_run_ends() -> None:
    with SVRRecorder(chain(), every=4) as recorder:
        for _ in range(6):
            recorder.step()
    assert recorder.steps == (0, 4, 6)
    with pytest.raises(KeyboardInterrupt), SVRRecorder(chain(), every=4) as stopped:  # noqa: PT012
        for _ in range(2):
            stopped.step()
        raise KeyboardInterrupt
    assert stopped.steps == (0, 2)


def test_an_optimiser_is_watched_until_the_block_ends() -> None:
    model = chain()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)

    def train() -> None:
        model(torch.randn(3, 12)).sum().backward()
        optimiser.step()

    with SVRRecorder(model, every=2).watch(optimiser) as recorder:
        for _ in range(5):
            train()
    train()
    assert recorder.steps == (0, 2, 4, 5)


def test_memory_is_bounded_by_thinning_out_and_it_says_so() -> None:
    model = chain()
    size = sum(p.nbytes for p in model.parameters() if p.ndim == 2)
    recorder = SVRRecorder(model, every=10, memory=(4 * size + 1) / 1e6)
    assert recorder.notes == ()
    for _ in range(400):
        recorder.step()
        assert len(recorder) <= 4
    assert recorder.steps == (0, 160, 320)
    assert recorder.every == 160
    assert "thinned out to every 160 steps" in recorder.notes[0]
    assert "thinned out" in repr(recorder)


def test_the_number_of_checkpoints_is_bounded_on_disk_too(tmp_path: Path) -> None:
    recorder = SVRRecorder(chain(), 1, tmp_path, most=3)
    for _ in range(9):
        recorder.step()
    assert recorder.steps == Recording.load(tmp_path).steps
    assert len(list(tmp_path.glob("step-*"))) == len(recorder) <= 3


def test_a_run_that_is_cut_off_while_it_writes_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = SVRRecorder(chain(), 1, tmp_path)
    recorder.step()

    def half(file: BinaryIO, *_: object) -> None:
        file.write(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr("svr_widget.engine.work.records._write", half)
    with pytest.raises(KeyboardInterrupt):
        recorder.step()
    (tmp_path / ".step-000000003.safetensors.abc").write_bytes(b"of a process that was killed")
    read = SVRRecorder.load(tmp_path)
    assert read.steps == recorder.steps == (0, 1)
    assert torch.equal(read[1]["0"].S, recorder[1]["0"].S)


def test_a_folder_that_holds_a_recording_is_not_written_over(tmp_path: Path) -> None:
    model = chain()
    recorder = SVRRecorder(model, 2, tmp_path)
    recorder.step()
    recorder.step()
    with pytest.raises(SVRError, match="recording of 2 checkpoints"):
        SVRRecorder(model, 2, tmp_path)
    resumed = SVRRecorder(model, 2, tmp_path, existing="resume")
    resumed.step()
    resumed.step(loss=3)
    assert resumed.steps == (0, 2, 4)
    assert resumed.history()["loss"].tolist()[-1] == 3
    other = nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 8))
    with pytest.raises(SVRError, match="map '0' is 10x12 there and 9x12 here"):
        SVRRecorder(other, 2, tmp_path, existing="resume")
    with pytest.raises(SVRError, match="cosvr"):
        SVRRecorder(model, 2, tmp_path, existing="resume", method="cosvr")
    assert SVRRecorder(other, 2, tmp_path, existing="replace").steps == (0,)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    SVRRecorder(chain(), 1, tmp_path).step()
    path = tmp_path / "step-000000001.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(SVRError, match=r"step-000000001.*damaged"):
        SVRRecorder.load(tmp_path).svr(1)
    with pytest.raises(FileNotFoundError, match="no recording"):
        SVRRecorder.load(tmp_path / "nowhere")


def test_weights_that_diverge_are_told_once_and_do_not_end_the_run() -> None:
    model = chain()
    recorder = SVRRecorder(model, 1)
    with torch.no_grad():
        model[2].weight[0, 0] = torch.nan
    with pytest.warns(RuntimeWarning, match="step 1 is not recorded: '2' has 1 NaN"):
        assert not recorder.step()
    assert not recorder.step()  # without another warning, which would be an error here
    assert recorder.steps == (0,)
    with pytest.raises(NonFiniteWeightsError):
        recorder.record()


def test_the_run_is_the_same_with_and_without_it() -> None:
    """Neither the weights, nor the modes, nor the random numbers of the training change."""

    def trained(record: bool) -> list[torch.Tensor]:
        model = nn.Sequential(convolutional(), nn.Dropout(0.5), nn.Linear(5, 3))
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        torch.manual_seed(1)
        recorder = SVRRecorder(model, 1, example_inputs=torch.zeros(1, 2, 4, 4)) if record else None
        for _ in range(3):
            optimiser.zero_grad()
            model(torch.randn(4, 2, 4, 4)).square().sum().backward()
            optimiser.step()
            if recorder:
                recorder.step()
        if recorder:
            recorder[-1].compute()
        return list(model.state_dict().values())

    assert all(map(torch.equal, trained(record=False), trained(record=True)))


def test_the_factors_of_norms_are_said_to_be_unknown() -> None:
    model = convolutional().eval()
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([1.0, 0, 2, 3]))
    example = torch.zeros(1, 2, 4, 4)
    assert SVR(model, example).dead_channels()["channel"].tolist() == [1]
    checkpoint = SVRRecorder(model, example_inputs=example)[0]
    assert checkpoint.dead_channels().empty
    assert any("factors of norms are not recorded" in note for note in checkpoint.notes)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"every": 0}, "every must be an integer"),
        ({"most": 1}, "at least two"),
        ({"memory": 1e-4}, "does not hold two"),
        ({"norm": "fold"}, "norm='fold'"),
        ({"existing": "replac"}, "did you mean 'replace'"),
    ],
)
def test_what_cannot_be_is_refused(keywords: dict, message: str) -> None:
    with pytest.raises(SVRError, match=message):
        SVRRecorder(chain(), **keywords)


def test_other_things_are_refused() -> None:
    with pytest.raises(TypeError, match=r"takes an nn\.Module, not list"):
        SVRRecorder([torch.eye(3)])
    with pytest.raises(TypeError, match="did you mean 'method'"):
        SVRRecorder(chain(), metod="svr")
    with pytest.raises(KeyError, match="no checkpoint of step 7; there are 0"):
        SVRRecorder(chain()).svr(7)
