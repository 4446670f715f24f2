"""Matching of two networks: planted neurons, brute force, and the laws by simulation."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine.errors import SVRError
from svr_widget.engine.network.network import Network
from svr_widget.svr import SVR


def frame(rng, rows, columns):
    return np.linalg.qr(rng.standard_normal((rows, columns)))[0]


def of(U, S, V):
    return np.einsum("ok,k,k...->o...", U, np.asarray(S, dtype=float), np.moveaxis(V, -1, 0))


class TestPlanted:
    def test_neurons_that_change_their_order_and_their_sign_keep_their_partner(self):
        rng = np.random.default_rng(0)
        U, V = frame(rng, 30, 12), frame(rng, 40, 12)
        order = rng.permutation(12)
        values = np.linspace(2, 1, 12)
        later = of(U[:, order], values, V[:, order])
        found = SVR([of(U, values, V)]).match(SVR([later]))
        pairs = found.pairs
        assert dict(zip(pairs["k"], pairs["other_k"], strict=True)) == {
            int(k): place for place, k in enumerate(order)
        }
        np.testing.assert_allclose(pairs[["overlap", "overlap_out", "overlap_in"]], 1, atol=1e-5)
        assert not pairs["cluster"].any()
        assert found.births.empty
        assert found.deaths.empty
        assert found.tests == 144

    def test_a_neuron_turned_by_a_known_angle(self):
        rng = np.random.default_rng(1)
        U, V = frame(rng, 60, 2), frame(rng, 50, 2)
        out, into = np.deg2rad(20), np.deg2rad(35)
        u = math.cos(out) * U[:, :1] + math.sin(out) * U[:, 1:]
        v = math.cos(into) * V[:, :1] + math.sin(into) * V[:, 1:]
        pair = SVR([of(U[:, :1], [3], V[:, :1])]).match(SVR([of(u, [2], v)])).pairs.iloc[0]
        assert pair["overlap_out"] == pytest.approx(math.cos(out), abs=1e-6)
        assert pair["overlap_in"] == pytest.approx(math.cos(into), abs=1e-6)
        assert pair["overlap"] == pytest.approx(math.cos(out) * math.cos(into), abs=1e-6)

    def test_a_direction_that_is_new_and_one_that_is_gone(self):
        rng = np.random.default_rng(2)
        U, V = frame(rng, 64, 21), frame(rng, 80, 21)
        values = np.linspace(2, 1, 20)
        before, after = np.arange(20), np.where(np.arange(20) == 7, 20, np.arange(20))
        found = SVR([of(U[:, before], values, V[:, before])]).match(
            SVR([of(U[:, after], values, V[:, after])])
        )
        kept = [k for k in range(20) if k != 7]
        assert found.pairs["k"].tolist() == found.pairs["other_k"].tolist() == kept
        assert found.births["other_k"].tolist() == found.deaths["k"].tolist() == [7]
        assert found.births["new"].tolist() == found.deaths["gone"].tolist() == [True]

    def test_a_neuron_that_splits_has_one_partner_and_the_other_is_not_new(self):
        rng = np.random.default_rng(3)
        U, V = frame(rng, 64, 3), frame(rng, 64, 2)
        turned = np.stack([0.8 * U[:, 0] + 0.6 * U[:, 1], 0.6 * U[:, 0] - 0.8 * U[:, 1]], axis=1)
        later = of(turned, [2, 1], V) + of(U[:, 2:], [0.5], V[:, :1])
        found = SVR([of(U[:, :1], [1], (V[:, :1] + V[:, 1:]) / math.sqrt(2))]).match(SVR([later]))
        assert len(found.pairs) == 1
        assert found.deaths.empty
        birth = found.births.iloc[0]
        assert (birth["k"], birth["other_map"]) == (0, "0")
        assert not birth["new"]

    @pytest.mark.parametrize("method", ["svr", "cosvr"])
    def test_convolutions(self, method):
        weight = torch.randn(10, 6, 3, 3, generator=torch.Generator().manual_seed(0))
        found = SVR([weight], method=method).match(SVR([2 * weight], method=method))
        assert (found.pairs["k"] == found.pairs["other_k"]).all()
        assert len(found.pairs) == (10 if method == "svr" else 6)

    def test_the_method_of_the_first_holds_for_both(self):
        weight = torch.randn(10, 6, 3, 3, generator=torch.Generator().manual_seed(0))
        assert len(SVR([weight], method="cosvr").match(SVR([weight])).pairs) == 6

    def test_groups_do_not_mix(self):
        """The same weights with the groups exchanged are other neurons."""
        torch.manual_seed(0)
        first = nn.Sequential(nn.Conv1d(40, 16, 3, groups=2))
        second = nn.Sequential(nn.Conv1d(40, 16, 3, groups=2))
        with torch.no_grad():
            second[0].weight.copy_(first[0].weight.reshape(2, 8, 20, 3).flip(0).reshape(16, 20, 3))
        one, other = SVR(first), SVR(second)
        assert one.match(other).pairs.empty
        assert one.match(other).tests == 2 * 8 * 8
        assert len(one.match(one).pairs) == 16

    def test_null_neurons_take_no_part(self):
        rng = np.random.default_rng(4)
        weight = of(frame(rng, 9, 3), [3, 2, 1], frame(rng, 9, 3))
        found = SVR([weight]).match(SVR([weight]))
        assert found.pairs["k"].tolist() == [0, 1, 2]
        assert found.tests == 9
        nothing = SVR([weight]).match(SVR([np.zeros((9, 9))]))
        assert (len(nothing.pairs), len(nothing.births), len(nothing.deaths)) == (0, 0, 3)
        assert nothing.deaths["gone"].all()
        assert nothing.deaths["other_k"].tolist() == [-1, -1, -1]


class TestClusters:
    def test_a_cluster_that_is_resolved_later(self):
        """Equal singular values part: each new neuron lies in the old space, none is new."""
        rng = np.random.default_rng(0)
        U, V, turn = frame(rng, 50, 5), frame(rng, 60, 5), frame(rng, 4, 4)
        before = of(U, [3, 1, 1, 1, 1], V)
        later = of(
            np.c_[U[:, :1], U[:, 1:] @ turn],
            [3, 1.4, 1.3, 1.2, 1.1],
            np.c_[V[:, :1], V[:, 1:] @ turn],
        )
        for found in (SVR([before]).match(SVR([later])), SVR([later]).match(SVR([before]))):
            assert found.pairs["cluster"].tolist() == [False, True, True, True, True]
            np.testing.assert_allclose(found.pairs["overlap"], [1, 1, 1, 1, 1], atol=1e-5)
            assert found.births.empty
            assert found.deaths.empty

    def test_a_cluster_that_splits_into_two(self):
        rng = np.random.default_rng(1)
        U, V, turn = frame(rng, 50, 4), frame(rng, 60, 4), frame(rng, 4, 4)
        before = of(U, [1, 1, 1, 1], V)
        found = SVR([before]).match(SVR([of(U @ turn, [2, 2, 1, 1], V @ turn)]))
        np.testing.assert_allclose(found.pairs["overlap"], [1, 1, 1, 1], atol=1e-5)
        assert found.births.empty

    def test_it_does_not_depend_on_the_basis(self):
        rng = np.random.default_rng(2)
        U, V, turn = frame(rng, 20, 3), frame(rng, 20, 3), frame(rng, 3, 3)
        later = rng.standard_normal((20, 20)) / 60 + of(U, [1, 1, 1], V)
        one, two = (
            SVR([of(U @ t, [1, 1, 1], V @ t)]).match(SVR([later])).pairs for t in (np.eye(3), turn)
        )
        columns = ["overlap", "overlap_out", "overlap_in", "log10_p"]
        np.testing.assert_allclose(one[columns], two[columns], rtol=1e-4)
        assert (one["overlap"] < 0.999).any()


def simulated_p(overlap, m, n):
    """How often the overlap of random unit vectors of lengths m and n is at least each of these."""
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((400_000, m)), rng.standard_normal((400_000, n))
    cosines = (abs(x[:, 0]) / np.linalg.norm(x, axis=1) for x in (u, v))
    drawn = np.sort(np.prod(list(cosines), axis=0))
    return 1 - np.searchsorted(drawn, overlap) / drawn.size


@pytest.mark.parametrize("seed", range(6))
def test_no_assignment_has_more_overlap(seed):
    """Against all orders of a small map, and the law by simulation."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal((5, 6))
    second = first + 0.8 * rng.standard_normal((5, 6))
    (U, _, V), (U2, _, V2) = (np.linalg.svd(w, full_matrices=False) for w in (first, second))
    overlap = np.abs((U.T @ U2) * (V @ V2.T))
    p_times_tests = 25 * simulated_p(overlap, 5, 6)
    # A level that no p-value is so near to that the simulation could not tell.
    levels = np.linspace(0.1, 0.95, 86)
    level = max(levels, key=lambda level: np.abs(np.log(p_times_tests / level)).min())
    gain = np.where(p_times_tests <= level, overlap, 0)
    orders = itertools.permutations(range(5))
    best = max(sum(gain[k, other] for k, other in enumerate(order)) for order in orders)
    found = SVR([first]).match(SVR([second]), level=level)
    assert found.pairs["overlap"].sum() == pytest.approx(best, rel=1e-5)
    assert len(found.pairs) + len(found.births) == len(found.pairs) + len(found.deaths) == 5


def rate(hits, expected):
    """How often, in standard deviations from what is expected."""
    return (np.mean(hits) - expected) / math.sqrt(expected * (1 - expected) / len(hits))


class TestLevel:
    @pytest.mark.parametrize("size", [1, 3])
    @pytest.mark.parametrize("level", [0.1, 0.6])
    def test_one_neuron_against_a_neuron_or_a_cluster_has_it_exactly(self, size, level):
        rng = np.random.default_rng(size)
        fixed = SVR([of(frame(rng, 6, size), np.ones(size), frame(rng, 7, size))])
        random = [SVR([of(frame(rng, 6, 1), [1], frame(rng, 7, 1))]) for _ in range(150)]
        hits = [len(fixed.match(other, level=level).pairs) for other in random]
        assert abs(rate(hits, level / size)) < 3.5

    def test_nothing_is_paired_in_random_networks_more_often(self):
        """Ten neurons each: the bound holds, and is close to what happens."""
        rng = np.random.default_rng(0)
        networks = [SVR([rng.standard_normal((10, 12))]) for _ in range(151)]
        hits = [
            not one.match(other, level=0.2).pairs.empty
            for one, other in itertools.pairwise(networks)
        ]
        assert -3.5 < rate(hits, 0.2) < 2

    def test_between_clusters_it_is_a_bound(self):
        rng = np.random.default_rng(1)
        networks = [SVR([frame(rng, 6, 2) @ frame(rng, 6, 2).T]) for _ in range(151)]
        hits = [
            not one.match(other, level=0.9).pairs.empty
            for one, other in itertools.pairwise(networks)
        ]
        assert rate(hits, 0.45) < 2
        assert any(hits)

    @pytest.mark.slow
    def test_behind_layer_norms_there_is_a_dimension_less(self):
        """Sides of length 4 and 5 whose channels sum to 0: frames in 3 and 4 dimensions."""
        layers = nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 4), nn.LayerNorm(4)
        folded = SVR(nn.Sequential(*layers, nn.Linear(4, 3)), norm="fold").maps["2"]
        assert all(normal is not None for normal in folded.normals)
        rng = np.random.default_rng(3)

        def network():
            weight = rng.standard_normal((4, 5))
            weight -= weight.mean(axis=0)
            weight -= weight.mean(axis=1, keepdims=True)
            linear = replace(folded, factors=(torch.from_numpy(weight),))
            return SVR(Network("random", {"2": linear}, ()), rank=1)

        networks = [network() for _ in range(201)]
        hits = [
            not one.match(other, level=0.3).pairs.empty
            for one, other in itertools.pairwise(networks)
        ]
        assert abs(rate(hits, 0.3)) < 3.5


class TestRefusals:
    def test_every_message(self):
        one = SVR({"a": torch.eye(3), "b": torch.eye(3)})
        for other, keywords, message in [
            (SVR([torch.eye(3)]), {}, "no map of the same name"),
            (SVR({"b": torch.eye(2)}), {}, r"'b' 3x3 and 'b' 2x2 cannot be compared"),
            (one, {"maps": {"a": "c"}}, "no map 'c'"),
            (one, {"maps": {"layer": "a"}}, "no map 'layer'"),
            (one, {"level": 0}, "0 < level < 1"),
        ]:
            with pytest.raises(SVRError, match=message):
                one.match(other, **keywords)

    def test_what_wrappers_add_to_names_is_no_difference(self):
        weights = {"layer.0": torch.eye(3), "head": torch.eye(4)}
        for before in ("module.", "_orig_mod.", "base_model.model.", "_orig_mod.module."):
            wrapped = SVR({f"{before}{name}": weight for name, weight in weights.items()})
            for one, other in ((SVR(weights), wrapped), (wrapped, SVR(weights))):
                pairs = one.match(other).pairs
                assert {*zip(pairs["map"], pairs["other_map"], strict=True)} == {
                    *zip(one.maps, other.maps, strict=True)
                }

    def test_a_model_that_is_compiled_in_part(self):
        model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4))
        partly = nn.Sequential(
            torch.compile(model[0], backend="eager"), model[1], nn.DataParallel(model[2])
        )
        names = set(SVR(model).match(SVR(partly)).pairs["other_map"])
        assert names == {"0._orig_mod"}, "a module called 'module' within is a name of its own"

    def test_a_model_is_no_svr(self):
        with pytest.raises(TypeError, match="match takes another SVR, not Linear"):
            SVR([torch.eye(3)]).match(nn.Linear(3, 3))

    def test_only_the_maps_that_are_named(self):
        one = SVR({"a": torch.eye(3), "b": 2 * torch.eye(3)})
        assert set(one.match(one, {"a": "b"}).pairs["other_map"]) == {"b"}
