"""Intensities over all links of a producer, against those of the links one by one."""

from __future__ import annotations

import numpy as np
import pytest

from svr_widget import SVR
from tests.engine.graph.streaming.test_stream import mixed, residual


@pytest.mark.parametrize(
    "made",
    [
        # Readers of different sizes, and of one size with a null neuron more.
        lambda: residual(40, 1, sizes=(3, 5, 4, 6)),
        lambda: residual(24, 2, sizes=(4, 4, 4), null=False),
        lambda: mixed(3),
    ],
)
def test_a_producer_has_the_best_of_its_links(made):
    svr, fed = made(), 0
    svr.compute()
    for name in svr.maps:
        links = [key for key in svr.links if key[0] == name]
        if not links:
            continue
        fed += 1
        each = [svr.adjacency(key) for key in links]
        largest = np.max([adjacency.intensity() for adjacency in each], axis=0)
        smallest = np.min([adjacency.intensity_p_values() for adjacency in each], axis=0)
        np.testing.assert_array_equal(
            svr.intensity_p_values(name), np.minimum(smallest * len(links), 1.0)
        )
        np.testing.assert_array_equal(svr.intensity(name), largest / largest.max())
        null = np.isnan(svr.intensity_p_values(name))
        np.testing.assert_array_equal(null, svr[name].null.numpy())
    assert fed > 2


def test_readers_with_null_neurons_follow_a_law_of_their_own():
    svr = residual(40, 1, sizes=(5, 5, 5, 5))
    weights = {name: linear.weight.numpy().copy() for name, linear in svr.maps.items()}
    weights["read2"][3:] = 0
    svr = SVR(weights, links=list(svr.links))
    svr.compute()
    assert int(svr["read2"].null.sum()) > int(svr["read1"].null.sum())
    each = [svr.adjacency(key).intensity_p_values() for key in svr.links if key[0] == "write1"]
    np.testing.assert_array_equal(
        svr.intensity_p_values("write1"), np.minimum(np.min(each, axis=0) * 4, 1.0)
    )
