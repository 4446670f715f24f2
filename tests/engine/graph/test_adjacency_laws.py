"""The laws of an adjacency's entries under chance, against samples and sums."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from svr_widget.engine.errors import SVRError
from tests.engine.support.adjacency_cases import CASES, between, case, link_of
from tests.engine.support.gaussian import gaussian


def sample(name, method, seed):
    first, second, groups, channels = CASES[name]
    weights = (gaussian(*first, seed=2 * seed), gaussian(*second, seed=2 * seed + 1))
    adjacency = between(*weights, channels and link_of(*channels), method, groups)
    entries, parts = adjacency.dense().double().numpy(), adjacency.parts()
    tested = np.argwhere(parts >= 0)
    n, m = tested[seed % len(tested)]
    return float(np.exp(adjacency.laws[parts[n, m]].logsf(entries[n, m])))


class TestLaws:
    @pytest.mark.parametrize("name", ["convolution", "flat features", "one position"])
    def test_gaussian_weights_follow_their_law(self, name):
        """Other links are calibrated in ``test_calibration.py``."""
        p_values = [sample(name, "svr", seed) for seed in range(120)]
        assert stats.kstest(p_values, "uniform").pvalue > 1e-3

    def test_a_wrong_law_would_be_noticed(self):
        adjacency = case("grouped")
        entries = case("linear").dense().double().flatten().numpy()
        wrong = np.exp(adjacency.laws[0].logsf(entries))
        assert stats.kstest(wrong, "uniform").pvalue < 1e-3

    @pytest.mark.parametrize(
        ("name", "method", "mean"),
        [
            ("linear", "svr", 1 / 6),
            ("convolution", "svr", 1 / 6),
            ("convolution", "cosvr", 1 / 6),
            ("split", "svr", 3 / (6 * 3)),
            ("concatenated", "svr", 4 / (4 * 9)),
            ("flat features", "svr", 2 / 10),
            ("depthwise consumer", "svr", 1 / 4),
            ("depthwise producer", "cosvr", 1 / 4),
        ],
    )
    def test_mean_is_shared_over_both_widths(self, name, method, mean):
        adjacency = case(name, method)
        assert adjacency.law.mean == pytest.approx(mean)
        assert adjacency.mean() == pytest.approx(mean)

    def test_two_depthwise_maps_always_meet_with_weight_one(self):
        adjacency = case("depthwise both")
        assert adjacency.law.constant
        meet = adjacency.parts() >= 0
        assert meet.sum() == 8
        np.testing.assert_allclose(adjacency.dense().numpy()[meet], 1, rtol=1e-6)
        assert (adjacency.logsf(adjacency.dense()) == 0).all()

    def test_groups_that_overlap_by_different_numbers(self):
        adjacency = case("grouped")  # groups of 3 channels into groups of 2
        assert [law.shared for law in adjacency.laws] == [(2, 3), (1, 3)]
        parts = adjacency.parts()
        for n, m in itertools.product(*map(range, adjacency.shape)):
            h, g = int(adjacency.consumer.groups[n]), int(adjacency.producer.groups[m])
            overlap = len({2 * h, 2 * h + 1} & {3 * g, 3 * g + 1, 3 * g + 2})
            assert parts[n, m] == {2: 0, 1: 1, 0: -1}[overlap]
            assert adjacency.mean()[n, m] == pytest.approx(overlap / (3 * 2))
        with pytest.raises(SVRError, match="has 2 laws, not one"):
            adjacency.isf(0.1)
        with pytest.raises(SVRError, match="weights must be"):
            adjacency.logsf(0.5)
        matrix = adjacency.logsf(adjacency.dense())
        assert (matrix[parts < 0] == 0).all()
        tested = adjacency.dense().numpy()[parts == 1]
        np.testing.assert_allclose(matrix[parts == 1], adjacency.laws[1].logsf(tested))

    def test_isf_is_the_quantile(self):
        adjacency = case("convolution")
        assert adjacency.logsf(adjacency.isf(1e-3)) == pytest.approx(math.log(1e-3))

    def test_the_papers_law(self):
        adjacency = case("convolution", null="chi2")
        assert adjacency.logsf(0.9) == pytest.approx(stats.chi2.logsf(0.9 * 6 * 4, 4))


class TestTests:
    def test_null_neurons_take_no_part(self):
        first, second = gaussian(6, 9, seed=11), gaussian(5, 6, seed=12)
        first[2], second[1] = 0, second[3]
        adjacency = between(first, second)
        parts = adjacency.parts()
        assert (parts[-1] == -1).all()
        assert (parts[:, -1] == -1).all()
        assert (parts[:-1, :-1] == 0).all()
        (tests,) = adjacency.tests()
        expected = adjacency.dense()[:-1, :-1].flatten().sort().values
        np.testing.assert_array_equal(tests.weights, expected)
        assert len(adjacency.above([0.0]).m) == 20

    def test_tests_are_sorted_by_law(self):
        adjacency = case("grouped")
        parts = adjacency.parts()
        for part, tests in enumerate(adjacency.tests("chi2")):
            assert tests.law.kind == "chi2"
            assert tests.law.shared == adjacency.laws[part].shared
            entries = np.sort(adjacency.dense().numpy()[parts == part])
            np.testing.assert_array_equal(tests.weights, entries)

    def test_edges_above_a_weight(self):
        adjacency = case("grouped")
        edges = adjacency.above([0.5, 0.2])
        dense, parts = adjacency.dense().numpy(), adjacency.parts()
        expected = {
            (n, m)
            for n, m in np.ndindex(dense.shape)
            if dense[n, m] >= {0: 0.5, 1: 0.2, -1: np.inf}[int(parts[n, m])]
        }
        assert set(zip(edges.n.tolist(), edges.m.tolist(), strict=True)) == expected
        assert (np.diff(edges.weight) <= 0).all()
        np.testing.assert_array_equal(edges.weight, dense[edges.n, edges.m])
        np.testing.assert_array_equal(edges.part, parts[edges.n, edges.m])

    @pytest.mark.parametrize("null", ["exact", "chi2"])
    def test_edges_of_one_link(self, null):
        adjacency = case("grouped")
        edges = adjacency.edges(p=0.25, null=null)
        laws = [tests.law for tests in adjacency.tests(null)]
        dense, parts = adjacency.dense().numpy(), adjacency.parts()
        expected = {
            (n, m)
            for n, m in np.ndindex(dense.shape)
            if parts[n, m] >= 0 and laws[parts[n, m]].logsf(dense[n, m]) <= math.log(0.25)
        }
        assert set(zip(edges.n.tolist(), edges.m.tolist(), strict=True)) == expected
        by_default, spelt_out = adjacency.edges(), adjacency.edges(fdr=0.05)
        np.testing.assert_array_equal(by_default.weight, spelt_out.weight)

    def test_a_link_without_channels_has_no_tests(self):
        adjacency = case("no channel")
        assert (adjacency.laws, adjacency.tests()) == ((), ())
        assert (adjacency.dense() == 0).all()
        assert len(adjacency.above([]).m) == 0
        assert adjacency.entropy() == 0
