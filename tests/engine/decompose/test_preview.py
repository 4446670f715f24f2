"""Previews of singular values against LAPACK in float64 and spectra that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from svr_widget.engine.decompose import decompose
from svr_widget.engine.decompose.preview import COUNT, TOLERANCE, preview
from tests.engine.support.gaussian import gaussian

SHORT, LONG = 400, 520
"""Four blocks of the iteration span no more than three quarters of the short side."""


def of_spectrum(values, long=LONG, seed=0):
    """A matrix ``[len(values), long]`` with these singular values, in float64."""
    random = np.random.default_rng(seed)
    U = np.linalg.qr(random.standard_normal((len(values), len(values))))[0]
    V = np.linalg.qr(random.standard_normal((long, len(values))))[0]
    return torch.from_numpy((U * values) @ V.T)


def check(found, truth, least=0):
    """Every value lies within its bound of the true one of its place, and no bound is loose."""
    truth = np.sort(np.asarray(truth))[::-1]
    S, bound = found.S.numpy(), found.bound.numpy()
    assert least <= len(S) <= COUNT
    assert (np.diff(S) <= 0).all()
    assert (bound <= TOLERANCE * S).all()
    assert (np.abs(S - truth[: len(S)]) <= bound).all()


rank = np.arange(1, SHORT + 1)
SPECTRA = {
    "flat": (np.ones(SHORT), COUNT),
    "nearly flat": (np.linspace(1.0, 0.7, SHORT), 0),
    "decaying": (1.0 / rank, COUNT),
    "slowly decaying": (rank**-0.5, 20),
    "steps": (np.repeat([8.0, 4.0, 2.0, 1.0], SHORT // 4), COUNT),
    "equal pairs": (np.repeat(0.9 ** np.arange(SHORT // 2), 2), COUNT),
    "a cluster of seventy": (np.where(rank <= 70, 1 + 1e-9 * rank, 0.3 / rank**0.2), COUNT),
    "low rank": (np.where(rank <= 10, 0.8**rank, 0.0), 10),
    "low rank and noise": (np.where(rank <= 10, 5.0, 1e-3 + 1e-6 * rank[::-1]), 10),
    "six orders of magnitude": (np.geomspace(1, 1e-6, SHORT), COUNT),
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leading_values_lie_within_their_bounds(name, dtype):
    values, least = SPECTRA[name]
    found = preview(of_spectrum(values).to(dtype))
    check(found, values, least)
    assert found.rank == SHORT
    if name.startswith("low rank"):
        assert len(found) == 10  # the others are rounding, or not known to one in a hundred


def test_a_tall_weight_has_the_values_of_a_wide_one():
    wide = of_spectrum(1.0 / rank).float()
    assert torch.equal(preview(wide).S, preview(wide.T.contiguous()).S)


@pytest.mark.parametrize("method", ["svr", "cosvr"])
def test_a_convolution_is_flattened_as_its_decomposition(method):
    weight = gaussian(90, 40, 3, 3, seed=1) * torch.arange(1, 91)[:, None, None, None] ** -0.8
    found = preview(weight, method=method)
    matrix = weight.double().transpose(0, 1).reshape(40, -1)  # co-SVR
    matrix = weight.double().reshape(90, -1) if method == "svr" else matrix
    check(found, np.linalg.svd(matrix.numpy(), compute_uv=False), 30)
    assert found.rank == decompose(weight, method=method).rank


@pytest.mark.parametrize("groups", [2, 8])
def test_the_groups_of_a_convolution_are_merged(groups):
    sizes = torch.arange(1, 241)[:, None, None] ** -0.7
    weight = gaussian(240, 60, 3, seed=2) * sizes
    weight[120:] *= 3
    truth = [
        np.linalg.svd(group.double().reshape(len(group), -1).numpy(), compute_uv=False)
        for group in weight.chunk(groups)
    ]
    found = preview(weight, groups)
    check(found, np.concatenate(truth), COUNT)
    assert found.rank == sum(map(len, truth))


def test_what_one_group_does_not_show_ends_what_is_shown_of_all():
    """Above the last value that is known of a group nothing of it can be missing."""
    known = of_spectrum(np.geomspace(0.9, 1e-6, SHORT))
    unknown = of_spectrum(np.concatenate([[2.0, 1.5], np.linspace(1.0, 0.7, SHORT - 2)]), seed=3)
    both = torch.cat([known, unknown]).float()
    truth = np.concatenate([np.linalg.svd(each.numpy())[1] for each in (known, unknown)])
    found = preview(both, 2)
    check(found, truth, 2)
    assert len(found) < COUNT


def test_normals_are_taken_out_as_in_a_decomposition():
    normal = torch.ones(120, dtype=torch.float64)
    weight = (gaussian(60, 120, seed=6) * torch.arange(1, 61)[:, None] ** -1.0).double()
    weight -= weight.mean(dim=1, keepdim=True)
    weight = weight.float()
    exact = decompose(weight, normals=(None, normal))
    check(preview(weight, normals=(None, normal)), exact.S.numpy(), 30)


@pytest.mark.parametrize("scale", [1e-30, 1e30, 1e-200, 1e200])
def test_the_range_of_the_weights_does_not_matter(scale):
    weight = of_spectrum(1.0 / rank)
    scaled = (weight * scale).to(torch.float32 if 1e-38 < scale < 1e38 else torch.float64)
    check(preview(scaled), scale / rank, COUNT)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (70, 80), (100, 100)])
def test_small_maps_are_known_whole(shape):
    weight = gaussian(*shape, seed=7)
    check(preview(weight), np.linalg.svd(weight.double().numpy())[1], min(*shape, COUNT) - 8)


def test_a_map_of_zeros_shows_nothing():
    found = preview(torch.zeros(80, 90))
    assert (len(found), found.rank) == (0, 80)


def test_fewer_values_where_fewer_are_kept():
    weight = of_spectrum(1.0 / rank).float()
    found = preview(weight, count=5)
    check(found, 1.0 / rank, 5)
    assert len(found) == 5


def test_the_same_values_in_every_run():
    weight = of_spectrum(rank**-0.5).float()
    assert torch.equal(preview(weight).S, preview(weight).S)
