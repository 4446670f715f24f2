"""The path metric against every path, one by one."""

import itertools

import numpy as np
import pytest

from svr_widget.svr import SVR

PATHS = [("a", "c", "d"), ("a", "d"), ("b", "d")]


@pytest.fixture(scope="module")
def svr():
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal((3, 3)) for name in "dcba"}
    links = [("a", "c"), ("c", "d"), ("a", "d"), ("b", "d"), ("d", "d")]
    return SVR(weights, links=links)


@pytest.mark.parametrize("singular_values", [True, False])
@pytest.mark.parametrize("least", [0.0, 0.8])
def test_every_path(svr, singular_values, least):
    total = 0.0
    for maps in PATHS:
        for neurons in itertools.product(range(3), repeat=len(maps)):
            S = [float(svr[name].S[k]) for name, k in zip(maps, neurons, strict=True)]
            if min(S) < least:
                continue
            weight = np.prod(S) if singular_values else 1.0
            for at, link in enumerate(itertools.pairwise(maps)):
                dense = svr.adjacency(link).dense()
                weight *= float(dense[neurons[at + 1], neurons[at]])
            total += weight
    found = svr.path_metric(singular_values=singular_values, least=least)
    assert found == pytest.approx(total, rel=1e-6)


def test_null_neurons_are_no_way():
    weights = [np.diag([2.0, 1.0, 0.0]), np.diag([3.0, 1.0, 0.5])]
    assert SVR(weights).path_metric(singular_values=False) == pytest.approx(2.0)


def test_a_single_map_is_its_singular_values():
    assert SVR([np.diag([2.0, 1.0])]).path_metric() == pytest.approx(3.0)
