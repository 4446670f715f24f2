"""Maps decomposed by executors: the same to the bit, whoever is lost, stopped or shut down."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from threadpoolctl import threadpool_info

from svr_widget import SVR, SVRError
from svr_widget.engine.work import executors, memory, tasks, threads
from svr_widget.engine.work.folder import IDENTITY, entries
from tests.engine.support.gaussian import gaussian
from tests.engine.support.zoo import language
from tests.engine.work.conftest import Elsewhere

forked = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def pool(count=2, context="fork"):
    return ProcessPoolExecutor(count, multiprocessing.get_context(context))


class Failing(Executor):
    """Runs what it is given at once, unless that is to fail."""

    def __init__(self, fails):
        self.fails, self.calls = fails, 0

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        error = self.fails(self.calls)
        self.calls += 1
        if error is None:
            future.set_result(fn(*args))
        else:
            future.set_exception(error)
        return future


class KilledWorkerError(Exception):
    """As dask has one."""


class TestSameResult:
    @pytest.mark.parametrize("folder", [False, True])
    @pytest.mark.parametrize("kind", ["threads", pytest.param("processes", marks=forked)])
    def test_as_without_an_executor(self, kind, folder, chain, tmp_path, same):
        chain = [*chain, gaussian(6, 9, dtype=torch.float64)]
        cache = tmp_path if folder else True
        with ThreadPoolExecutor(2) if kind == "threads" else pool() as executor:
            svr = SVR(chain, executor=executor, cache=cache)
            svr.compute()
            assert len(svr.decomposed) == len(chain)
        assert same(svr, SVR(chain))
        assert svr.notes == SVR(chain).notes
        assert len(list(entries(tmp_path))) == folder * len(chain)

    @pytest.mark.slow
    def test_in_processes_that_know_nothing_of_this_one(self, chain, same):
        with pool(1, "spawn") as executor:
            svr = SVR(chain, executor=executor)
            svr.compute()
        assert same(svr, SVR(chain))

    @pytest.mark.parametrize("method", ["svr", "cosvr", "cross"])
    def test_tied_weights_and_products(self, method, same):
        model, *inputs = language.gpt2()
        elsewhere = Elsewhere()
        svr = SVR(model, *inputs, executor=elsewhere, method=method)
        svr.compute()
        fresh = SVR(model, *inputs, method=method)
        fresh.compute()
        assert set(svr.decomposed) >= set(svr.columns.values())
        assert same(svr, fresh)
        first = [each for each in svr.maps.values() if each.tied_to is None]
        assert len(elsewhere.sizes) == len(first)

    def test_grouped_maps_and_folded_norms(self, same):
        first = torch.nn.Conv2d(4, 8, 3, groups=2)
        model = torch.nn.Sequential(first, torch.nn.Flatten(2), torch.nn.Linear(9, 5))
        model = torch.nn.Sequential(
            torch.nn.Linear(5, 6), torch.nn.LayerNorm(6), torch.nn.Linear(6, 4)
        )
        svr = SVR(model, torch.zeros(2, 5), norm="fold", executor=Elsewhere())
        svr.compute()
        assert same(svr, SVR(model, torch.zeros(2, 5), norm="fold"))
        grouped = torch.nn.Sequential(first, torch.nn.Conv2d(8, 2, 1))
        svr = SVR(grouped, torch.zeros(1, 4, 5, 5), executor=Elsewhere())
        svr.compute()
        assert same(svr, SVR(grouped, torch.zeros(1, 4, 5, 5)))

    def test_everything_that_needs_all_maps_uses_it(self, chain, tmp_path):
        for use in (SVR.edges, SVR.neurons, lambda svr: svr.save(tmp_path / "x.safetensors")):
            elsewhere = Elsewhere()
            use(SVR(chain, executor=elsewhere))
            assert len(elsewhere.sizes) == len(chain)

    def test_progress(self, chain):
        seen = []
        SVR(chain, executor=Elsewhere()).compute(lambda *step: seen.append(step))
        done = [step[1] for step in seen]
        assert done == sorted(done)
        assert {step[0] for step in seen[:3]} == {"0", "1", "2"}
        assert seen[-1] == ("", 5, 5)


class TestHandles:
    @pytest.fixture
    def path(self, tmp_path):
        weights = {"a.weight": gaussian(40, 30), "b.weight": gaussian(50, 40).bfloat16()}
        save_file(weights, tmp_path / "w.safetensors")
        return tmp_path / "w.safetensors"

    def test_a_worker_that_sees_the_file_is_sent_its_path(self, path, same):
        elsewhere = Elsewhere()
        svr = SVR(path, links="chain", executor=elsewhere)
        svr.compute()
        assert max(elsewhere.sizes) < 1500
        assert same(svr, SVR(path, links="chain"))

    @pytest.mark.parametrize("change", ["moved", "another"])
    def test_one_that_does_not_is_sent_the_weights(self, change, path, tmp_path, same):
        hidden = tmp_path / "hidden.safetensors"

        def without_file(order):
            path.rename(hidden)
            if change == "another":
                save_file({"a.weight": gaussian(40, 30, seed=7)}, path)
            try:
                order.task.read()
            except OSError:
                assert change == "moved"
            else:
                assert change == "another" or not order.task.by_handle
            return order

        def back():
            hidden.replace(path)

        class Moving(Elsewhere):
            def submit(self, fn, /, *args, **kwargs):
                try:
                    return super().submit(fn, *args, **kwargs)
                finally:
                    back()

        elsewhere = Moving(without_file)
        svr = SVR(path, links="chain", include="a", executor=elsewhere)
        svr.decompose_all()
        assert len(elsewhere.sizes) == 2
        assert elsewhere.sizes[1] > gaussian(40, 30).nbytes
        fresh = SVR(path, include="a")
        assert torch.equal(svr["a"].U, fresh["a"].U)
        assert torch.equal(svr["a"].S, fresh["a"].S)

    def test_one_that_sees_another_folder_gives_back_the_decomposition(self, chain, tmp_path, same):
        def other_folder(order):
            return replace(order, identity="of another machine")

        svr = SVR(chain, executor=Elsewhere(other_folder), cache=tmp_path)
        svr.compute()
        assert same(svr, SVR(chain))
        assert len(list(entries(tmp_path))) == len(chain)

    def test_a_folder_without_identity_is_nobodys(self, chain, tmp_path, same):
        svr = SVR(chain, executor=Elsewhere(), cache=tmp_path)
        (tmp_path / IDENTITY).unlink()
        svr.compute()
        assert same(svr, SVR(chain))

    def test_what_is_in_the_folder_is_not_sent(self, chain, tmp_path):
        SVR(chain[:2], cache=tmp_path).compute()
        elsewhere = Elsewhere()
        SVR(chain, executor=elsewhere, cache=tmp_path).compute()
        assert len(elsewhere.sizes) == 1

    def test_few_weights_are_on_their_way_at_a_time(self, monkeypatch):
        orders, seen = {}, []

        class Waiting(Executor):
            def submit(self, fn, /, *args, **kwargs):
                future = Future()
                orders[future] = args
                return future

        def first_done(pending, return_when):
            seen.append(len(pending))
            future = next(iter(pending))
            future.set_result(executors.run(*orders[future]))
            return SimpleNamespace(done={future})

        weights = [gaussian(10, 10, seed=seed) for seed in range(6)]
        monkeypatch.setattr(executors, "wait", first_done)
        monkeypatch.setattr(memory, "needed", lambda task: 0)
        part = executors.PART_OF_MEMORY
        monkeypatch.setattr(memory, "available", lambda: part * (2 * weights[0].nbytes + 1))
        svr = SVR(weights, executor=Waiting())
        svr.decompose_all()
        assert seen == [3, 3, 3, 3, 2, 1]
        assert len(svr.decomposed) == 6


class TestLost:
    @forked
    def test_a_broken_pool(self, chain, monkeypatch, same):
        here, original = os.getpid(), tasks.decompose

        def decompose(weight, *arguments, **keywords):
            if os.getpid() != here and weight.ndim == 3:
                os._exit(1)
            return original(weight, *arguments, **keywords)

        monkeypatch.setattr(tasks, "decompose", decompose)
        with pool() as executor:
            svr = SVR(chain, executor=executor)
            svr.compute()
            assert same(svr, SVR(chain))
            assert [note for note in svr.notes if "the executor broke (BrokenProcessPool" in note]
            with pytest.raises(SVRError, match=r"executor= takes no work .*shut down or broken"):
                SVR(chain, executor=executor).compute()

    def test_lost_workers(self, chain, same):
        failing = Failing(lambda call: KilledWorkerError("'run-1', 4 times") if call == 1 else None)
        svr = SVR(chain, executor=failing)
        svr.compute()
        assert failing.calls == 3
        assert same(svr, SVR(chain))
        (note,) = (note for note in svr.notes if "lost" in note)
        assert "workers were lost (KilledWorkerError: 'run-1', 4 times)" in note

    def test_many_lost_workers_are_said_once(self, chain, same):
        svr = SVR(chain, executor=Failing(lambda call: KilledWorkerError(f"run-{call}")))
        svr.compute()
        assert same(svr, SVR(chain))
        assert len([note for note in svr.notes if "lost" in note]) == 1

    def test_a_cluster_that_cancels(self, chain, same):
        svr = SVR(chain, executor=Failing(lambda call: CancelledError() if call == 0 else None))
        svr.compute()
        assert same(svr, SVR(chain))

    def test_one_that_is_shut_down_on_the_way(self, chain, same):
        class Leaving(Elsewhere):
            def submit(self, fn, /, *args, **kwargs):
                if len(self.sizes) == 1:
                    raise RuntimeError("cannot schedule new futures after shutdown")
                return super().submit(fn, *args, **kwargs)

        svr = SVR(chain, executor=Leaving())
        svr.compute()
        assert same(svr, SVR(chain))
        assert "after shutdown" in svr.notes[-1]

    def test_one_that_is_shut_down_already(self, chain):
        executor = ThreadPoolExecutor(1)
        svr = SVR(chain, executor=executor)
        first = svr["0"]
        executor.shutdown()
        with pytest.raises(SVRError, match=r"cannot schedule new futures after shutdown"):
            svr.compute()
        assert svr["0"] is first


class TestRefused:
    def test_too_little_memory_at_a_worker(self, chain, monkeypatch):
        monkeypatch.setattr(memory, "available", lambda: 10)
        svr = SVR(chain, executor=Elsewhere())
        with pytest.raises(SVRError, match=r"map '\d' .*exclude="):
            svr.compute()

    def test_what_a_map_raises_is_raised_here(self, chain, monkeypatch):
        class OwnError(Exception):
            def __init__(self, a, b):
                super().__init__(f"{a} {b}")

        def decompose(*_, **__):
            raise OwnError("no", "convergence")

        monkeypatch.setattr(tasks, "decompose", decompose)
        with pytest.raises(RuntimeError, match=r"OwnError: no convergence \(process"):
            SVR(chain, executor=Elsewhere()).compute()

    def test_what_is_no_executor(self, chain):
        class Client:
            get_executor = None

        class View:
            executor = None

        with pytest.raises(SVRError, match=r"not a int$"):
            SVR(chain, executor=2)
        with pytest.raises(SVRError, match=r"executor=client\.get_executor\(\)"):
            SVR(chain, executor=Client())
        with pytest.raises(SVRError, match=r"executor=view\.executor"):
            SVR(chain, executor=View())


def test_stopping_keeps_what_is_done_and_cancels_the_rest(chain):
    futures = []

    class First(Elsewhere):
        def submit(self, fn, /, *args, **kwargs):
            futures.append(Future() if futures else super().submit(fn, *args, **kwargs))
            return futures[-1]

    class StopError(Exception):
        pass

    def stop(_, done, __):
        if done == 1:
            raise StopError

    svr = SVR(chain, executor=First())
    with pytest.raises(StopError):
        svr.compute(stop)
    assert len(svr.decomposed) == 1
    assert [future.cancelled() for future in futures] == [False, True, True]


class TestThreads:
    def team(self):
        return [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info()]

    def test_settings_are_as_they_were(self, chain, monkeypatch):
        before, torchs = self.team(), torch.get_num_threads()
        inside, original = [], tasks.decompose

        def decompose(weight, *arguments, **keywords):
            blas = [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]
            inside.append((torch.get_num_threads(), set(blas)))
            return original(weight, *arguments, **keywords)

        monkeypatch.setattr(tasks, "decompose", decompose)
        SVR(chain, executor=Elsewhere()).compute()
        assert inside == [(1, {1})] * 3
        assert (self.team(), torch.get_num_threads()) == (before, torchs)

    def test_the_last_one_out_puts_them_back(self):
        before, torchs = self.team(), torch.get_num_threads()
        first, second = threads.one_thread(), threads.one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert torch.get_num_threads() == 1
        second.__exit__(None, None, None)
        assert (self.team(), torch.get_num_threads()) == (before, torchs)

    @pytest.mark.parametrize(
        ("cores", "team", "most"), [(2, 2, 1), (4, 1, 4), (1, 8, 1), (5, 2, 2)]
    )
    def test_so_many_at_a_time_as_there_is_room_for(self, cores, team, most, monkeypatch):
        monkeypatch.setattr(threads, "cores", lambda: cores)
        monkeypatch.setattr(threads, "team", lambda: team)
        busy, seen, lock = 0, [], threading.Lock()
        meet = threading.Barrier(most)

        def work():
            nonlocal busy
            with threads.turn():
                with lock:
                    busy += 1
                    seen.append(busy)
                meet.wait()  # all that there is room for are inside at once
                with lock:
                    busy -= 1

        workers = [threading.Thread(target=work) for _ in range(2 * most)]
        for each in workers:
            each.start()
        for each in workers:
            each.join()
        assert max(seen) == most


def test_a_task_travels_whole():
    weight, normal = gaussian(5, 4).t(), torch.ones(4, dtype=torch.float64)
    task = tasks.Task("x", (weight,), ((4, 5),), False, 1, (normal, None), "svr", 2, 3)
    again = pickle.loads(pickle.dumps(task))
    assert torch.equal(again.weights[0], weight)
    assert torch.equal(again.normals[0], normal)
    assert again.content(again.read()) == task.content(task.read())
    neurons = task.decompose(task.read())
    sent = pickle.loads(pickle.dumps(tasks.Sent(neurons))).neurons
    assert torch.equal(sent.U, neurons.U)
    assert sent.U.stride() == neurons.U.stride()
    assert sent.certificate == neurons.certificate
