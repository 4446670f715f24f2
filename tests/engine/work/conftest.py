"""What the tests of executors and of folders share."""

from __future__ import annotations

import pickle
import sys
from concurrent.futures import Executor, Future
from dataclasses import replace

import pytest
import torch

from svr_widget.engine.work import tasks
from tests.engine.support.gaussian import gaussian


class Elsewhere(Executor):
    """A worker on another machine: what it is given and gives back are copies."""

    def __init__(self, before=lambda order: order):
        self.before, self.sizes = before, []

    def submit(self, fn, /, *args, **kwargs):
        (order,) = args
        sent = pickle.dumps(order)
        self.sizes.append(len(sent))
        future = Future()
        answer = fn(self.before(replace(pickle.loads(sent), caller="another process")))
        future.set_result(pickle.loads(pickle.dumps(answer)))
        return future


@pytest.fixture(autouse=True, scope="session")
def main_module():
    """What pytest's own workers run as has no ``__spec__``, by which ``spawn`` finds it."""
    main = sys.modules["__main__"]
    if not hasattr(main, "__spec__"):
        main.__spec__ = None


@pytest.fixture
def chain():
    return [gaussian(12, 10), gaussian(14, 12, 3), gaussian(9, 14)]


@pytest.fixture
def counted(monkeypatch):
    """The shapes of the weights that this process decomposes."""
    seen, original = [], tasks.decompose

    def decompose(weight, *arguments, **keywords):
        seen.append(tuple(weight.shape))
        return original(weight, *arguments, **keywords)

    monkeypatch.setattr(tasks, "decompose", decompose)
    return seen


@pytest.fixture
def same():
    """Says whether two SVRs have the same neurons to the bit, in the same order in memory."""

    def compare(one, other):
        for name in one.maps:
            for field in ("U", "S", "V", "null", "clusters", "groups"):
                left, right = getattr(one[name], field), getattr(other[name], field)
                assert torch.equal(left, right)
                assert left.stride() == right.stride()
            assert one[name].certificate == other[name].certificate
        assert one.edges(p=0.5).equals(other.edges(p=0.5))
        return True

    return compare
