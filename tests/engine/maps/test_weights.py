"""Weights that a layer computes: parametrisations, adapters, and what is only seen as it runs."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize
from transformers.pytorch_utils import Conv1D

from svr_widget.engine.errors import SVRError, UnsupportedLayerError
from svr_widget.engine.maps.layer_kinds import parts_of
from svr_widget.engine.maps.linear_map import linear_map
from svr_widget.engine.maps.weights import effective_weight
from svr_widget.engine.model.find_maps import find_parts
from svr_widget.engine.trace import trace
from svr_widget.svr import SVR
from tests.engine.support.oracle import traced_pairs


class Adapted(nn.Module):
    """A layer as the peft library wraps it: the same attributes, the same forward pass."""

    adapter_layer_names = ("lora_A", "lora_B")

    def __init__(self, base_layer, rank=2, names=("default",)):
        super().__init__()
        self.base_layer = base_layer
        self.lora_A, self.lora_B = nn.ModuleDict(), nn.ModuleDict()
        self.lora_dropout, self.scaling = nn.ModuleDict(), {}
        self.active_adapters, self.merged_adapters = list(names), []
        self.disable_adapters, self.lora_variant, self.use_dora = False, {}, {}
        for place, name in enumerate(names):
            if isinstance(base_layer, nn.Conv2d):
                inputs, outputs = base_layer.in_channels, base_layer.out_channels
                size, padding = base_layer.kernel_size, base_layer.padding
                self.lora_A[name] = nn.Conv2d(inputs, rank, size, padding=padding, bias=False)
                self.lora_B[name] = nn.Conv2d(rank, outputs, 1, bias=False)
            else:
                shape = base_layer.weight.shape
                inputs, outputs = shape if isinstance(base_layer, Conv1D) else shape[::-1]
                self.lora_A[name] = nn.Linear(inputs, rank, bias=False)
                self.lora_B[name] = nn.Linear(rank, outputs, bias=place > 0)
            self.lora_dropout[name], self.scaling[name] = nn.Dropout(0.5), 0.5 + place

    def forward(self, x):
        y = self.base_layer(x)
        if not (self.merged_adapters or self.disable_adapters):
            for name in self.active_adapters:
                if name in self.lora_A:
                    dropped = self.lora_dropout[name](x)
                    y = y + self.lora_B[name](self.lora_A[name](dropped)) * self.scaling[name]
        return y


def adapted_network(**options):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 5), nn.ReLU(), Adapted(nn.Linear(5, 5), **options), nn.ReLU(), nn.Linear(5, 3)
    )


def matrix_of(layer, inputs):
    """The matrix of a layer, by what it does to unit vectors."""
    layer = copy.deepcopy(layer).eval().double()
    bias = layer(torch.zeros(1, inputs).double())
    return (layer(torch.eye(inputs).double()) - bias).T.detach().float()


class TestAdapters:
    @pytest.mark.parametrize("names", [("default",), ("one", "two")])
    def test_the_weight_is_what_the_layer_does(self, names):
        model = adapted_network(names=names)
        svr = SVR(model)
        assert list(svr.links) == [("0", "2"), ("2", "4")]
        assert not svr.notes[1:]
        torch.testing.assert_close(svr.maps["2"].weight, matrix_of(model[2], 5))
        assert not torch.allclose(svr.maps["2"].weight, model[2].base_layer.weight, atol=1e-2)

    def test_links_are_those_of_the_merged_network(self):
        model = adapted_network()
        merged = copy.deepcopy(model)
        merged[2] = merged[2].base_layer
        found, wanted = (trace(net, find_parts(net).parts) for net in (model, merged))
        assert traced_pairs(found) == traced_pairs(wanted)

    def test_convolutions_and_transposed_matrices(self):
        torch.manual_seed(0)
        layer = Adapted(nn.Conv2d(3, 6, 3, padding=1))
        svr, x = SVR(nn.Sequential(layer)), torch.randn(2, 3, 5, 5)
        y = functional.conv2d(x, svr.maps["0"].weight, layer.base_layer.bias, padding=1)
        torch.testing.assert_close(y, layer.eval()(x), rtol=1e-4, atol=1e-5)
        read = svr.spectral_activations(x)["0"]
        found = torch.einsum("om,m,bm...->bo...", svr["0"].U, svr["0"].S.float(), read)
        found = found + layer.base_layer.bias[:, None, None]
        torch.testing.assert_close(found, layer(x), rtol=1e-4, atol=1e-5)
        layer = Adapted(Conv1D(4, 4))
        svr = SVR(nn.Sequential(layer))
        torch.testing.assert_close(svr.maps["0"].weight, matrix_of(layer, 4))

    def test_what_does_not_take_part_does_not_count(self):
        for change in (
            lambda layer: setattr(layer, "disable_adapters", True),
            lambda layer: setattr(layer, "merged_adapters", ["default"]),
            lambda layer: setattr(layer, "active_adapters", ["another"]),
        ):
            model = adapted_network()
            change(model[2])
            weight = SVR(model).maps["2"].weight
            assert torch.equal(weight, model[2].base_layer.weight)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda layer: layer.use_dora.update(default=True), r"more than add.*\(use_dora\)"),
            (lambda layer: layer.lora_variant.update(default=object()), r"\(lora_variant\)"),
            (lambda layer: layer.scaling.clear(), "'default', which is no low-rank update"),
            (
                lambda layer: layer.__dict__.update(merged_adapters=["a"], disable_adapters=True),
                "would unmerge its adapter when it runs",
            ),
            (lambda layer: setattr(layer, "base_layer", nn.Bilinear(5, 5, 5)), "map is not known"),
            (lambda layer: setattr(layer, "base_layer", nn.LSTM(5, 5)), "map is not known"),
        ],
    )
    def test_others_are_refused_by_name(self, change, words):
        model = adapted_network()
        change(model[2])
        with pytest.raises(UnsupportedLayerError, match=rf"'2' \(Adapted\).*{words}.*exclude='2'"):
            find_parts(model)
        assert list(find_parts(model, exclude="2").parts) == ["0", "4"]

    def test_other_adapters_are_refused_by_name(self):
        class Scaling(nn.Module):
            adapter_layer_names = ("ia3_l",)

            def __init__(self):
                super().__init__()
                self.base_layer = nn.Linear(3, 3)
                self.ia3_l = nn.ParameterDict({"default": torch.ones(1, 3)})
                self.active_adapters = ["default"]

        with pytest.raises(UnsupportedLayerError, match=r"'0' .*'default', which is no low-rank"):
            find_parts(nn.Sequential(Scaling()))


class Masked(nn.Module):
    """A parametrisation of the user's own."""

    def __init__(self, shape):
        super().__init__()
        self.register_buffer("mask", (torch.rand(shape) > 0.5).float())

    def forward(self, weight):
        return weight * self.mask


class TestParametrisations:
    @pytest.mark.parametrize("wrap", ["weight_norm", "spectral_norm", "orthogonal", "own"])
    def test_of_matrices_and_convolutions(self, wrap):
        torch.manual_seed(0)

        def parametrised(layer):
            if wrap == "own":
                mask = Masked(layer.weight.shape)
                return parametrize.register_parametrization(layer, "weight", mask)
            return getattr(parametrizations, wrap)(layer)

        model = nn.Sequential(
            parametrised(nn.Conv2d(3, 4, 3)), nn.ReLU(), nn.Flatten(),
            parametrised(nn.Linear(36, 36)), nn.ReLU(), nn.Linear(36, 2),
        ).train()  # fmt: skip
        before = {name: value.clone() for name, value in model.state_dict().items()}
        svr = SVR(model, torch.randn(2, 3, 5, 5))
        assert list(svr.links) == [("0", "3"), ("3", "5")]
        assert not svr.notes
        after = model.state_dict()
        assert all(torch.equal(before[name], after[name]) for name in before)
        model.eval()
        torch.testing.assert_close(svr.maps["0"].weight, model[0].weight.detach())
        torch.testing.assert_close(svr.maps["3"].weight.flatten(1), model[3].weight.detach())

    def test_of_a_packed_weight(self):
        torch.manual_seed(0)
        attention = nn.MultiheadAttention(4, 2, batch_first=True)
        mask = Masked((12, 4))
        parametrize.register_parametrization(attention, "in_proj_weight", mask)
        model = Encoded(attention)
        svr = SVR(model, torch.randn(1, 3, 4), attention="plain")
        assert ("attention.in_proj[v]", "attention.out_proj") in svr.links
        assert torch.equal(
            svr.maps["attention.in_proj[k]"].weight, attention.in_proj_weight[4:8].detach()
        )


@pytest.mark.parametrize("order", [1.0, 2.0, float("inf")])
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_rows_that_an_embedding_bounds(kind, order):
    torch.manual_seed(0)
    model = nn.Sequential(kind(9, 4, max_norm=1.5, norm_type=order))
    weight = SVR(model, torch.arange(9).reshape(-1, 1)).maps["0"].weight
    assert not torch.equal(weight.T, model[0].weight)
    with torch.no_grad():
        wanted = model(torch.arange(9).reshape(-1, 1))  # writes to the model's weight
    torch.testing.assert_close(weight.T, wanted.reshape(9, 4))


class Encoded(nn.Module):
    def __init__(self, attention):
        super().__init__()
        self.attention = attention

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Standardised(nn.Conv2d):
    """A convolution that standardises its weight each time (Qiao et al., 2019)."""

    def forward(self, x):
        weight = self.weight
        mean = weight.mean((1, 2, 3), keepdim=True)
        weight = (weight - mean) / weight.std((1, 2, 3), keepdim=True)
        return functional.conv2d(x, weight, self.bias)


class TestComputedAsItRuns:
    def test_a_standardised_convolution(self):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), Standardised(4, 6, 3))
        svr = SVR(model, torch.randn(1, 3, 5, 5))
        assert list(svr.links) == [("0", "2")]
        weight, x = svr.maps["2"].weight, torch.randn(2, 4, 5, 5)
        torch.testing.assert_close(functional.conv2d(x, weight, model[2].bias), model[2](x))
        assert svr.notes == ("map '2' is what '2' computes from its weight as it runs",)

    @pytest.mark.parametrize("transposed", [False, True])
    def test_a_scaled_matrix(self, transposed):
        class Scaled(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 4)
                self.register_buffer("scale", torch.rand(4, 1))

            def forward(self, x):
                weight = self.b.weight * self.scale
                x = self.a(x)
                return x @ weight.T if transposed else functional.linear(x, weight)

        model = Scaled()
        svr = SVR(model)
        assert list(svr.links) == [("a", "b")]
        torch.testing.assert_close(svr.maps["b"].weight, model.b.weight.detach() * model.scale)

    def test_a_weight_of_two_maps_is_refused(self):
        class Sum(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b, self.c = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 2)

            def forward(self, x):
                return functional.linear(self.a(x), self.b.weight + self.c.weight)

        with pytest.raises(ValueError, match="weight is computed from several: map 'b', map 'c'"):
            SVR(Sum())


def written_while_read(times: int):
    layer = nn.Linear(4, 3)
    [part] = parts_of(layer, "layer")
    read = []

    def reader(name, module, parameter):
        weight = effective_weight(name, module, parameter)
        before = weight.detach().clone()
        read.append(1)
        if len(read) <= times:
            with torch.no_grad():
                weight.mul_(2)  # as a training step of another thread would
        return before

    return layer, replace(part, reader=reader), read


def test_a_weight_that_changed_while_it_was_read_is_read_again():
    layer, part, read = written_while_read(times=2)
    linear = linear_map(part)
    assert len(read) == 3
    assert torch.equal(linear.weight, layer.weight)


def test_a_weight_that_changes_all_the_time_is_refused_by_name():
    _, part, _ = written_while_read(times=1000)
    with pytest.raises(SVRError, match=r"'layer' was written to .*SVRRecorder"):
        linear_map(part)
