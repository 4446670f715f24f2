"""What a cache folder and workers save, and the memory that a large file takes, in one run.

Run ``python -m tests.benchmarks.work``; with ``--large`` a file of 2 GB as well, which takes some
minutes and 5 GB of disk. Ratios are of seconds, and in brackets of processor seconds, which a
busy machine changes less. Every contender is a process of its own, in one thread. Results are
compared to the bit.

* ``killed``: half of the work is done when the process is killed; then all is asked for again.
* ``again``: the same weights with a folder that has them.
* ``cluster``: 40 equal maps by a ``LocalCluster`` of one and of two processes.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
from dask.distributed import Client, LocalCluster
from safetensors.torch import save_file
from torch import Tensor

from svr_widget import SVR
from svr_widget.engine.work import memory
from svr_widget.engine.work.tasks import task_of

MAPS, WIDTH = 16, 1024
EQUAL, EQUAL_WIDTH = 40, 768
LARGE, LARGE_SHAPE = 128, (4096, 1024)


def weights(count: int, *shape: int) -> dict[str, Tensor]:
    """Weights ``[out, in]`` that are the same in every process."""
    random = torch.Generator().manual_seed(0)
    return {f"layer.{n}.weight": torch.randn(*shape, generator=random) for n in range(count)}


def resident() -> float:
    """Anonymous memory of this process that is resident, in MB."""
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"Anonymous:\s+(\d+)", rollup)
    assert found is not None
    return int(found[1]) / 1e3


def decomposed(folder: str, killed_at: int) -> None:
    """Decompose ``MAPS`` maps, as far as that is to go, and print how long it took."""
    svr = SVR(weights(MAPS, WIDTH, WIDTH), cache=folder or True)

    def report(_: str, done: int) -> None:
        if done == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    wall, busy = time.perf_counter(), time.process_time()
    svr.decompose_all(report)
    wall, busy = time.perf_counter() - wall, time.process_time() - busy
    total = [float(svr[name].V.double().sum()) for name in svr.maps]
    sys.stdout.write(json.dumps([wall, busy, total]))


def elsewhere(folder: str, killed_at: int = -1) -> tuple[float, float, list[float]]:
    """``decomposed`` in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.work", "--one", folder, str(killed_at)]
    told = subprocess.run(command, capture_output=True, text=True, check=killed_at < 0)
    wall, busy, total = json.loads(told.stdout or "[0, 0, []]")
    return wall, busy, total


def killed_and_again() -> None:
    """Compare a run without a folder with one that goes on, and one that has all."""
    with tempfile.TemporaryDirectory() as folder:
        whole = elsewhere("")
        elsewhere(folder, MAPS // 2)
        rest, again = elsewhere(folder), elsewhere(folder)
    assert whole[2] == rest[2] == again[2], "other numbers"
    print(f"{MAPS} maps {WIDTH} x {WIDTH}: {whole[0]:.1f} s ({whole[1]:.1f} s)")
    for name, part in (("killed half-way, the rest", rest), ("again", again)):
        print(f"{name}: {part[0] / whole[0]:.3f} ({part[1] / whole[1]:.3f}) of it")


def cluster() -> None:
    """Compare a cluster of one process with one of two."""
    given = weights(EQUAL, EQUAL_WIDTH, EQUAL_WIDTH)
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "equal.safetensors"
        save_file(given, path)
        for count in (1, 2):
            options = {"n_workers": count, "threads_per_worker": 1, "dashboard_address": None}
            options["silence_logs"] = logging.CRITICAL
            with LocalCluster(**options) as workers, Client(workers) as client:
                client.run(__import__, "svr_widget.engine.work.executors")
                svr = SVR(path, executor=client.get_executor(), cache=Path(folder) / str(count))
                start = time.perf_counter()
                svr.decompose_all()
                seconds[count] = time.perf_counter() - start
        here = SVR(given)
        assert torch.equal(svr["layer.7"].V, here["layer.7"].V), "other numbers"
    print(f"{EQUAL} maps {EQUAL_WIDTH} x {EQUAL_WIDTH}, one process to two: ", end="")
    print(f"{seconds[1]:.1f} s / {seconds[2]:.1f} s = {seconds[1] / seconds[2]:.2f}")


def watched(work: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds, memory that stays, and the most there was meanwhile, in MB beyond that before."""
    before, ended, most = resident(), threading.Event(), [0.0]

    def watch() -> None:
        while not ended.wait(0.02):
            most[0] = max(most[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    work()
    took = time.perf_counter() - start
    ended.set()
    watcher.join()
    return took, resident() - before, most[0] - before


def large() -> None:
    """The anonymous memory that a file of 2 GB takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.safetensors"
        save_file(weights(LARGE, *LARGE_SHAPE), path)
        SVR([torch.randn(64, 64)]).decompose_all()
        opened: list[SVR] = []
        cache = Path(folder) / "cache"
        for what, work in (
            ("opened", lambda: opened.append(SVR(path, cache=cache))),
            ("decomposed", lambda: opened[0].decompose_all()),
            ("again", lambda: SVR(path, cache=cache).decompose_all()),
        ):
            took, stays, most = watched(work)
            print(f"{what}: {took:.1f} s, anonymous memory {stays:+.0f} MB, at most {most:+.0f} MB")
        one = memory.needed(task_of(opened[0].maps["layer.0"], "svr", None, 0))
        print(
            f"{path.stat().st_size / 1e9:.2f} GB; one map alone is said to take {one / 1e6:.0f} MB"
        )
        shutil.rmtree(cache)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        decomposed(given.one[0], int(given.one[1]))
        return
    print(f"torch {torch.__version__}, {os.environ.get('OMP_NUM_THREADS', '?')} thread")
    killed_and_again()
    cluster()
    if given.large:
        large()


if __name__ == "__main__":
    main()
