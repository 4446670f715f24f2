"""Decompositions and laws of what layer norms confine to a hyperplane of the channels."""

import numpy as np
import pytest
import torch
from scipy import stats

from svr_widget.engine.decompose import decompose
from svr_widget.engine.graph.adjacency import Adjacency
from svr_widget.engine.maps.links import Link
from tests.engine.support.gaussian import gaussian

ONES = torch.ones(6, dtype=torch.float64)


TILTED = torch.tensor([0.3, -1.2, 0.8, 2.0, -0.5, 1.1], dtype=torch.float64)


def projected(weight, normals):
    """``(I - n n^T) W (I - m m^T)``, written out."""
    for dim, normal in enumerate(normals):
        if normal is not None:
            n = normal / normal.norm()
            moved = weight.double().movedim(dim, 0)
            moved = moved - torch.einsum("i,j,j...->i...", n, n, moved)
            weight = moved.movedim(0, dim)
    return weight


@pytest.mark.parametrize("method", ["svr", "cosvr"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("normals", [(ONES, None), (None, TILTED), (TILTED, ONES)])
def test_decompositions_inside_a_hyperplane(normals, dtype, method):
    weight = gaussian(6, 6, 2, seed=8, dtype=dtype)
    found = decompose(weight, method=method, normals=normals)
    target = projected(weight, normals)
    matrix = target.flatten(1) if method == "svr" else target.transpose(1, 2).flatten(0, 1)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    expected = np.linalg.svd(matrix.double().numpy(), compute_uv=False)[: len(found)]
    out, width = (6 - (normal is not None) for normal in normals)
    assert len(found) == (min(out, 2 * width) if method == "svr" else min(2 * out, width))
    np.testing.assert_allclose(found.S, expected, rtol=tolerance)
    U, V = found.U.double(), found.V.double()
    letters = "km,m,czm->kcz" if method == "svr" else "kzm,m,cm->kcz"
    torch.testing.assert_close(
        torch.einsum(letters, U, found.S, V), target, rtol=0, atol=10 * tolerance
    )
    assert not found.null.any()
    assert found.confined == tuple(normal is not None for normal in normals)


def links(c):
    """Shapes, producer's groups and normals of links of ``c`` channels."""
    ones, tilted = ONES[:c], TILTED[:c]
    both, kernel = ((c, 9), (7, c)), ((c, 3, 2), (7, c, 3))
    return {
        "both": (*both, 1, (ones, ones)),
        "consumer": (*both, 1, (None, ones)),
        "producer": (*both, 1, (tilted, None)),
        "both, kernel": (*kernel, 1, (ones, ones)),
        "consumer, kernel": (*kernel, 1, (None, ones)),
        "producer, kernel": (*kernel, 1, (tilted, None)),
        "depthwise": ((c, 1, 3), (7, c), c, (None, ones)),
        "depthwise, kernel": ((c, 1, 3), (7, c, 2), c, (None, ones)),
    }


def random_link(case, method, seed, channels=3):
    """A link between random weights; with few channels each dimension counts."""
    producer, consumer, groups, (out_normal, in_normal) = links(channels)[case]
    first, second = gaussian(*producer, seed=2 * seed), gaussian(*consumer, seed=2 * seed + 1)
    every = torch.arange(channels)
    return Adjacency(
        Link("a", "b", every, every),
        decompose(first, groups, method, normals=(out_normal, None)),
        decompose(second, method=method, normals=(None, in_normal)),
        method,
    )


def entry(adjacency, seed):
    return float(adjacency.dense()[seed % adjacency.shape[0], seed % adjacency.shape[1]])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["svr", "cosvr"])
@pytest.mark.parametrize("case", links(3))
def test_laws_inside_a_hyperplane(case, method):
    found = [random_link(case, method, seed) for seed in range(180)]
    p_values = [np.exp(a.law.logsf(entry(a, seed))) for seed, a in enumerate(found)]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_a_law_of_the_whole_space_would_be_noticed():
    entries = [entry(random_link("both", "svr", seed), seed) for seed in range(180)]
    assert stats.kstest(entries, stats.beta(1 / 2, 2 / 2).cdf).pvalue < 1e-6


def test_quantiles_of_entries_that_cannot_reach_one():
    adjacency = random_link("depthwise", "svr", 0, channels=6)
    law = adjacency.law
    assert law.reach == pytest.approx(5 / 6)
    assert law.mean == pytest.approx(1 / 6) == pytest.approx(float(adjacency.mean()))
    assert float(adjacency.dense().sum(0).mean()) == pytest.approx(1 - 1 / 6, abs=1e-5)
    np.testing.assert_allclose(law.logsf(law.isf([0.3, 1e-3])), np.log([0.3, 1e-3]))
    assert adjacency.internal_dimensions().p_value is None
    assert "depthwise" in adjacency.internal_dimensions().method


@pytest.mark.parametrize("case", ["both", "consumer", "producer", "both, kernel"])
def test_internal_dimensions_inside_a_hyperplane(case):
    found = [random_link(case, "svr", seed, channels=6) for seed in range(60)]
    p_values = [adjacency.internal_dimensions().p_value for adjacency in found]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
