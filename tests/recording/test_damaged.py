"""Recordings beside damage, full disks and the errors of the user: nothing is locked or lost."""

from __future__ import annotations

import errno
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from svr_widget import SVR, SVRRecorder, SVRTimeline
from svr_widget.engine.errors import SVRError
from svr_widget.recording.recording import Recording


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))


def shaken(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A recording of the steps 0 to 4."""
    model = chain()
    recorder = SVRRecorder(model, 1, tmp_path / "run")
    for step in range(1, 5):
        shaken(model)
        recorder.step(loss=1 / step)
    return tmp_path / "run"


def file(run: Path, step: int) -> Path:
    return run / f"step-{step:09d}.safetensors"


def cut(run: Path) -> None:
    file(run, 2).write_bytes(file(run, 2).read_bytes()[:100])


def emptied(run: Path) -> None:
    file(run, 2).write_bytes(b"")


def zeroed(run: Path) -> None:
    file(run, 2).write_bytes(bytes(file(run, 2).stat().st_size))


def swapped(run: Path) -> None:
    shutil.copy(file(run, 3), file(run, 2))


def of_another_network(run: Path) -> None:
    other = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    SVRRecorder(other, 1, run.parent / "other")
    shutil.copy(file(run.parent / "other", 0), file(run, 2))


def of_other_weights(run: Path) -> None:
    save_file({"a": torch.eye(3)}, file(run, 2))


def a_saved_svr(run: Path) -> None:
    SVR(chain()).save(file(run, 2))


def the_network(run: Path) -> None:
    shutil.copy(run / "network.safetensors", file(run, 2))


def a_bit(run: Path) -> None:
    content = bytearray(file(run, 2).read_bytes())
    content[-5] ^= 1
    file(run, 2).write_bytes(content)


def a_folder(run: Path) -> None:
    file(run, 2).unlink()
    file(run, 2).mkdir()


def a_pipe(run: Path) -> None:
    file(run, 2).unlink()
    os.mkfifo(file(run, 2))


def deleted_meanwhile(run: Path) -> None:
    file(run, 2).unlink()
    file(run, 2).symlink_to(run / "nowhere")


DAMAGES: list[Callable[[Path], None]] = [
    *(cut, emptied, zeroed, swapped, of_another_network, of_other_weights, a_saved_svr),
    *(the_network, a_bit, a_folder, a_pipe, deleted_meanwhile),
]
THEIRS = (of_other_weights, a_saved_svr, a_folder, a_pipe)


@pytest.mark.parametrize("damage", DAMAGES)
class TestDamage:
    def test_it_is_skipped_aloud_and_once(self, run: Path, damage: Callable[[Path], None]) -> None:
        damage(run)
        recording = SVRRecorder.load(run)
        with pytest.warns(RuntimeWarning, match=r"is skipped: .*step-000000002") as told:
            assert len(recording) == 4
        assert len(told) == 1
        assert recording.steps == (0, 1, 3, 4)  # without another warning, an error here
        assert "4 checkpoints, steps 0 to 4" in repr(recording)
        assert recording.history()["step"].tolist() == [0, 1, 3, 4]
        assert [len(svr.maps) for svr in recording] == [2, 2, 2, 2]
        with pytest.raises((SVRError, OSError, KeyError), match=r"step-?.{0,9}2"):
            recording.svr(2)

    def test_the_timeline_shows_the_others(self, run: Path, damage: Callable[[Path], None]) -> None:
        damage(run)
        with pytest.warns(RuntimeWarning, match="step-000000002"):
            timeline = SVRTimeline(str(run))
        timeline.wait()
        assert timeline._recorded == 4
        timeline.close()

    def test_a_run_is_resumed(self, run: Path, damage: Callable[[Path], None]) -> None:
        damage(run)
        with pytest.warns(RuntimeWarning, match="step-000000002"):
            resumed = SVRRecorder(chain(), 1, run, existing="resume")
        assert resumed.step()
        assert resumed.steps == (0, 1, 3, 4, 5)

    def test_a_run_is_replaced_and_what_is_not_ours_stays(
        self, run: Path, damage: Callable[[Path], None]
    ) -> None:
        damage(run)
        there = file(run, 2)
        before = there.read_bytes() if there.is_file() else None
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            replaced = SVRRecorder(chain(), 1, run, existing="replace")
            assert replaced.steps == (0,)
            recorded = [replaced.step() for _ in range(3)]
        stays = damage in THEIRS
        assert recorded == [True, not stays, True]
        assert len(told) == (2 if stays else 0)
        if stays:
            assert "step 2 is not recorded" in str(told[1].message)
            assert there.exists()
            assert there.is_file() == (before is not None)
            assert before is None or there.read_bytes() == before


def test_damage_while_it_is_read(run: Path) -> None:
    recording = SVRRecorder.load(run)
    assert len(recording) == 5
    cut(run)
    file(run, 3).unlink()
    with pytest.warns(RuntimeWarning) as told:
        assert len(list(recording)) == 3
    assert ["step-000000002" in str(each.message) for each in told] == [True, False]
    assert recording.steps == (0, 1, 4)
    with pytest.raises(SVRError, match=r"step-000000002.*damaged"):
        recording.svr(2)


def test_a_damaged_last_step_is_recorded_again(run: Path) -> None:
    file(run, 4).write_bytes(file(run, 4).read_bytes()[:200])
    with pytest.warns(RuntimeWarning, match="step-000000004"):
        resumed = SVRRecorder(chain(), 1, run, existing="resume")
    assert resumed.step()
    assert resumed.steps == SVRRecorder.load(run).steps == (0, 1, 2, 3, 4)


def test_a_damaged_network_is_named_and_can_be_replaced(run: Path) -> None:
    network = run / "network.safetensors"
    network.write_bytes(network.read_bytes()[:50])
    with pytest.raises(SVRError, match=r"network\.safetensors is damaged"):
        SVRRecorder.load(run)
    with pytest.raises(SVRError, match=r"network\.safetensors is damaged"):
        SVRRecorder(chain(), 1, run, existing="resume")
    assert SVRRecorder(chain(), 1, run, existing="replace").steps == (0,)
    assert len(SVRRecorder.load(run)) == 1


def test_files_of_others_in_the_folder_stay(tmp_path: Path) -> None:
    others = {
        "step-100.safetensors": b"of another trainer",
        "step-000000002.safetensors": b"\x00\x01 of who knows whom",
        "step-000000003.bin": b"x",
        "notes.txt": b"notes",
    }
    for name, held in others.items():
        (tmp_path / name).write_bytes(held)
    recorder = SVRRecorder(chain(), 1, tmp_path, existing="replace")
    with pytest.warns(RuntimeWarning, match="step 2 is not recorded.*did not write") as told:
        recorded = [recorder.step() for _ in range(3)]
    assert (recorded, len(told)) == ([True, False, True], 1)
    assert {name: (tmp_path / name).read_bytes() for name in others} == others
    save_file({"a": torch.eye(2)}, tmp_path / "network.safetensors")
    held = (tmp_path / "network.safetensors").read_bytes()
    for existing in ("refuse", "resume", "replace"):
        with pytest.raises(SVRError, match=r"did not write .*network\.safetensors"):
            SVRRecorder(chain(), 1, tmp_path, existing=existing)
    assert (tmp_path / "network.safetensors").read_bytes() == held


def test_leftovers_of_a_killed_run_are_swept(run: Path) -> None:
    hexes = "0" * 32
    for name in (f".step-000000007.safetensors.{hexes}", f".notes.{hexes}"):
        (run / name).write_bytes(b"half")
        os.utime(run / name, (0, 0))
    SVRRecorder.load(run)
    assert (run / f".step-000000007.safetensors.{hexes}").exists(), "who reads writes nothing"
    SVRRecorder(chain(), 1, run, existing="resume")
    assert sorted(each.name for each in run.glob(".*")) == [f".notes.{hexes}"]


def test_a_relative_path_is_that_of_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    recorder = SVRRecorder(chain(), 1, "run")
    recording = SVRRecorder.load("run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert recorder.step()
    assert len(list(recording)) == 1
    assert not list((tmp_path / "elsewhere").iterdir())
    assert len(SVRRecorder.load(tmp_path / "run")) == 2


def test_recordings_of_before_are_still_read(tmp_path: Path) -> None:
    """Written by the code of commit 6e391cd, when the format was settled."""
    shutil.copytree(Path(__file__).parent / "version_1", tmp_path / "run")
    recording = SVRRecorder.load(tmp_path / "run")
    assert recording.steps == (0, 1)
    assert recording.history()["label"].tolist() == ["", "second"]
    assert recording.history()["loss"].isna().all()
    assert torch.allclose(recording[1].maps["0"].weight, recording[0].maps["0"].weight + 0.5)
    small = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    assert SVRRecorder(small, 1, tmp_path / "run", existing="resume").step()
    assert SVRRecorder(small, 1, tmp_path / "run", existing="replace").steps == (0,)


FULL = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS]


def full(monkeypatch: pytest.MonkeyPatch, code: int, until: list[bool]) -> None:
    """Let bringing a file to the disk fail, as a full one does, while the list is not empty."""
    sync = os.fsync

    def fails(opened: int) -> None:
        if until:
            raise OSError(code, os.strerror(code))
        sync(opened)

    monkeypatch.setattr(os, "fsync", fails)


class TestFullDisk:
    @pytest.mark.parametrize("code", FULL)
    def test_the_training_goes_on(
        self, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorder = SVRRecorder(chain(), 1, tmp_path)
        until = [True]
        full(monkeypatch, code, until)
        with pytest.warns(RuntimeWarning, match="step 1 is not recorded") as told:
            assert [recorder.step() for _ in range(3)] == [False, False, False]
        assert len(told) == 1
        assert os.strerror(code) in str(told[0].message)
        assert sorted(each.name for each in tmp_path.iterdir()) == [
            "network.safetensors",
            "step-000000000.safetensors",
        ]
        with pytest.raises(OSError, match=os.strerror(code)):
            recorder.record("asked for")
        until.clear()
        assert recorder.step()
        assert recorder.steps == Recording.load(tmp_path).steps == (0, 4)

    def test_the_last_step(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        recorder = SVRRecorder(chain(), 2, tmp_path)
        recorder.step()
        full(monkeypatch, errno.ENOSPC, [True])
        with pytest.warns(RuntimeWarning, match="the last step is not recorded"):
            recorder.__exit__(None, None, None)
        assert recorder.steps == (0,)

    def test_thinning_out_loses_no_more_than_it_should(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recorder = SVRRecorder(chain(), 1, tmp_path, most=3)
        recorder.step()
        recorder.step()
        unlink = Path.unlink

        def read_only(path: Path, missing_ok: bool = False) -> None:
            if path.name.startswith("step"):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            unlink(path, missing_ok)

        monkeypatch.setattr(Path, "unlink", read_only)
        with pytest.warns(RuntimeWarning, match="step 3 is not recorded"):
            recorder.step()
        assert recorder.steps == Recording.load(tmp_path).steps == (0, 1, 2)
        monkeypatch.undo()
        assert recorder.step()
        assert recorder.steps == Recording.load(tmp_path).steps == (0, 2, 4)

    def test_a_recording_that_could_not_be_begun(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        until = [True]
        full(monkeypatch, errno.ENOSPC, until)
        with pytest.raises(OSError, match="No space"):
            SVRRecorder(chain(), 1, tmp_path)
        until.clear()
        (tmp_path / "network.safetensors").write_bytes(b"")
        assert SVRRecorder(chain(), 1, tmp_path).step()
        assert len(SVRRecorder.load(tmp_path)) == 2

    def test_a_folder_that_was_deleted(self, tmp_path: Path) -> None:
        recorder = SVRRecorder(chain(), 1, tmp_path / "run")
        shutil.rmtree(tmp_path / "run")
        with pytest.warns(RuntimeWarning, match="step 1 is not recorded: there is no folder"):
            recorder.step()
        assert not recorder.step()


class TestUsersError:
    """What ends a ``with`` block comes first, whatever becomes of the last step."""

    def test_on_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def train() -> None:
            with SVRRecorder(chain(), 2, tmp_path) as recorder:
                recorder.step()
                full(monkeypatch, errno.ENOSPC, [True])
                raise ZeroDivisionError("of the user")

        with (
            pytest.warns(RuntimeWarning, match="the last step is not recorded: .*No space"),
            pytest.raises(ZeroDivisionError, match="of the user"),
        ):
            train()

    @pytest.mark.parametrize("kind", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
    def test_where_warnings_are_errors_it_is_a_note(
        self, kind: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def train() -> None:
            with SVRRecorder(chain(), 2, tmp_path) as recorder:
                recorder.step()
                full(monkeypatch, errno.ENOSPC, [True])
                raise kind

        with pytest.raises(kind) as raised:
            train()
        assert "the last step is not recorded" in raised.value.__notes__[0]
        assert raised.value.__cause__ is None
        assert raised.value.__context__ is None

    def test_whatever_ours_is(self) -> None:
        def fails() -> None:
            raise RuntimeError("ours")

        def train() -> None:
            model = chain()
            with SVRRecorder(model, 2) as recorder:
                recorder.step()
                recorder.listen(fails)
                raise ZeroDivisionError

        with (
            pytest.warns(RuntimeWarning, match="not recorded: ours"),
            pytest.raises(ZeroDivisionError),
        ):
            train()
