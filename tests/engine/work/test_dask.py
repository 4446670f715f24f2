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


def test_large_weights_travel_without_a_warning(client):
    weight = gaussian(40, 70_000)
    assert weight.nbytes > 10 * 2**20  # of which dask warns
    svr = SVR([weight], executor=client.get_executor())
    svr.decompose_all()
    assert not svr.notes
    assert float((svr["0"].S - SVR([weight])["0"].S).abs().max()) == 0


def test_one_that_is_killed(client, same):
    weights = [gaussian(60, 60, seed=seed) for seed in range(12)]
    reports, workers = [], client.run(os.getpid)

    def progress(*step):
        reports.append(step)
        if len(reports) == len(weights) + 1:  # all are sent, and waited for
            os.kill(next(iter(workers.values())), signal.SIGKILL)

    svr = SVR(weights, executor=client.get_executor())
    svr.compute(progress)
    assert len(svr.decomposed) == len(weights)
    assert same(svr, SVR(weights))
    client.wait_for_workers(len(workers))
    assert set(client.run(os.getpid).values()) != set(workers.values())
