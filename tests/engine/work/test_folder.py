"""Which files of a folder are ours, how large they may get, and which go first."""

from __future__ import annotations

import os
import pickle

import platformdirs
import pytest
import torch

import svr_widget
from svr_widget import SVR, SVRError
from svr_widget.cache import Folder, clear, size
from svr_widget.engine.work.folder import entries
from tests.engine.support.gaussian import gaussian


def names(folder):
    return sorted(entry.path.name for entry in entries(folder))


@pytest.mark.parametrize(
    ("limit", "count"),
    [(None, None), (5, 5), (2e9, 2 * 10**9), ("20 GB", 20 * 10**9), ("1.5kB", 1500)],
)
def test_a_limit_is_bytes_or_has_a_unit(limit, count):
    assert Folder("x", limit).limit == count


@pytest.mark.parametrize("limit", [0, -1, True, "20", "much", "1 GiB", float("nan"), float("inf")])
def test_another_limit_is_refused(limit):
    with pytest.raises(SVRError, match='limit must be bytes, as 20e9 or "20 GB"'):
        Folder("x", limit)


def test_the_usual_folder_is_that_of_the_users_caches(tmp_path, monkeypatch):
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name, appauthor: tmp_path / name)
    assert Folder().path == tmp_path / "svr_widget"
    SVR([gaussian(3, 4)], cache=Folder()).compute()
    assert size() > 0
    assert clear() == 1
    assert size() == 0


def test_a_path_may_begin_at_home_and_a_folder_may_be_sent(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = Folder("~/here", "1 MB")
    assert folder.path == tmp_path / "here"
    assert pickle.loads(pickle.dumps(folder)) == folder
    assert svr_widget.cache.Folder is Folder


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    weights = [gaussian(40, 40, seed=seed) for seed in range(4)]
    one = SVR(weights[:1], cache=tmp_path)
    one.compute()
    each = size(tmp_path)
    folder = Folder(tmp_path, limit=3.5 * each)
    for weight in weights[1:3]:
        SVR([weight], cache=folder).compute()
    for place, entry in enumerate(sorted(entries(tmp_path), key=lambda entry: entry.path)):
        os.utime(entry.path, (place, place))
    SVR(weights[:1], cache=folder).compute()  # which uses it
    before = {entry.path: entry.used for entry in entries(tmp_path)}
    SVR(weights[3:], cache=folder).compute()
    gone = before.keys() - {entry.path for entry in entries(tmp_path)}
    assert gone == {min(before, key=before.__getitem__)}
    assert size(tmp_path) <= folder.limit
    assert max(before.values()) > 1e9  # using one is told by its file
    assert torch.equal(one["0"].S, SVR(weights[:1])["0"].S)


def test_what_is_larger_than_the_limit_is_kept_in_memory(tmp_path):
    svr = SVR([gaussian(40, 40)], cache=Folder(tmp_path, limit=1000))
    svr.compute()
    assert size(tmp_path) == 0
    assert "larger than the limit of the cache" in svr.notes[-1]


def test_nothing_is_deleted_that_is_not_ours(tmp_path):
    SVR([gaussian(4, 4), gaussian(4, 4, seed=1)], cache=tmp_path).compute()
    ours = names(tmp_path)
    foreign = {
        tmp_path / "thesis.safetensors",
        tmp_path / f"decomposition-{'0' * 40}.safetensors",  # of our name, and not our kind
        tmp_path / f"decomposition-{'1' * 39}.safetensors",
        tmp_path / f"decomposition-{'2' * 40}.safetensors.bak",
    }
    for path in foreign:
        path.write_bytes(b'{"mine": true}')
    (tmp_path / f"decomposition-{'3' * 40}.safetensors").mkdir()
    link = tmp_path / f"decomposition-{'4' * 40}.safetensors"
    link.symlink_to(tmp_path / "thesis.safetensors")
    left = tmp_path / f".decomposition-{'5' * 40}.lock"
    left.touch()
    assert clear(str(tmp_path)) == len(ours) == 2
    assert all(path.exists() for path in foreign)
    assert link.is_symlink()
    assert not left.exists()
    assert clear(tmp_path) == 0


def test_what_is_no_folder_is_empty(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "nothing", tmp_path / "file"):
        assert size(path) == clear(path) == 0
