"""The survival tables against the entries themselves and SciPy's own laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from svr_widget import SVR
from svr_widget.widget.wire import survival
from svr_widget.widget.wire.scene import encode_scene
from tests.widget.scenes import scene_of
from tests.widget.wire.test_increments import unpacked


@pytest.fixture(scope="module")
def svr() -> SVR:
    torch.manual_seed(3)
    layers = [nn.Linear(9, 12), nn.ReLU(), nn.Linear(12, 10), nn.ReLU()]
    layers += [nn.Linear(10, 12), nn.ReLU(), nn.Linear(12, 7)]
    return SVR(nn.Sequential(*layers))


def test_the_tables_are_the_survival_of_entries_and_of_chance(svr: SVR) -> None:
    meta, arrays = scene_of(encode_scene(svr, 0))
    p = 10 ** arrays["stops_exact_p_log10_p"][arrays["survival_stop_exact"]]
    stops = len(arrays["stops_exact_p_level"]), len(svr.links)
    counts = unpacked(arrays["stops_exact_p_counts"].tobytes(), stops)[
        arrays["survival_stop_exact"]
    ]
    weights = arrays["survival_weight_exact"]
    # Plain links of 12, 10 and 12 channels: two laws, Beta(1/2, (c - 1)/2).
    assert weights.shape == (2, len(p))
    assert [link["law"] for link in meta["links"]] == [0, 1, 0]
    for index, (key, link) in enumerate(zip(svr.links, meta["links"], strict=True)):
        channels = (12, 10, 12)[index]
        cuts = weights[link["law"]].astype(float)
        assert stats.beta(0.5, (channels - 1) / 2).sf(cuts) == pytest.approx(p, rel=1e-3)
        entries = svr.adjacency(key).dense().numpy()
        tested = entries[svr.adjacency(key).parts() == 0]
        near = np.isclose(tested[:, None], cuts, rtol=1e-5).sum(axis=0)
        found = (tested[:, None] >= cuts).sum(axis=0)
        assert (np.abs(found - counts[:, index].astype(int)) <= near).all()


def test_chi2_has_weights_of_its_own(svr: SVR) -> None:
    _, arrays = scene_of(encode_scene(svr, 0))
    p = 10 ** arrays["stops_chi2_p_log10_p"][arrays["survival_stop_chi2"]]
    for channels, cuts in zip((12, 10), arrays["survival_weight_chi2"], strict=True):
        assert stats.chi2(1).sf(cuts.astype(float) * channels) == pytest.approx(p, rel=1e-3)


def test_many_laws_share_the_room(svr: SVR, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survival, "BYTES", 16 * 40)
    _, arrays = scene_of(encode_scene(svr, 0))
    assert arrays["survival_weight_exact"].shape == (2, 40)
    assert arrays["survival_stop_exact"][0] == 0
    assert arrays["survival_stop_exact"][-1] == len(arrays["stops_exact_p_level"]) - 1


def test_a_network_without_links_has_empty_tables() -> None:
    _, arrays = scene_of(encode_scene(SVR([torch.randn(4, 5)]), 10))
    assert arrays["survival_weight_exact"].size == 0
