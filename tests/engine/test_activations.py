"""Spectral activations against what the layer itself gives: ``layer(x) - b = U diag(S) Y``."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.utils import parametrizations
from torch.utils.data import DataLoader, TensorDataset
from transformers.pytorch_utils import Conv1D

from svr_widget.engine import SVR
from svr_widget.engine.errors import SVRError
from tests.engine.zoo import attention, convolutional, language


@pytest.fixture(autouse=True)
def _same_random_numbers():
    torch.manual_seed(0)


def run(model, name, *args, **kwargs):
    """What a layer reads and what it writes without its bias, channels second."""
    layer, seen = model.get_submodule(name), []
    handle = layer.register_forward_hook(lambda _, x, y: seen.append((x[0].clone(), y)))
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        model(*args, **kwargs)
    handle.remove()
    for module, mode in modes:
        module.training = mode
    (x, y), *_ = seen
    if isinstance(layer, _ConvNd):
        bias = 0 if layer.bias is None else layer.bias.detach()[:, *[None] * len(layer.kernel_size)]
        return x, y - bias
    bias = getattr(layer, "bias", None)
    y = y if bias is None else y - bias.detach()
    return x, y.movedim(-1, 1)


def whole(vectors, neurons):
    """The columns of a grouped map's ``U`` or ``V`` among the channels of all groups."""
    inside, count = vectors.shape[0], len(neurons)
    dense = torch.zeros(neurons.group_count, inside, *vectors.shape[1:], dtype=torch.float64)
    for m in range(count):
        dense[neurons.groups[m], ..., m] = vectors[..., m].double()
    return dense.flatten(0, 1)


def assert_identity(svr, name, y, written):
    """``U diag(S) Y`` is what the layer writes."""
    neurons = svr.decomposition(name, "svr")
    scaled = torch.einsum("m,bm...->bm...", neurons.S, y.double())
    found = torch.einsum("om,bm...->bo...", whole(neurons.U, neurons), scaled)
    torch.testing.assert_close(found, written.double(), rtol=1e-4, atol=1e-5)


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
    handle = model.register_forward_hook(lambda *_: calls.append(1))
    found = svr.spectral_activations(inputs)
    assert len(calls) == 1
    handle.remove()
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


class Two(nn.Module):
    """Two inputs and an option."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(2, 4)

    def forward(self, x, z, scale=1.0):
        return self.a(x) * scale + self.b(input=z)


class TestInputs:
    def test_a_loader_streams_batch_by_batch(self):
        model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(48, 2))
        images, labels = torch.randn(7, 1, 6, 6), torch.arange(7)
        svr = SVR(model, images)
        batches = svr.spectral_activations(
            DataLoader(TensorDataset(images, labels), batch_size=3), neurons=slice(2)
        )
        first = next(batches)
        assert {name: tuple(y.shape) for name, y in first.items()} == {
            "0": (3, 2, 4, 4),
            "2": (3, 2),
        }
        assert not model[0]._forward_pre_hooks  # nothing stays on the model in between
        rest = [first, *batches]
        whole = svr.spectral_activations(images, neurons=slice(2))
        for name, y in whole.items():
            torch.testing.assert_close(torch.cat([found[name] for found in rest]), y)

    def test_how_a_batch_becomes_a_call(self):
        svr = SVR(Two(), (torch.randn(2, 3), torch.randn(2, 2)))
        x, z = torch.randn(5, 3), torch.randn(5, 2)
        wanted = svr.spectral_activations((x, z))
        torch.testing.assert_close(wanted["b"], z @ svr["b"].V)
        (labelled,) = svr.spectral_activations([(x, z, torch.arange(5))])
        (mapped,) = svr.spectral_activations([{"z": z, "x": x}])
        for found in (
            labelled,
            mapped,
            svr.spectral_activations({"x": x, "z": z}),
            svr.spectral_activations((x.numpy(), z.numpy())),
        ):
            torch.testing.assert_close(found, wanted)

    def test_precision(self):
        x = torch.randn(3, 4, dtype=torch.float64)
        for dtype, kept in (
            (torch.float64, torch.float64),
            (torch.float32, torch.float32),
            (torch.bfloat16, torch.float32),
        ):
            svr = SVR(nn.Sequential(nn.Linear(4, 4)).to(dtype))
            with torch.autocast("cpu", dtype=torch.bfloat16):
                y = svr.spectral_activations(x)["0"]
            assert y.dtype == kept
            wanted = x.to(dtype).double() @ svr["0"].V.double()
            torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            (TensorDataset(torch.randn(3, 4)), "TensorDataset gives single samples.*DataLoader"),
            ("images", "not str"),
            (None, "not NoneType"),
            (3, "not int"),
        ],
    )
    def test_other_inputs_are_refused(self, inputs, message):
        with pytest.raises(TypeError, match=message):
            SVR(nn.Sequential(nn.Linear(4, 4))).spectral_activations(inputs)


class TestCalls:
    def test_what_is_read_is_what_stood_there_when_it_was_read(self):
        class Late(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Linear(4, 4)

            def forward(self, x):
                y = self.inner(x)
                x.zero_()
                return y

        inputs = torch.randn(3, 4)
        given, svr = inputs.clone(), SVR(Late())
        y = svr.spectral_activations(given)["inner"]
        torch.testing.assert_close(y, inputs @ svr["inner"].V)

    def test_each_call_of_a_map_has_its_name(self):
        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.a = nn.Linear(4, 4)

            def forward(self, x):
                return self.a(self.a(x).relu())

        model, inputs = Twice(), torch.randn(3, 4)
        svr = SVR(model)
        found = svr.spectral_activations(inputs)
        assert list(found) == ["a", "a (call 2)"]
        read = model.a(inputs).relu().detach()
        torch.testing.assert_close(found["a (call 2)"], read @ svr["a"].V)

    def test_the_size_asked_of_a_transposed_convolution(self):
        class Up(nn.Module):
            def __init__(self):
                super().__init__()
                self.up = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)

            def forward(self, x):
                return self.up(x, output_size=(8, 7))

        model, inputs = Up(), torch.randn(2, 2, 4, 4)
        svr = SVR(model, inputs)
        y = svr.spectral_activations(inputs)["up"]
        assert y.shape == (2, 3, 8, 7)
        assert_identity(svr, "up", y, run(model, "up", inputs)[1])

    def test_weights_of_parametrisations(self):
        model = nn.Sequential(parametrizations.weight_norm(nn.Conv1d(2, 3, 3)))
        with torch.no_grad():
            model[0].parametrizations.weight.original0.mul_(3)
        inputs = torch.randn(2, 2, 8)
        svr = SVR(model, inputs)
        y = svr.spectral_activations(inputs)["0"]
        assert_identity(svr, "0", y, run(model, "0", inputs)[1])

    def test_maps_that_are_not_called(self):
        class Uncalled(nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = nn.Linear(4, 3), nn.Linear(3, 2)

            def forward(self, x):
                return functional.linear(self.a(x), self.b.weight)

        svr, inputs = SVR(Uncalled()), torch.randn(2, 4)
        with pytest.warns(UserWarning, match=r"^left out: 'b': its module is not called"):
            assert list(svr.spectral_activations(inputs)) == ["a"]
        with pytest.raises(SVRError, match=r"is not known: 'b': its module is not called"):
            svr.spectral_activations(inputs, "b")


class Moody(nn.Module):
    """Changes with every forward pass, in training above all."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(9, 4, max_norm=0.5)
        self.norm = nn.BatchNorm1d(4)
        self.out = nn.Linear(4, 2)
        self.register_buffer("passes", torch.zeros(()))
        self.seen = None

    def forward(self, tokens, fail=False):
        self.passes += 1
        x = self.norm(self.words(tokens)) + torch.rand(4)
        self.seen = x
        if fail:
            raise RuntimeError("in the middle")
        return self.out(x)


@pytest.mark.parametrize("fail", [False, True])
def test_the_model_comes_back_untouched(fail):
    model, tokens = Moody(), torch.arange(5)
    model.train()
    model.norm.eval()
    model.out.register_forward_pre_hook(lambda *_: None)
    svr = SVR(model, tokens)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.out.weight.grad = torch.ones(2, 4)
    state = torch.random.get_rng_state()
    if fail:
        with pytest.raises(RuntimeError, match="in the middle"):
            svr.spectral_activations((tokens, True))
    else:
        svr.spectral_activations(tokens)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (model.training, model.norm.training, model.out.training) == (True, False, True)
    assert [len(m._forward_pre_hooks) for m in (model.words, model.norm, model.out)] == [0, 0, 1]
    assert model.seen is None
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(model.out.weight.grad, torch.ones(2, 4))
    assert torch.is_grad_enabled()
