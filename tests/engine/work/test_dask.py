"""A cluster of dask, whose workers are processes; one of them is lost on the way."""

from __future__ import annotations

import os
import signal

import pytest

from svr_widget import SVR
from svr_widget.engine.work.folder import entries
from tests.engine.support.gaussian import gaussian

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    from dask.distributed import Client, LocalCluster

    folder = tmp_path_factory.mktemp("dask")
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, local_directory=str(folder)
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_workers_of_a_cluster(client, chain, tmp_path, same):
    svr = SVR(chain, executor=client.get_executor(), cache=tmp_path)
    svr.compute()
    assert same(svr, SVR(chain))
    assert len(list(entries(tmp_path))) == len(chain)


def test_one_that_is_killed(client, same):
    weights = [gaussian(60, 60, seed=seed) for seed in range(12)]
    killed = []

    def progress(_, done, __):
        if done == 3 and not killed:
            killed.extend(client.run(os.getpid).values())
            os.kill(killed[0], signal.SIGKILL)

    svr = SVR(weights, executor=client.get_executor())
    svr.compute(progress)
    assert len(killed) == 2
    assert same(svr, SVR(weights))
