"""What one map takes of memory, and that too much of it is told before anything is begun."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace

import psutil
import pytest
import scipy.linalg
import torch

from svr_widget import SVR, SVRError
from svr_widget.engine.work import memory, tasks
from tests.engine.support.gaussian import gaussian


@pytest.mark.parametrize(
    ("shape", "groups", "dtype"),
    [
        ((256, 1024), 1, torch.float32),
        ((1024, 256), 1, torch.float32),
        ((400, 400), 1, torch.float32),
        ((64, 64, 3, 3), 1, torch.float32),
        ((128, 32, 3, 3), 4, torch.float32),
        ((300, 500), 1, torch.float64),
    ],
)
@pytest.mark.parametrize("method", ["svr", "cosvr"])
def test_the_estimate_is_near_what_is_allocated(shape, groups, dtype, method):
    weight = gaussian(*shape, dtype=dtype)
    task = tasks.Task(
        "x", (weight,), (shape,), dtype == torch.float64, groups, (None, None), method, None, 0
    )
    task.decompose(task.read())  # imports
    tracemalloc.start()
    try:
        task.decompose(task.read())
        peak = tracemalloc.get_traced_memory()[1] + weight.nbytes
    finally:
        tracemalloc.stop()
    # What NumPy allocates for LAPACK is not traced; in float64 that is most of it.
    if dtype == torch.float64:
        long, short = sorted(shape, reverse=True)
        work, _ = scipy.linalg.lapack.dgesdd_lwork(long, short, full_matrices=False)
        peak += 8 * int(2 * long * short + short**2 + work)
    assert 0.8 < memory.needed(task) / peak < 2


def test_too_little_memory_is_told_before_anything_is_begun(monkeypatch, counted):
    svr = SVR({"small": gaussian(4, 5), "large": gaussian(300, 200)}, rank=2)
    monkeypatch.setattr(memory, "available", lambda: 10**5)
    with pytest.raises(SVRError, match=r"map 'large' \(300x200\) takes some 0\.0026 GB"):
        svr.compute()
    assert counted == []
    with pytest.raises(SVRError, match=r"0\.0001 GB .*exclude='large'"):
        svr["large"]
    assert len(svr["small"]) == 2


def test_what_is_kept_in_a_folder_needs_none(monkeypatch, tmp_path, counted):
    weights = [gaussian(300, 200)]
    SVR(weights, cache=tmp_path).compute()
    monkeypatch.setattr(memory, "available", lambda: 10**5)
    again = SVR(weights, cache=tmp_path)
    again.compute()
    assert len(counted) == 1
    assert len(again["0"]) == 200


def test_a_product_is_never_formed(monkeypatch):
    task = tasks.Task("x", (), ((4096, 64), (64, 4096)), False, 1, (None, None), "svr", None, 0)
    assert memory.needed(task) < 4096**2 * 4


class TestControlGroups:
    """As Linux tells them, under a folder of the test's own."""

    @pytest.fixture(autouse=True)
    def _machine(self, monkeypatch, tmp_path):
        there, swap = SimpleNamespace(available=10**12), SimpleNamespace(free=500)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: there)
        monkeypatch.setattr(psutil, "swap_memory", lambda: swap)
        monkeypatch.setattr(memory, "_GROUPS", tmp_path / "groups")
        monkeypatch.setattr(memory, "_OWN", tmp_path / "own")

    def group(self, tmp_path, path, limit, usage, names=("memory.max", "memory.current"), of=""):
        folder = tmp_path / "groups" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / names[0]).write_text(f"{limit}\n")
        (folder / names[1]).write_text(f"{usage}\n")
        stat = f"anon 5\n{of}active_file 300\n{of}inactive_file 400\n"
        (folder / "memory.stat").write_text(stat)

    def test_none(self):
        assert memory.available() == 10**12 + 500

    def test_the_smallest_counts_and_pages_of_files_make_room(self, tmp_path):
        (tmp_path / "own").write_text("0::/slice/job\n")
        self.group(tmp_path, "slice", 5000, 4000)
        self.group(tmp_path, "slice/job", "max", 2000)
        assert memory.available() == 5000 - 4000 + 700

    def test_inside_a_container_the_path_is_not_there(self, tmp_path):
        (tmp_path / "own").write_text("0::/docker/abc\n")
        self.group(tmp_path, "", 10_000, 9000)
        assert memory.available() == 1700

    def test_the_first_version(self, tmp_path):
        (tmp_path / "own").write_text("7:cpu:/a\n3:memory:/b\n")
        names = "memory.limit_in_bytes", "memory.usage_in_bytes"
        self.group(tmp_path, "memory", 9223372036854771712, 1, names, "total_")
        self.group(tmp_path, "memory/b", 4000, 3500, names, "total_")
        assert memory.available() == 1200

    def test_more_in_use_than_the_limit_is_nothing_left(self, tmp_path):
        (tmp_path / "own").write_text("0::/\n")
        self.group(tmp_path, "", 1000, 9000)
        assert memory.available() == 0
