"""What ``SVR`` takes, and what it refuses by name."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from svr_widget.engine.errors import (
    NoMapsError,
    NonFiniteWeightsError,
    SVRError,
    TraceError,
    UnsupportedLayerError,
    WidthMismatchError,
)
from svr_widget.engine.maps.links import Link
from svr_widget.svr import SVR
from tests.engine.support.gaussian import chain, gaussian


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

    def test_a_state_dict_has_maps_under_its_modules_names(self):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1))
        svr = SVR(model.state_dict())
        assert list(svr.maps) == ["0", "2"]
        assert svr.maps["0"].kind == "convolution"
        assert list(SVR(model.state_dict(), links="chain").links) == [("0", "2")]

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
        assert list(SVR(weights, exclude="as*", links="chain").links) == [("a", "b")]
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
            (
                {"fc.weight_v": torch.eye(2)},
                {},
                UnsupportedLayerError,
                "what a weight is computed from",
            ),
            ([torch.eye(2)] * 2, {"links": [("0", "3")]}, TraceError, "no map is called '3'"),
            ([torch.eye(2)] * 2, {"links": ["0", "1"]}, TraceError, "'0' is no pair"),
            ([torch.eye(2)] * 2, {"links": "chian"}, SVRError, "'chian'; did you mean 'chain'"),
            (nn.Linear(2, 2), {"links": "chain"}, SVRError, "the links of a model are read off it"),
            ([torch.eye(2) * 1j], {}, UnsupportedLayerError, "'0' has .*complex64.* only real"),
            ([torch.eye(2)] * 2, {"links": [("0", "1", 2)]}, TraceError, "is no pair"),
            (nn.Sequential(nn.Linear(2, 2)), {"links": [0]}, TraceError, "links: 0 is no pair"),
            ([torch.eye(2)], {"method": "svd"}, SVRError, "method must be one of .*'svd'; did you"),
            ([torch.eye(2)], {"null": "exakt"}, SVRError, "null must be .*; did you mean 'exact'"),
            ([torch.eye(2)], {"rank": 0}, SVRError, "rank must be an integer of at least 1"),
            ([torch.eye(2)], {"rank": 1.5}, SVRError, "rank must be an integer"),
            ([torch.eye(2)], {"example_inputs": 1}, TypeError, "belong to an nn.Module"),
            ([torch.eye(2)], {"metod": "svr"}, TypeError, "'metod'; did you mean 'method'"),
            ([None], {}, TypeError, "weight '0' is a NoneType"),
            (torch.eye(2), {}, TypeError, "not Tensor"),
            (7, {}, TypeError, "not int"),
        ],
    )
    def test_every_message(self, source, keywords, error, message):
        with pytest.raises(error, match=message):
            SVR(source, **keywords)

    @pytest.mark.skipif(not hasattr(torch, "float4_e2m1fn_x2"), reason="a torch without it")
    def test_a_form_that_torch_does_not_read(self):
        packed = torch.zeros(4, 4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
        with pytest.raises(UnsupportedLayerError, match=r"'0' .*float4.*torch makes no numbers of"):
            SVR([packed])

    def test_of_a_model(self):
        model = Mlp(4, 3, 2)
        with torch.no_grad():
            model.layers[1].weight[0, 0] = torch.inf
        with pytest.raises(NonFiniteWeightsError, match=r"'layers\.1' has 1 NaN or infinite of 6"):
            SVR(model)

    def test_a_layer_of_an_unknown_kind_is_no_map(self):
        class Odd(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc, self.odd, self.head = (
                    nn.Linear(4, 3),
                    nn.Bilinear(3, 3, 2),
                    nn.Linear(2, 2),
                )
                self.other = nn.Linear(3, 2)

            def forward(self, x):
                x = self.fc(x)
                return self.head(self.odd(x, x)) + self.other(x)

        svr = SVR(Odd(), torch.randn(1, 4))
        assert set(svr.maps) == {"fc", "head", "other"}
        assert list(svr.links) == [("fc", "other")]
        assert any("not known here: 'odd.weight'" in note for note in svr.notes)
        assert any("no link fc -> head" in note for note in svr.notes)

    def test_what_is_not_finite_may_be_left_out_with_its_links(self, tmp_path):
        model = Mlp(4, 3, 2)
        with torch.no_grad():
            model.layers[1].weight[0, 0] = torch.inf
        svr = SVR(model, non_finite="leave out")
        assert list(svr.maps) == ["layers.0"]
        assert not svr.links
        assert list(svr.damaged) == ["layers.1"]
        assert any("'layers.1' has 1 NaN or infinite of 6" in note for note in svr.notes)
        svr.save(tmp_path / "graph.safetensors")
        assert SVR.load(tmp_path / "graph.safetensors").damaged == svr.damaged
        with torch.no_grad():
            model.layers[0].weight[0, 0] = torch.nan
        with pytest.raises(NonFiniteWeightsError, match=r"'layers\.0' has 1 NaN"):
            SVR(model, non_finite="leave out")

    @pytest.mark.parametrize("given", ["chain", [("a", "b"), ("b", "c"), ("c", "d")]])
    def test_a_chain_is_not_closed_over_what_is_left_out(self, given):
        weights = {name: gaussian(3, 3) for name in "abcd"}
        weights["b"] = torch.full((3, 3), torch.nan)
        svr = SVR(weights, non_finite="leave out", links=given)
        assert list(svr.maps) == ["a", "c", "d"]
        assert list(svr.links) == [("c", "d")]
        assert list(svr.damaged) == ["b"]
        with pytest.raises(SVRError, match="did you mean 'leave out'"):
            SVR(weights, non_finite="leave")

    def test_two_producers_that_flatten_differently(self):
        weights = [gaussian(4, 3, 3, 3), gaussian(8, 3, 3, 3), gaussian(5, 36), gaussian(5, 32)]
        with pytest.raises(WidthMismatchError, match="'1' 8x3x3x3 has 8"):
            SVR(weights, links=[("0", "2"), ("1", "2")])
        assert SVR(weights, links=[("1", "3")]).maps["3"].kernel == (2, 2)

    def test_names_that_do_not_exist(self):
        svr = SVR(chain(4, 3, 2))
        with pytest.raises(KeyError, match="no map '00'; did you mean '0'"):
            svr["00"]
        with pytest.raises(KeyError, match=r"no link \('1', '0'\); did you mean \('0', '1'\)\?"):
            svr.adjacency(("1", "0"))
        with pytest.raises(KeyError, match=r"no link '0': a link is a pair \(producer, consumer\)"):
            svr.adjacency("0", "1")
        with pytest.raises(SVRError, match="method must be one of"):
            svr.adjacency(("0", "1"), method="svd")

    def test_nothing_is_changed_in_the_model(self):
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Dropout(), nn.Linear(3, 2))
        model[3].eval()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        SVR(model).compute()
        assert all(torch.equal(before[n], tensor) for n, tensor in model.state_dict().items())
        assert [module.training for module in model.modules()] == [True, True, True, True, False]
