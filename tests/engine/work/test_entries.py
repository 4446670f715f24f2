"""Decompositions kept in a folder: taken back to the bit, checked, made once, mapped."""

from __future__ import annotations

import errno
import multiprocessing
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from svr_widget import SVR, Recording, SVRError, SVRRecorder
from svr_widget.engine.work import entries, tasks
from svr_widget.engine.work.folder import Folder
from svr_widget.engine.work.folder import entries as entries_in
from tests.engine.support.gaussian import gaussian
from tests.engine.support.zoo import language

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")


def files(folder):
    return {entry.path: entry.path.read_bytes() for entry in entries_in(folder)}


def forked(function, *arguments):
    process = multiprocessing.get_context("fork").Process(target=function, args=arguments)
    process.start()
    return process


def test_the_same_weights_are_taken_from_the_folder(chain, tmp_path, counted, same):
    SVR(chain, cache=tmp_path).compute()
    counted.clear()
    assert same(SVR(chain, cache=str(tmp_path)), SVR(chain))
    assert len(counted) == len(chain)  # of the one without a folder
    assert len(files(tmp_path)) == len(chain)


@pytest.mark.parametrize("method", ["cosvr", "cross"])
def test_methods_share_what_is_the_same_matrix(method, tmp_path, counted, same):
    weights = [gaussian(5, 4, 1, 1), gaussian(6, 5, 3, 3), gaussian(4, 6)]
    SVR(weights, cache=tmp_path).compute()
    counted.clear()
    other = SVR(weights, cache=tmp_path, method=method)
    other.compute()
    assert counted == [(6, 5, 3, 3)]
    assert same(other, SVR(weights, method=method))


@pytest.mark.parametrize(
    "changed",
    [
        lambda weight: {"source": [weight + 1e-6]},
        lambda weight: {"source": [weight.double()]},
        lambda weight: {"source": [weight.reshape(6, 4, 2)]},
        lambda weight: {"rank": 2},
        lambda weight: {"seed": 1},
    ],
)
def test_another_weight_or_setting_is_another_entry(changed, tmp_path):
    weight = gaussian(6, 8)
    for keywords in ({}, changed(weight)):
        svr = SVR(**{"source": [weight], "cache": tmp_path, **keywords})
        fresh = SVR(**{"source": [weight], **keywords})
        assert torch.equal(svr["0"].U, fresh["0"].U)
        assert svr["0"].certificate == fresh["0"].certificate
    assert len(files(tmp_path)) == 2


def test_tied_weights_products_and_transposed_sides(tmp_path, same, counted):
    model, *inputs = language.gpt2()
    SVR(model, *inputs, cache=tmp_path).compute()
    counted.clear()
    again = SVR(model, *inputs, cache=tmp_path)
    again.compute()
    assert counted == []
    assert same(again, SVR(model, *inputs))


def test_copies_methods_and_norms_share_the_folder(tmp_path, counted):
    torch.manual_seed(0)
    first, last = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 5, 3)
    model = torch.nn.Sequential(first, torch.nn.BatchNorm2d(4), last).eval()
    svr = SVR(model, torch.zeros(1, 3, 8, 8), cache=tmp_path)
    svr.by_norm("fold").compute()
    svr.by_method("cosvr").compute()
    assert svr.by_norm("fold").work == svr.by_method("cosvr").work == svr.work
    counted.clear()
    again = SVR(model, torch.zeros(1, 3, 8, 8), cache=tmp_path)
    again.by_norm("fold").compute()
    again.by_method("cosvr").compute()
    assert counted == []


def test_checkpoints_of_a_recording_share_the_folder(tmp_path, counted):
    model = torch.nn.Linear(4, 3)
    folder = tmp_path / "cache"
    with SVRRecorder(model, every=1, path=tmp_path / "run", cache=folder) as recorder:
        recorder.step()
        recorder[0].compute()
        recorder[1].compute()
    assert len(counted) == 1  # the weights did not change
    Recording.load(tmp_path / "run", cache=folder)[1].compute()
    assert len(counted) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_vectors_are_mapped_and_take_no_memory_of_their_own(tmp_path):
    svr = SVR([gaussian(300, 300)], cache=tmp_path)
    svr.compute()
    (path,) = files(tmp_path)
    for vectors in (svr["0"].U, svr["0"].V):
        region, anonymous = region_of(vectors.data_ptr())
        assert str(path) in region
        assert anonymous == 0


def region_of(address):
    """What is mapped at an address, and how much of it is memory of this process."""
    region = ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= address < int(found[2], 16)
            region = line if inside else region
        elif inside and line.startswith("Anonymous:"):
            return region, int(line.split()[1])
    raise AssertionError("nothing is mapped there")


@pytest.mark.parametrize("cache", [True, False])
def test_without_a_folder(cache, chain, same):
    svr = SVR(chain, cache=cache)
    assert same(svr, SVR(chain))


def test_without_a_cache_nothing_is_kept_that_nobody_uses(counted):
    svr = SVR([gaussian(4, 5)], cache=False)
    held = svr["0"]
    assert svr["0"] is held
    del held
    assert len(svr.decomposed) == 0
    svr.compute()
    assert len(counted) == 2


class TestDamaged:
    @pytest.fixture
    def entry(self, tmp_path):
        SVR([gaussian(20, 30)], cache=tmp_path).compute()
        return next(iter(files(tmp_path)))

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda content: b"",
            lambda content: content[: len(content) // 2],
            lambda content: content[:-1],
            lambda content: content[:-500] + b"\0" * 500,
            lambda content: content[:600] + b"x" + content[601:],
            lambda content: b"\0" * len(content),
        ],
    )
    def test_it_is_made_anew(self, spoil, entry, counted):
        weight = gaussian(20, 30)
        whole = entry.read_bytes()
        entry.write_bytes(spoil(whole))
        svr = SVR([weight], cache=entry.parent)
        assert torch.equal(svr["0"].V, SVR([weight])["0"].V)
        assert len(counted) == 2
        assert entry.read_bytes() == whole
        assert [str(entry) in note for note in svr.notes] == [True]

    def test_one_of_another_name_is_not_believed(self, tmp_path, counted):
        weights = [gaussian(8, 8)], [gaussian(8, 8, seed=1)]
        for each in weights:
            SVR(each, cache=tmp_path).compute()
        (first, one), (second, other) = files(tmp_path).items()
        first.write_bytes(other)
        second.write_bytes(one)
        for each in weights:
            svr = SVR(each, cache=tmp_path)
            assert torch.equal(svr["0"].U, SVR(each)["0"].U)
            assert "of other content than its name says" in svr.notes[0]

    def test_a_file_of_somebody_else_is_left_alone(self, entry):
        weight = gaussian(20, 30)
        entry.write_text("a letter")
        svr = SVR([weight], cache=entry.parent)
        assert torch.equal(svr["0"].S, SVR([weight])["0"].S)
        assert entry.read_text() == "a letter"
        assert "is left alone" in svr.notes[0]


def test_another_version_is_left_alone(tmp_path, monkeypatch, counted):
    weight = gaussian(6, 6)
    SVR([weight], cache=tmp_path).compute()
    before = files(tmp_path)
    monkeypatch.setattr(tasks, "VERSION", 2)
    SVR([weight], cache=tmp_path).compute()
    after = files(tmp_path)
    assert len(counted) == len(after) == 2
    assert before.items() <= after.items()


class TestFailure:
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
    def test_a_full_disk_is_said_once_and_computed_on(
        self, code, chain, tmp_path, monkeypatch, same
    ):
        tried = []

        def full(*_):
            tried.append(1)
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(entries, "write_record", full)
        svr = SVR(chain, cache=tmp_path)
        svr.compute()
        assert len([note for note in svr.notes if os.strerror(code) in note]) == 1
        assert len(tried) == (3 if code == errno.EIO else 1)
        assert same(svr, SVR(chain))

    def test_nothing_half_written_stays(self, tmp_path, monkeypatch):
        def half(file, *_):
            file.write(b"begun")
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("svr_widget.engine.work.records._write", half)
        SVR([gaussian(3, 3)], cache=tmp_path).compute()
        assert [path.name for path in tmp_path.iterdir()] == [".svr_widget-cache"]

    @pytest.mark.parametrize("below", ["file", "file/folder"])
    def test_an_impossible_folder_is_refused_before_anything(self, below, tmp_path, counted):
        (tmp_path / "file").touch()
        path = tmp_path / below
        with pytest.raises(SVRError, match=re.escape(f"cache: {path} is no folder")):
            SVR([gaussian(3, 3)], cache=path)

    def test_a_folder_that_cannot_be_written_to_is_refused(self, tmp_path, monkeypatch):
        def refuse(**_):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
        with pytest.raises(SVRError, match=r"Permission denied.*one that you can write to"):
            SVR("no such file", cache=tmp_path)

    @pytest.mark.parametrize("cache", [None, 3, "", [], b"folder"])
    def test_what_is_no_cache_is_refused(self, cache):
        with pytest.raises((SVRError, TypeError), match="cache"):
            SVR([gaussian(3, 3)], cache=cache)


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
class TestProcesses:
    def test_a_killed_run_goes_on_where_it_was(self, chain, tmp_path, counted, same):
        def die(_, done, total):
            if done == 2:
                os.kill(os.getpid(), signal.SIGKILL)

        process = forked(SVR(chain, cache=tmp_path).compute, die)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert len(files(tmp_path)) == 2
        again = SVR(chain, cache=tmp_path)
        again.compute()
        assert len(counted) == 1
        assert same(again, SVR(chain))

    def test_two_at_once_decompose_each_map_once(self, tmp_path, monkeypatch):
        weights = [gaussian(30, 30, seed=seed) for seed in range(8)]
        log, original = tmp_path / "log", tasks.decompose

        def decompose(weight, *arguments, **keywords):
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")
            return original(weight, *arguments, **keywords)

        monkeypatch.setattr(tasks, "decompose", decompose)
        two = [forked(SVR(weights, cache=tmp_path / "cache").compute) for _ in range(2)]
        for process in two:
            process.join()
        assert [process.exitcode for process in two] == [0, 0]
        assert len(log.read_text().split()) == len(weights)

    def test_what_another_process_is_at_comes_last(self, chain, tmp_path):
        svr = SVR(chain, cache=tmp_path)
        task = tasks.task_of(svr.maps["0"], "svr", None, 0)
        lock = FileLock(Folder(tmp_path).lock(task.content(task.read())), thread_local=False)
        seen = []

        def progress(name, done, total):
            seen.append((name, done))
            if len(seen) == 4:  # the others are done
                lock.release()

        with lock:
            svr.compute(progress)
        assert seen[:4] == [("0", 0), ("1", 0), ("2", 1), ("0", 2)]

    def test_the_lock_of_a_dead_process_is_none(self, tmp_path):
        svr = SVR([gaussian(5, 5)], cache=tmp_path)
        task = tasks.task_of(svr.maps["0"], "svr", None, 0)
        path = Folder(tmp_path).lock(task.content(task.read()))

        def die():
            FileLock(path).acquire()
            os.kill(os.getpid(), signal.SIGKILL)

        forked(die).join()
        assert path.exists()
        svr.compute()
        assert not path.exists()
