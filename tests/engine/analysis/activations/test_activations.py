"""Spectral activations against what the layer itself gives: ``layer(x) - b = U diag(S) Y``."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvTransposeNd
from transformers.pytorch_utils import Conv1D

from svr_widget.engine.errors import SVRError
from svr_widget.svr import SVR
from tests.engine.support.layer_identity import assert_identity, run, whole
from tests.engine.support.zoo import attention, convolutional, language


def assert_dual_identity(svr, name, y, read, written):
    """``Y`` is ``V^T x`` at every position, and the layer with filters ``U diag(S)`` turns it
    into what the layer writes."""
    neurons, layer = svr.decomposition(name, "cosvr"), svr.model.get_submodule(name)
    V = whole(neurons.V, neurons)
    wanted = torch.einsum("cm,bc...->bm...", V, read.double())
    torch.testing.assert_close(y.double(), wanted, rtol=1e-4, atol=1e-5)
    second = copy.deepcopy(layer).double()
    filters = (whole(neurons.U, neurons) * neurons.S).movedim(-1, 1)
    if isinstance(layer, _ConvTransposeNd):
        filters = filters.transpose(0, 1)
    second.groups, second.bias, second.weight = 1, None, nn.Parameter(filters)
    found = second(y.double()).detach()
    torch.testing.assert_close(found, written.double(), rtol=1e-4, atol=1e-5)


CONVOLUTIONS = [
    nn.Conv1d(4, 6, 3, stride=2, padding=1),
    nn.Conv1d(4, 6, 4, padding="same", dilation=2),
    nn.Conv1d(4, 6, 3, padding=2, padding_mode="circular"),
    nn.Conv2d(4, 6, 3, padding=1, bias=False),
    nn.Conv2d(4, 6, (3, 1), stride=(1, 2), padding=(2, 0), dilation=(2, 1)),
    nn.Conv2d(4, 6, 2, padding="same"),
    nn.Conv2d(4, 6, 3, padding="valid"),
    nn.Conv2d(4, 6, 3, padding=(2, 1), padding_mode="reflect"),
    nn.Conv2d(4, 6, 3, padding="same", padding_mode="replicate"),
    nn.Conv2d(4, 6, 3, padding=1, groups=2),
    nn.Conv2d(4, 4, 3, padding=1, groups=4),
    nn.Conv2d(4, 12, 3, stride=2, groups=4),
    nn.Conv2d(4, 6, 1),
    nn.Conv3d(4, 6, (2, 3, 1), stride=(1, 2, 1), padding=1),
    nn.Conv3d(4, 6, 2, groups=2),
    nn.ConvTranspose1d(4, 6, 3, stride=2),
    nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1),
    nn.ConvTranspose2d(4, 6, (2, 3), dilation=2, groups=2, bias=False),
    nn.ConvTranspose2d(4, 4, 2, stride=2, groups=4),
    nn.ConvTranspose3d(4, 6, 2, stride=(1, 2, 1)),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=str)
class TestConvolutions:
    @pytest.fixture
    def model(self, layer):
        return nn.Sequential(nn.ReLU(), layer)

    @pytest.fixture
    def inputs(self, layer):
        return torch.randn(2, 4, *(7, 6, 5)[: len(layer.kernel_size)])

    def test_svr(self, model, inputs):
        svr = SVR(model, inputs)
        y = svr.spectral_activations(inputs)["1"]
        _, written = run(model, "1", inputs)
        assert y.shape == (2, len(svr["1"]), *written.shape[2:])
        assert_identity(svr, "1", y, written)

    def test_cosvr(self, model, inputs):
        svr = SVR(model, inputs, method="cosvr")
        y = svr.spectral_activations(inputs)["1"]
        read, written = run(model, "1", inputs)
        assert y.shape == (2, len(svr["1"]), *read.shape[2:])
        assert_dual_identity(svr, "1", y, read, written)

    def test_chosen_neurons(self, model, inputs):
        svr = SVR(model, inputs)
        every = svr.spectral_activations(inputs)["1"]
        for chosen in ([0], [3, 0, -1], [2, 2], [-1]):
            y = svr.spectral_activations(inputs, neurons=chosen)["1"]
            torch.testing.assert_close(y, every[:, chosen])


class TestMatrices:
    def test_a_linear_at_each_position(self):
        model, inputs = nn.Sequential(nn.Tanh(), nn.Linear(5, 8)), torch.randn(2, 4, 3, 5)
        svr = SVR(model, inputs)
        y = svr.spectral_activations(inputs)["1"]
        assert y.shape == (2, 5, 4, 3)
        assert_identity(svr, "1", y, run(model, "1", inputs)[1])
        dual = svr.spectral_activations(inputs, method="cosvr")["1"]
        torch.testing.assert_close(dual, y)

    def test_transformers_conv1d(self):
        model, inputs = nn.Sequential(nn.Tanh(), Conv1D(7, 5)), torch.randn(2, 3, 5)
        svr = SVR(model, inputs)
        y = svr.spectral_activations(inputs)["1"]
        assert y.shape == (2, 5, 3)
        assert_identity(svr, "1", y, run(model, "1", inputs)[1])

    @pytest.mark.parametrize("channels_last", [False, True])
    def test_flattened_channels_and_positions(self, channels_last):
        class Flattening(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(2, 3, 3)
                self.fc = nn.Linear(3 * 4 * 5, 7)

            def forward(self, x):
                x = self.conv(x).relu()
                return self.fc((x.permute(0, 2, 3, 1) if channels_last else x).flatten(1))

        model, inputs = Flattening(), torch.randn(6, 2, 6, 7)
        svr = SVR(model, inputs)
        assert svr.maps["fc"].kernel == (4, 5)
        y = svr.spectral_activations(inputs, "fc")["fc"]
        assert y.shape == (6, 7)
        _, written = run(model, "fc", inputs)
        assert_identity(svr, "fc", y, written)
        # By the co-SVR an image a neuron: V combines channels, U reads positions.
        dual = svr.spectral_activations(inputs, "fc", method="cosvr")["fc"]
        neurons = svr.decomposition("fc", "cosvr")
        assert dual.shape == (6, len(neurons), 4, 5)
        features = model.conv(inputs).relu().detach()
        torch.testing.assert_close(dual, torch.einsum("cm,bcij->bmij", neurons.V, features))
        found = torch.einsum("oijm,m,bmij->bo", neurons.U.double(), neurons.S, dual.double())
        torch.testing.assert_close(found, written.double(), rtol=1e-4, atol=1e-5)

    def test_unflattened_output(self):
        class Decoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(6, 3 * 4 * 5)
                self.conv = nn.Conv2d(3, 2, 3)

            def forward(self, x):
                return self.conv(self.fc(x).view(-1, 3, 4, 5).relu())

        model, inputs = Decoder(), torch.randn(2, 6)
        svr = SVR(model, inputs)
        assert svr.maps["fc"].kind == "transposed convolution"
        _, written = run(model, "fc", inputs)
        y = svr.spectral_activations(inputs, "fc")["fc"]
        assert y.shape == (2, 3, 4, 5)
        assert_identity(svr, "fc", y, written.view(2, 3, 4, 5))
        dual = svr.spectral_activations(inputs, "fc", method="cosvr")["fc"]
        neurons = svr.decomposition("fc", "cosvr")
        assert dual.shape == (2, len(neurons))
        found = torch.einsum("cijm,m,bm->bcij", neurons.U.double(), neurons.S, dual.double())
        wanted = written.view(2, 3, 4, 5).double()
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)

    def test_tokens_stand_for_one_hot_vectors_and_a_tied_head_reads_features(self):
        model, inputs = language.gpt2()
        svr = SVR(model, inputs, attention="plain")
        assert svr.maps["lm_head"].tied_to == "transformer.wte"
        found = svr.spectral_activations(inputs)
        one_hot = functional.one_hot(inputs["input_ids"], 12).float()
        wanted = torch.einsum("vm,btv->bmt", svr["transformer.wte"].V, one_hot)
        torch.testing.assert_close(found["transformer.wte"], wanted)
        for name in svr.maps:
            assert_identity(svr, name, found[name], run(model, name, **inputs)[1])

    @pytest.mark.parametrize("build", [language.bert, language.llama])
    def test_language_models(self, build):
        model, inputs = build()
        svr = SVR(model, inputs, attention="plain")
        found = svr.spectral_activations(inputs)
        assert list(found) == list(svr.maps)
        for name in svr.maps:
            assert_identity(svr, name, found[name], run(model, name, **inputs)[1])


@pytest.mark.parametrize(
    ("model", "size"),
    [
        (convolutional.resnet(bottleneck=True), (3, 16, 16)),
        (convolutional.MobileNet(version=3), (3, 8, 8)),
        (convolutional.ShuffleNet(), (3, 8, 8)),
        (convolutional.UNet(), (1, 8, 8)),
        (convolutional.ConvNeXt(), (3, 16, 16)),
        (attention.ViT(), (3, 8, 8)),
    ],
    ids=["ResNet", "MobileNet", "ShuffleNet", "UNet", "ConvNeXt", "ViT"],
)
def test_every_map_of_a_network_in_one_pass(model, size):
    inputs = torch.randn(2, *size)
    aside = "positions" if isinstance(model, attention.ViT) else None
    svr = SVR(model, inputs, exclude=aside, attention="plain")
    calls = []
    kind, forward = type(model), type(model).forward
    counting = {"forward": lambda *x: (calls.append(1), forward(*x))[1]}
    model.__class__ = type("Counting", (kind,), counting)
    found = svr.spectral_activations(inputs)
    assert len(calls) == 1
    model.__class__ = kind
    for name in svr.maps:
        assert_identity(svr, name, found[name], run(model, name, inputs)[1])


class TestNeuronsAndMaps:
    @pytest.fixture
    def svr(self):
        torch.manual_seed(0)
        return SVR(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)))

    @pytest.fixture
    def inputs(self):
        return torch.randn(4, 6)

    def test_each_way_to_choose(self, svr, inputs):
        every = svr.spectral_activations(inputs)
        assert {name: y.shape[1] for name, y in every.items()} == {"0": 5, "2": 3}
        for chosen, first, second in (
            (1, [1], [1]),
            (slice(4), [0, 1, 2, 3], [0, 1, 2]),
            (range(3), [0, 1, 2], [0, 1, 2]),
            (torch.tensor([2, 0]), [2, 0], [2, 0]),
            ({"0": [4, -5], "2": -1}, [4, 0], [2]),
        ):
            found = svr.spectral_activations(inputs, neurons=chosen)
            torch.testing.assert_close(found["0"], every["0"][:, first])
            torch.testing.assert_close(found["2"], every["2"][:, second])

    def test_maps_by_name_or_by_their_neurons(self, svr, inputs):
        every = svr.spectral_activations(inputs)
        assert list(svr.spectral_activations(inputs, "2")) == ["2"]
        assert list(svr.spectral_activations(inputs, ["2", "0"])) == ["0", "2"]
        assert list(svr.spectral_activations(inputs, neurons={"2": 0})) == ["2"]
        found = svr.spectral_activations(inputs, ["0", "2"], {"2": 0})
        torch.testing.assert_close(found["0"], every["0"])
        assert found["2"].shape == (4, 1)

    def test_a_truncated_svr_has_the_neurons_that_it_keeps(self, inputs):
        svr = SVR(nn.Sequential(nn.Linear(6, 5)), rank=2)
        assert svr.spectral_activations(inputs)["0"].shape == (4, 2)
        with pytest.raises(SVRError, match=r"'0' has 2 neurons, 0 to 1"):
            svr.spectral_activations(inputs, neurons=2)

    @pytest.mark.parametrize(
        ("keywords", "message"),
        [
            ({"maps": "22"}, r"no map '22'; did you mean '2'"),
            ({"neurons": {"1": 0}}, r"no map '1'"),
            ({"neurons": [0, 3]}, r"map '2' has 3 neurons, 0 to 2, .*slice\(n\)"),
            ({"neurons": -4}, r"map '2' has 3 neurons"),
            ({"neurons": []}, r"no neuron of map '0' is chosen"),
            ({"method": "cross"}, r"method must be one of 'svr', 'cosvr'"),
        ],
    )
    def test_bad_choices_are_named_before_anything_runs(self, svr, keywords, message):
        with pytest.raises(SVRError, match=message):
            svr.spectral_activations(iter(()), **keywords)

    def test_bare_weights_have_nothing_to_run(self):
        svr = SVR([torch.randn(3, 4)])
        with pytest.raises(SVRError, match=r"bare weights cannot be run.*nn\.Module"):
            svr.spectral_activations(torch.randn(2, 4))
