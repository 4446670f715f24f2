"""``SVR`` as a whole: laziness, frames, and the invariances of the paper."""

import math
import threading
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine.errors import (
    ThresholdError,
)
from svr_widget.engine.work import tasks
from svr_widget.svr import SVR
from tests.engine.support.gaussian import chain, gaussian


def linked_chain(*widths):
    """A chain whose first neurons are joined far beyond chance."""
    weights = chain(*widths)
    for first, second in pairwise(weights):
        direction = torch.linalg.svd(first)[0][:, 0]
        second += 50 * torch.outer(gaussian(second.shape[0]), direction)
    return weights


class TestLaziness:
    @pytest.fixture
    def counted(self, monkeypatch):
        seen = []

        def decompose(weight, *arguments, **keywords):
            seen.append(weight.shape)
            return original(weight, *arguments, **keywords)

        original = tasks.decompose
        monkeypatch.setattr(tasks, "decompose", decompose)
        return seen

    def test_nothing_is_decomposed_before_it_is_asked_for(self, counted):
        svr = SVR(chain(5, 4, 3, 2))
        repr(svr), svr._repr_html_(), svr.estimate_seconds()
        assert counted == []
        assert svr["1"] is svr.decomposition("1")
        assert counted == [(3, 4)]
        svr.adjacency(("0", "1")).dense()
        assert counted == [(3, 4), (4, 5)]

    def test_nothing_is_decomposed_twice_by_any_thread(self, counted):
        svr = SVR(chain(9, 8, 7, 6, 5))
        threads = [threading.Thread(target=call) for call in (svr.edges, svr.neurons) * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        svr.edges(p=0.1, null="chi2"), svr.internal_dimensions(("0", "1"))
        assert len(counted) == 4
        cross = svr.adjacency(("0", "1"), method="cross")
        assert len(counted) == 4  # without a kernel the co-SVR is the SVR
        torch.testing.assert_close(cross.dense(), svr.adjacency(("0", "1")).dense())
        kernels = SVR([gaussian(4, 3, 3), gaussian(5, 4, 3)])
        counted.clear()
        for method in ("svr", "cross", "cosvr"):
            kernels.adjacency(("0", "1"), method=method).dense()
        assert counted == [(4, 3, 3), (5, 4, 3), (5, 4, 3), (4, 3, 3)]

    def test_tied_weights_are_decomposed_once(self, counted):
        class Tied(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.mlp = nn.Embedding(11, 4), nn.Linear(4, 4)
                self.head, self.again = nn.Linear(4, 11, bias=False), nn.Linear(4, 4)
                self.head.weight, self.again.weight = self.embed.weight, self.mlp.weight

            def forward(self, x):
                return self.head(self.again(self.mlp(self.embed(x)).relu()))

        torch.manual_seed(3)
        model = Tied()
        svr = SVR(model, torch.zeros(1, 2, dtype=torch.long))
        svr.compute()
        assert sorted(map(tuple, counted)) == [(4, 4), (4, 11)]
        assert svr["again"] is svr["mlp"]
        assert svr.maps["head"].tied_to == "embed"
        assert torch.equal(svr.maps["head"].weight, model.head.weight)
        alone = SVR([model.head.weight])["0"]
        torch.testing.assert_close(svr["head"].S, alone.S)
        torch.testing.assert_close(svr["head"].U, alone.U)
        torch.testing.assert_close(svr["head"].V, alone.V)

    def test_a_link_between_the_ends_of_one_weight_is_said_to_be_the_identity(self):
        class Bigram(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.mlp = nn.Embedding(11, 4), nn.Linear(4, 4)
                self.head, self.apart = nn.Linear(4, 11, bias=False), nn.Linear(4, 11)
                self.head.weight = self.embed.weight

            def forward(self, x):
                x = self.embed(x)
                x = x + self.mlp(self.mlp(x).relu())
                return self.head(x), self.apart(x)

        svr = SVR(Bigram(), torch.zeros(1, 2, dtype=torch.long))
        torch.testing.assert_close(svr.adjacency(("embed", "head")).dense(), torch.eye(4))
        assert {("embed", "apart"), ("mlp", "head"), ("mlp", "mlp")} <= set(svr.links)
        made = [key for key, link in svr.links.items() if link.by_construction]
        assert made == [("embed", "head")]
        said = [note for note in svr.notes if "by construction" in note]
        assert len(said) == 1
        assert "'embed -> head'" in said[0]

    def test_progress_and_stopping(self, counted):
        svr = SVR({"first": gaussian(4, 5), "second": gaussian(3, 4)}, links="chain")
        steps = []
        svr.compute(lambda *step: steps.append(step))
        assert steps == [
            ("first", 0, 3),
            ("second", 1, 3),
            ("first → second", 2, 3),
            ("", 3, 3),
        ]
        svr.compute(lambda *step: steps.append(step))
        assert len(steps) == 4  # nothing was left to do

        def stop(name, done, total):
            if done == 1:
                raise KeyboardInterrupt

        stopped = SVR(chain(5, 4, 3), progress=stop)
        counted.clear()
        with pytest.raises(KeyboardInterrupt):
            stopped.edges()
        assert counted == [(4, 5)]
        steps.clear()
        stopped.compute(lambda *step: steps.append(step))
        assert steps == [("1", 0, 2), ("0 → 1", 1, 2), ("", 2, 2)]
        assert counted == [(4, 5), (3, 4)]

    def test_the_estimate_grows_with_the_work(self):
        small, large = SVR(chain(20, 20, 20)), SVR(chain(400, 400, 400))
        assert 0 < small.estimate_seconds() < large.estimate_seconds() < 10


class TestEdges:
    def test_frame(self):
        svr = SVR(linked_chain(30, 24, 20, 10))
        edges = svr.edges()
        assert list(edges.columns) == ["producer", "m", "consumer", "n", "weight", "log10_p"]
        assert len(edges) >= 2
        assert (np.diff(edges["weight"]) <= 0).all()
        for row in edges.itertuples():
            adjacency = svr.adjacency((row.producer, row.consumer))
            assert row.weight == float(adjacency.dense()[row.n, row.m])
            assert row.log10_p == pytest.approx(float(adjacency.logsf(row.weight)) / math.log(10))

    @pytest.mark.parametrize("null", ["exact", "chi2"])
    @pytest.mark.parametrize(
        "level", [{"p": 0.15}, {"sigma": 3}, {"fdr": 0.2}, {"bonferroni": 0.5}, {"p": 1.0}]
    )
    def test_as_many_as_the_cut_counts(self, level, null):
        svr = SVR(linked_chain(30, 24, 20, 10))
        cut = svr.significance(null).cut(**level)
        edges = svr.edges(**level, null=null)
        assert len(edges) == cut.significant
        by_link = edges.groupby(["producer", "consumer"]).size()
        for (link, _), count in cut.counts.items():
            assert by_link.get(link, 0) == count
        for row in edges.itertuples():
            assert row.log10_p <= cut.log10_p[(row.producer, row.consumer), 0] + 1e-12

    def test_scope_and_method_change_the_cut(self):
        svr = SVR(linked_chain(30, 24, 20, 10))
        wide = svr.edges(bonferroni=1.0, scope="link")
        assert len(wide) >= len(svr.edges(bonferroni=1.0))
        assert len(svr.edges(fdr=0.5)) >= len(svr.edges(fdr=0.5, fdr_method="by"))
        with pytest.raises(ThresholdError, match="exactly one"):
            svr.edges(p=0.1, fdr=0.1)
        with pytest.raises(ThresholdError, match="out of range"):
            svr.edges(p=0)

    def test_laws_of_a_grouped_link_are_cut_each(self):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(4, 6, 1, groups=2), nn.ReLU(), nn.Conv2d(6, 9, 3, groups=3))
        svr = SVR(model, torch.zeros(1, 4, 5, 5))
        edges = svr.edges(p=0.3)
        adjacency = svr.adjacency(("0", "2"))
        matrix = adjacency.logsf(adjacency.dense())
        parts = adjacency.parts()
        expected = np.argwhere((parts >= 0) & (matrix <= math.log(0.3)))
        assert sorted(zip(edges["n"], edges["m"], strict=True)) == sorted(map(tuple, expected))
        assert len(svr.significance().tests) == 2


class TestNeurons:
    def test_frame_and_intensity(self):
        weights = {"a": gaussian(4, 6), "b": gaussian(4, 4), "c": gaussian(2, 4)}
        weights["a"][1] = 0
        svr = SVR(weights, links=[("a", "b"), ("a", "c"), ("b", "c")])
        neurons = svr.neurons()
        assert list(neurons.columns) == [
            "map",
            "k",
            "singular_value",
            "intensity",
            "p_value",
            "p_adjusted",
            "null",
            "cluster",
        ]
        assert neurons["map"].tolist() == ["a"] * 4 + ["b"] * 4 + ["c"] * 2
        assert neurons["null"].sum() == 1
        strongest = np.zeros(4)
        for consumer in ("b", "c"):
            A = svr.adjacency(("a", consumer)).dense().double().numpy()
            deviation = np.cumsum(A - 1 / 4, axis=0).max(axis=0)
            strongest = np.maximum(strongest, deviation)
        strongest[3] = 0  # the null neuron, whose vectors are arbitrary
        expected = strongest / strongest.max()
        np.testing.assert_allclose(svr.intensity("a"), expected, rtol=1e-9)
        assert (svr.intensity("c") == 1).all()

    def test_intensity_is_never_undefined(self):
        svr = SVR([torch.ones(1, 3), torch.ones(2, 1)])  # one channel: A = 1 = its mean
        assert svr.intensity("0").tolist() == [0.0]


class TestInvariances:
    widths = (14, 10, 8, 6)

    def dense(self, weights, method="svr"):
        svr = SVR(weights, method=method)
        return [svr.adjacency(link).dense() for link in svr.links]

    def assert_same(self, first, second):
        for one, other in zip(self.dense(first), self.dense(second), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-9)

    def test_positive_scale(self):
        weights = chain(*self.widths, dtype=torch.float64)
        scaled = [w * s for w, s in zip(weights, (1e-20, 3.0, 1e20), strict=True)]
        self.assert_same(weights, scaled)

    def test_hidden_permutations_and_rotations(self):
        first, second, third = chain(*self.widths, dtype=torch.float64)
        order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
        self.assert_same([first, second, third], [first[order], second[:, order], third])
        Q = torch.linalg.qr(gaussian(8, 8, dtype=torch.float64))[0]
        self.assert_same([first, second, third], [first, Q @ second, third @ Q.T])

    @pytest.mark.parametrize("method", ["svr", "cosvr", "cross"])
    def test_convolutions(self, method):
        shapes = (6, 3, 3, 3), (5, 6, 3, 2), (4, 5, 2, 2)
        weights = [gaussian(*shape, seed=n, dtype=torch.float64) for n, shape in enumerate(shapes)]
        first, second, third = weights
        order = torch.randperm(6, generator=torch.Generator().manual_seed(1))
        Q = torch.linalg.qr(gaussian(5, 5, dtype=torch.float64))[0]
        turned = torch.einsum("ij,jkyx->ikyx", Q, second[:, order])
        last = 1e-12 * torch.einsum("kiyx,ji->kjyx", third, Q)
        for one, other in zip(
            self.dense(weights, method), self.dense([7 * first[order], turned, last], method),
            strict=True,
        ):  # fmt: skip
            torch.testing.assert_close(one, other, rtol=0, atol=1e-9)

    def test_truncation_is_a_corner_of_the_whole(self):
        weights = chain(*self.widths)
        cut = SVR(weights, rank=3)
        for link in cut.links:
            torch.testing.assert_close(
                cut.adjacency(link).dense(), SVR(weights).adjacency(link).dense()[:3, :3]
            )
        assert "first 3 of each map" in repr(cut)
        assert len(cut.neurons()) == 9

    def test_flattening_channels_last_is_the_same_network(self):
        class ChannelsLast(nn.Module):
            def __init__(self, first):
                super().__init__()
                self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 5)
                with torch.no_grad():
                    self.conv.weight.copy_(first[0].weight)
                    by_position = first[2].weight.view(5, 4, 36).transpose(1, 2)
                    self.fc.weight.copy_(by_position.flatten(1))

            def forward(self, x):
                return self.fc(self.conv(x).permute(0, 2, 3, 1).flatten(1))

        torch.manual_seed(2)
        first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 5))
        last = SVR(ChannelsLast(first), torch.zeros(1, 3, 8, 8))
        first = SVR(first, torch.zeros(1, 3, 8, 8))
        assert torch.equal(first.maps["2"].weight, last.maps["fc"].weight)
        assert torch.equal(
            first.adjacency(("0", "2")).dense(), last.adjacency(("conv", "fc")).dense()
        )

    def test_two_runs_agree_to_the_bit(self):
        weights = chain(*self.widths)
        assert SVR(weights).edges(p=1.0).equals(SVR(weights).edges(p=1.0))
        assert SVR(weights).neurons().equals(SVR(weights).neurons())

    def test_internal_dimensions_repeat(self):
        svr = SVR(chain(*self.widths))
        assert svr.internal_dimensions(("0", "1")) == svr.internal_dimensions(("0", "1"))


class TestWords:
    def test_html_escapes_names(self):
        svr = SVR({"<script>": torch.eye(2)})
        text = svr._repr_html_()
        assert "<script>" not in text
        assert "&lt;script&gt;" in text

    def test_repr_counts(self):
        assert repr(SVR(chain(5, 4, 3))) == "SVR(2 weights: 2 maps, 7 neurons, 1 links, svr)"
        cosvr = SVR([gaussian(2, 9, 3)], method="cosvr")
        assert "6 neurons" in repr(cosvr)
        assert len(cosvr.neurons()) == 6
