"""``SVR`` as a whole: sources, laziness, frames, and the invariances of the paper."""

import math
import threading
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from svr_widget.engine import SVR, spectral_graph
from svr_widget.engine.errors import (
    NoMapsError,
    NonFiniteWeightsError,
    SVRError,
    ThresholdError,
    TraceError,
    UnsupportedLayerError,
    WidthMismatchError,
)
from svr_widget.engine.links import Link


def gaussian(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def chain(*widths, seed=0, dtype=torch.float32):
    return [
        gaussian(out, width, seed=seed + place, dtype=dtype)
        for place, (width, out) in enumerate(pairwise(widths))
    ]


def linked_chain(*widths):
    """A chain whose first neurons are joined far beyond chance."""
    weights = chain(*widths)
    for first, second in pairwise(weights):
        direction = torch.linalg.svd(first)[0][:, 0]
        second += 50 * torch.outer(gaussian(second.shape[0]), direction)
    return weights


class Mlp(nn.Module):
    def __init__(self, *widths):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(width, out) for width, out in pairwise(widths))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x


class TestSources:
    def test_a_model(self):
        model = Mlp(12, 8, 6, 4)
        svr = SVR(model)
        assert list(svr.maps) == ["layers.0", "layers.1", "layers.2"]
        assert list(svr.links) == [("layers.0", "layers.1"), ("layers.1", "layers.2")]
        assert [linear.depth for linear in svr.maps.values()] == [0, 1, 2]
        assert torch.equal(svr.maps["layers.1"].weight, model.layers[1].weight)
        assert svr.links["layers.0", "layers.1"].through == ("relu",)

    def test_training_on_does_not_change_the_result(self):
        model = Mlp(6, 5, 4)
        svr = SVR(model)
        expected = SVR([layer.weight.detach().clone() for layer in model.layers])
        with torch.no_grad():
            model.layers[0].weight.zero_()
        assert torch.equal(svr["layers.0"].S, expected["0"].S)

    def test_a_convolutional_model_with_a_flattening_head(self):
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 6, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(6 * 4 * 4, 5),
        )
        svr = SVR(model, torch.zeros(1, 3, 8, 8))
        assert list(svr.links) == [("0", "4"), ("4", "7")]
        head = svr.maps["7"]
        assert (head.kind, head.weight.shape) == ("convolution", (5, 6, 4, 4))
        adjacency = svr.adjacency(("4", "7"))
        U, V = svr["4"].U.double(), svr["7"].V.double()
        expected = torch.einsum("km,kyxn->nmyx", U, V).square().sum((2, 3))
        torch.testing.assert_close(adjacency.dense().double(), expected, rtol=0, atol=1e-6)

    def test_a_single_layer(self):
        svr = SVR(nn.Linear(4, 3))
        assert (list(svr.maps), len(svr.links)) == (["0"], 0)
        assert svr.edges().empty
        assert (svr.neurons()["intensity"] == 1).all()

    @pytest.mark.parametrize("kind", [list, tuple])
    def test_a_list_of_tensors_and_arrays_is_a_chain(self, kind):
        first, second = chain(5, 4, 3)
        svr = SVR(kind([first, torch.zeros(4), second.double().numpy()]))
        assert list(svr.links) == [("0", "2")]
        assert [linear.weight.dtype for linear in svr.maps.values()] == [
            torch.float32,
            torch.float64,
        ]

    def test_a_state_dict_is_a_chain_under_its_modules_names(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1))
        svr = SVR(model.state_dict())
        assert list(svr.maps) == ["0", "2"]
        assert svr.maps["0"].kind == "convolution"

    @pytest.mark.parametrize(
        ("kernel", "width", "read"),
        [((3,), 7, (7,)), ((3, 3), 9, (3, 3)), ((1, 1, 1), 8, (2, 2, 2))],
    )
    def test_a_matrix_after_a_convolution_reads_it_flattened(self, kernel, width, read):
        weights = [gaussian(4, 3, *kernel), gaussian(5, 4 * width)]
        svr = SVR(weights)
        assert svr.maps["1"].weight.shape == (5, 4, *read)
        assert torch.equal(svr.maps["1"].weight.flatten(1), weights[1])

    @pytest.mark.parametrize("second", [(5, 9), (5, 4 * 5), (5, 8, 3, 3)])
    def test_widths_that_do_not_fit(self, second):
        message = rf"'0' 4x3x3x3 has 4 output channels, but '1' {'x'.join(map(str, second))} reads"
        with pytest.raises(WidthMismatchError, match=message):
            SVR([gaussian(4, 3, 3, 3), gaussian(*second)])

    def test_a_matrix_after_a_matrix_never_counts_as_flattened(self):
        with pytest.raises(WidthMismatchError, match="'0' 4x3 has 4 output channels"):
            SVR([gaussian(4, 3), gaussian(5, 16)])

    def test_own_links(self):
        weights = {"a": gaussian(4, 3), "b": gaussian(4, 4), "c": gaussian(2, 4)}
        svr = SVR(weights, links=[("a", "b"), ("a", "c"), ("b", "c"), ("b", "b")])
        assert list(svr.links) == [("a", "b"), ("a", "c"), ("b", "c"), ("b", "b")]
        assert svr.links["b", "b"].backward
        assert [linear.depth for linear in svr.maps.values()] == [0, 1, 2]
        model = Mlp(5, 4, 4, 3)
        skipping = SVR(model, links=[("layers.0", "layers.2")])
        assert list(skipping.links) == [("layers.0", "layers.2")]

    def test_links_with_channels_of_their_own_and_twice_the_same_pair(self):
        some = torch.tensor([0, 2]), torch.tensor([1, 0])
        links = [Link("0", "1", *some), Link("0", "1", some[1], some[0])]
        svr = SVR([gaussian(3, 4), gaussian(5, 3)], links=links)
        assert list(svr.links) == [("0", "1"), ("0", "1", 1)]
        first, second = (svr.adjacency(key).dense() for key in svr.links)
        assert not torch.allclose(first, second)
        assert svr.significance().total == 2 * 3 * 3

    def test_include_and_exclude(self):
        weights = {"a": gaussian(4, 3), "aside": gaussian(9, 9), "b": gaussian(2, 4)}
        assert list(SVR(weights, exclude="as*").links) == [("a", "b")]
        assert list(SVR(weights, include=["a", "b"]).maps) == ["a", "b"]
        assert list(SVR(Mlp(4, 4, 4), include="layers.0").maps) == ["layers.0"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("source", "keywords", "error", "message"),
        [
            ([], {}, NoMapsError, "no weight of two or more dimensions among 0 entries"),
            ([torch.ones(3)], {}, NoMapsError, "among 1 entries"),
            ({"a": torch.eye(2)}, {"include": "b"}, SVRError, "include='b' matches no name"),
            ({"a": torch.eye(2)}, {"exclude": "a"}, NoMapsError, r"exclude=\['a'\]"),
            ([torch.full((2, 2), torch.nan)], {}, NonFiniteWeightsError, "'0' has 4 NaN or inf"),
            ([torch.ones(2, 2, dtype=torch.int8)], {}, UnsupportedLayerError, "type torch.int8"),
            ({"fc.weight_v": torch.eye(2)}, {}, UnsupportedLayerError, "part that a weight is"),
            ([torch.eye(2)] * 2, {"links": [("0", "3")]}, TraceError, "no map is called '3'"),
            ([torch.eye(2)], {"method": "svd"}, SVRError, "method must be one of .*'svd'; did you"),
            ([torch.eye(2)], {"null": "exakt"}, SVRError, "null must be .*; did you mean 'exact'"),
            ([torch.eye(2)], {"rank": 0}, SVRError, "rank must be an integer of at least 1"),
            ([torch.eye(2)], {"rank": 1.5}, SVRError, "rank must be an integer"),
            ([torch.eye(2)], {"example_inputs": 1}, TypeError, "belong to an nn.Module"),
            ([torch.eye(2)], {"metod": "svr"}, TypeError, "'metod'; did you mean 'method'"),
            ([None], {}, TypeError, "weight '0' is a NoneType"),
            (torch.eye(2), {}, TypeError, "not Tensor"),
            ("vgg.pt", {}, TypeError, "not str"),
        ],
    )
    def test_every_message(self, source, keywords, error, message):
        with pytest.raises(error, match=message):
            SVR(source, **keywords)

    def test_of_a_model(self):
        model = Mlp(4, 3, 2)
        with torch.no_grad():
            model.layers[1].weight[0, 0] = torch.inf
        with pytest.raises(NonFiniteWeightsError, match=r"'layers\.1' has 1 NaN or infinite of 6"):
            SVR(model)
        with pytest.raises(UnsupportedLayerError, match="Bilinear"):
            SVR(nn.Sequential(nn.Bilinear(3, 3, 2)))

    def test_two_producers_that_flatten_differently(self):
        weights = [gaussian(4, 3, 3, 3), gaussian(8, 3, 3, 3), gaussian(5, 36), gaussian(5, 32)]
        with pytest.raises(WidthMismatchError, match="'1' 8x3x3x3 has 8"):
            SVR(weights, links=[("0", "2"), ("1", "2")])
        assert SVR(weights, links=[("1", "3")]).maps["3"].kernel == (2, 2)

    def test_names_that_do_not_exist(self):
        svr = SVR(chain(4, 3, 2))
        with pytest.raises(KeyError, match="no map '00'; did you mean '0'"):
            svr["00"]
        with pytest.raises(KeyError, match="no link"):
            svr.adjacency(("1", "0"))
        with pytest.raises(SVRError, match="method must be one of"):
            svr.adjacency(("0", "1"), method="svd")

    def test_nothing_is_changed_in_the_model(self):
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2))
        model[3].eval()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        SVR(model).compute()
        assert all(torch.equal(before[n], tensor) for n, tensor in model.state_dict().items())
        assert [module.training for module in model.modules()] == [True, True, True, True, False]


class TestLaziness:
    @pytest.fixture
    def counted(self, monkeypatch):
        seen = []

        def decompose(weight, *arguments, **keywords):
            seen.append(weight.shape)
            return original(weight, *arguments, **keywords)

        original = spectral_graph.decompose
        monkeypatch.setattr(spectral_graph, "decompose", decompose)
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

    def test_progress_and_stopping(self, counted):
        svr = SVR({"first": gaussian(4, 5), "second": gaussian(3, 4)})
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
