"""p-values of colour intensity: uniform under chance, bounded beyond the draws."""

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine.graph.internal_dimensions import intensity
from svr_widget.engine.significance import intensity_null
from svr_widget.engine.significance.intensity_null import RandomColumn, intensity_p_values
from svr_widget.svr import SVR
from tests.engine.support.adjacency_cases import between, every, link_of
from tests.engine.support.gaussian import gaussian

CASES = {
    "linear": ((12, 20), (9, 12), (1, 1), None),
    "convolution": ((16, 4, 3), (14, 16, 3, 3), (1, 1), None),
    "split": ((12, 6), (7, 8, 2), (1, 1), (every(8), every(8))),
    "split and concatenated": ((9, 12), (9, 12, 3), (1, 1), (every(7), torch.arange(3, 10))),
    "depthwise consumer": ((12, 14), (12, 1, 3), (1, 12), None),
    "depthwise producer": ((12, 1, 3), (9, 12, 2), (12, 1), None),
    "grouped": ((12, 4, 3), (18, 4, 2), (2, 3), None),
    "grouped consumer": ((16, 20), (12, 8, 3), (1, 2), None),
}
NETWORKS = 200
LEVELS = (0.5, 0.15, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["svr", "cosvr"])
@pytest.mark.parametrize("name", CASES)
def test_p_values_between_random_weights_are_uniform(name, method):
    """Of each of many random networks one random neuron; ties at 1 are intensities of 0."""
    first, second, groups, channels = CASES[name]
    link = None if channels is None else link_of(*channels)
    random = np.random.default_rng(3)
    found = []
    for seed in range(NETWORKS):
        weights = gaussian(*first, seed=2 * seed), gaussian(*second, seed=2 * seed + 1)
        p_values = between(*weights, link, method, groups).intensity_p_values()
        found.append(random.choice(p_values[~np.isnan(p_values)]))
    for level in LEVELS:
        share = np.mean(np.array(found) <= level)
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / NETWORKS)


def haar(length, count, rng):
    return np.linalg.qr(rng.standard_normal((length, count)))[0]


@pytest.mark.parametrize(("q", "z", "n"), [(24, 1, 24), (8, 4, 20)])
def test_beyond_the_draws_stands_a_bound_that_is_not_far(q, z, n):
    rng = np.random.default_rng(1)
    draws = 30_000
    if z == 1:
        squares = np.square(rng.standard_normal((draws, q)))
        A = squares / squares.sum(axis=1, keepdims=True)
    else:
        A = np.array([np.square(haar(q * z, z, rng)[:n]).sum(axis=1) for _ in range(draws)])
    largest = np.sort(intensity(A[:, :n].T, 1 / q))
    column = RandomColumn((q, 1), (q,), (q * z, z), (0,) * n)
    at, share = largest[-300:-30:10], np.arange(300, 30, -10) / draws
    tail = intensity_null._tail(column, at[0])
    bound = np.exp(np.interp(at, tail.at, tail.log_p))
    assert (bound > 0.8 * share).all()
    assert (bound < 10 * share).all()
    place = np.searchsorted(-tail.log_p, 14)
    [far] = intensity_p_values(tail.at[[place]], column, 0)
    assert far == pytest.approx(np.exp(tail.log_p[place]), rel=0.05)


@pytest.mark.parametrize(
    "column",
    [
        RandomColumn((32, 1), (32,), (32 * 4, 4), (0,) * 100),
        RandomColumn((32, 4), (20,), (32, 1), (0,) * 32),
    ],
)
def test_the_limit_is_that_of_orthonormal_columns(column, monkeypatch):
    exact, _ = intensity_null._law(column, 1)
    monkeypatch.setattr(intensity_null, "_NORMALS", 0)
    intensity_null._law.cache_clear()
    limit, _ = intensity_null._law(column, 2)
    intensity_null._law.cache_clear()
    assert len(exact) == len(limit)
    apart = np.searchsorted(exact, limit) / len(exact) - (np.arange(len(limit)) + 0.5) / len(limit)
    assert abs(apart).max() < 0.06  # two samples of 2,000: 0.05 at p = 0.01


def test_no_intensity_is_no_surprise():
    column = RandomColumn((8, 1), (8,), (8, 1), (0,) * 8)
    np.testing.assert_array_equal(intensity_p_values(np.zeros(3), column, 0), np.ones(3))
    nothing = RandomColumn((8, 1), (), (8, 1), ())
    np.testing.assert_array_equal(intensity_p_values(np.zeros(2), nothing, 0), np.ones(2))


def branching(seed, strength=0.0):
    """Two readers of one map; ``strength`` plants a direction that both look for."""
    generator = torch.Generator().manual_seed(seed)
    first, *readers = (torch.randn(40, 40, generator=generator) for _ in range(3))
    direction = torch.randn(40, generator=generator)
    direction /= direction.norm()
    first += strength * torch.outer(direction, torch.randn(40, generator=generator))
    for reader in readers:
        reader += strength * torch.outer(torch.randn(40, generator=generator), direction)
    weights = {"first": first, "left": readers[0], "right": readers[1]}
    return SVR(weights, links=[("first", "left"), ("first", "right")])


def test_several_links_are_corrected_for():
    svr = branching(0)
    each = [svr.adjacency(("first", to)).intensity_p_values() for to in ("left", "right")]
    expected = np.minimum(2 * np.minimum(*each), 1)
    np.testing.assert_array_equal(svr.intensity_p_values("first"), expected)
    assert np.isnan(svr.intensity_p_values("left")).all()


@pytest.mark.slow
def test_of_random_networks_few_have_a_neuron_that_stands_out():
    standing_out = [
        np.nanmin(branching(seed).intensity_p_values("first", adjusted=True)) <= 0.05
        for seed in range(100)
    ]
    assert sum(standing_out) <= 12  # 5 expected at most; 12 or more has p = 0.002


def test_a_planted_direction_stands_out_alone():
    svr = branching(1, strength=4.0)
    frame = svr.neurons()
    first = frame[frame["map"] == "first"]
    assert first["p_adjusted"][0] < 1e-6
    assert (first["p_adjusted"][1:] > 0.05).all()
    assert (first["p_value"] <= first["p_adjusted"]).all()
    assert frame[frame["map"] != "first"]["p_value"].isna().all()


def test_null_neurons_and_folded_norms():
    torch.manual_seed(0)
    first, last = nn.Linear(12, 16), nn.Linear(16, 10)
    norm = nn.LayerNorm(16)
    svr = SVR(nn.Sequential(first, norm, last), norm="fold")
    p_values = svr.intensity_p_values("0")
    null = svr["0"].null.numpy()
    assert (np.isnan(p_values) == null).all()
    assert ((p_values[~null] > 0) & (p_values[~null] <= 1)).all()
