"""Quantised weights: dequantised where PyTorch hands them out, refused by name elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.ao.nn import quantized
from torch.ao.quantization import (
    DeQuantStub,
    QuantStub,
    convert,
    fuse_modules,
    get_default_qconfig,
    prepare,
    quantize_dynamic,
)
from torch.nn import functional

from svr_widget.engine.errors import UnsupportedLayerError
from svr_widget.engine.maps.layer_kinds import parts_of
from svr_widget.engine.maps.linear_map import linear_map
from svr_widget.engine.model.find_maps import find_parts
from svr_widget.engine.trace import trace
from svr_widget.svr import SVR
from tests.engine.support.oracle import traced_pairs
from tests.engine.support.zoo import maps_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch.ao"),
    pytest.mark.filterwarnings("ignore:.*are deprecated and will be removed:UserWarning"),
]


def numbers(codes):
    """What the codes of a quantised tensor stand for, by its scales and zero points."""
    whole = codes.int_repr().double()
    if codes.qscheme() == torch.per_tensor_affine:
        return (whole - codes.q_zero_point()) * codes.q_scale()
    shape = [-1 if dim == codes.q_per_channel_axis() else 1 for dim in range(codes.ndim)]
    zeros = codes.q_per_channel_zero_points().view(shape)
    return (whole - zeros) * codes.q_per_channel_scales().view(shape)


def coded(*shape, axis=None):
    weight = torch.randn(shape)
    if axis is None:
        return torch.quantize_per_tensor(weight, 0.03, 2, torch.qint8)
    scales = torch.rand(shape[axis], dtype=torch.double) / 20 + 0.01
    zeros = torch.zeros(shape[axis], dtype=torch.long)
    return torch.quantize_per_channel(weight, scales, zeros, axis, torch.qint8)


@pytest.mark.parametrize("axis", [None, 0])
@pytest.mark.parametrize(
    ("layer", "shape", "kind"),
    [
        (lambda: quantized.Linear(4, 3), (3, 4), "linear"),
        (lambda: quantized.dynamic.Linear(4, 3), (3, 4), "linear"),
        (lambda: quantized.Conv1d(4, 6, 3), (6, 4, 3), "convolution"),
        (lambda: quantized.Conv2d(4, 6, 3, groups=2), (6, 2, 3, 3), "convolution"),
        (lambda: quantized.Conv3d(4, 6, 2), (6, 4, 2, 2, 2), "convolution"),
    ],
)
def test_packed_weights(layer, shape, kind, axis):
    layer = layer()
    codes = coded(*shape, axis=axis)
    layer.set_weight_bias(codes, None)
    (part,) = parts_of(layer, "q")
    linear = linear_map(part)
    assert (linear.kind, linear.groups) == (kind, getattr(layer, "groups", 1))
    torch.testing.assert_close(linear.weight.double(), numbers(codes), rtol=1e-6, atol=1e-7)


def test_a_packed_transposed_convolution():
    layer = quantized.ConvTranspose2d(4, 6, 3, groups=2)
    codes = coded(4, 3, 3, 3)
    layer.set_weight_bias(codes, None)
    (part,) = parts_of(layer, "q")
    plain = nn.ConvTranspose2d(4, 6, 3, groups=2)
    plain.weight = nn.Parameter(numbers(codes).float())
    torch.testing.assert_close(linear_map(part).weight, linear_map(*parts_of(plain)).weight)


def test_bare_quantised_weights():
    weights = {"a": coded(4, 3), "b": coded(2, 4, axis=0)}
    svr = SVR(weights)
    for name, codes in weights.items():
        found = svr.maps[name].weight.double()
        torch.testing.assert_close(found, numbers(codes), rtol=1e-6, atol=1e-7)


def test_a_network_quantised_dynamically_has_the_links_of_the_plain_one():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 2))
    model = quantize_dynamic(plain, {nn.Linear})
    svr = SVR(model)
    assert list(svr.links) == [("0", "2"), ("2", "4")]
    assert svr.links["0", "2"].through == ("relu",)
    assert traced_pairs(trace(model, maps_of(model))) == traced_pairs(trace(plain, maps_of(plain)))
    torch.testing.assert_close(svr.maps["2"].weight, plain[2].weight.detach(), rtol=0, atol=0.01)
    inputs = torch.randn(2, 4)
    y = svr.spectral_activations(inputs)["0"]
    torch.testing.assert_close(y, inputs @ svr["0"].V)


def passed(found):
    return {
        (link.producer, link.consumer, *link.consumer_channels.tolist()): set(link.through)
        for link in found.links
    }


class Branching(nn.Module):
    """Everything that PyTorch's static quantisation replaces."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave = QuantStub(), DeQuantStub()
        self.stem, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU()
        self.grouped, self.one = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(8 * 4, 3)
        self.arithmetic = torch.ao.nn.quantized.FloatFunctional()

    def forward(self, image):
        x = functional.max_pool2d(self.relu(self.stem(self.enter(image))), 2)
        y = self.arithmetic.add_relu(self.grouped(x), x)
        y = self.arithmetic.cat([y, self.arithmetic.mul(self.one(x), x)], 1)
        return self.leave(self.head(functional.adaptive_avg_pool2d(y, 2).flatten(1)))


def test_a_network_quantised_statically_has_the_links_of_the_plain_one():
    torch.manual_seed(0)
    plain, inputs = Branching().eval(), torch.randn(2, 3, 10, 10)
    fused = fuse_modules(plain, [["stem", "relu"]])
    fused.qconfig = get_default_qconfig(torch.backends.quantized.engine)
    prepared = prepare(fused)
    prepared(inputs)
    model = convert(prepared)
    found, wanted = (trace(net, maps_of(net), inputs) for net in (model, plain))
    assert traced_pairs(found) == traced_pairs(wanted)
    assert passed(found) == passed(wanted)
    assert found.input_layouts["head"].kernel == (2, 2)
    svr = SVR(model, inputs)
    assert svr.maps["grouped"].groups == 2
    assert_what_is_read_is_filtered(svr, inputs)


def assert_what_is_read_is_filtered(svr, inputs):
    """``U diag(S) Y`` is the layer in floating point on what its codes stand for."""
    read = {}
    for name in ("stem", "one", "head"):
        module = svr.model.get_submodule(name)
        module.register_forward_pre_hook(
            lambda _, args, name=name: read.update({name: numbers(args[0]).float()})
        )
    found = svr.spectral_activations(inputs)
    for name, x in read.items():
        module, neurons, linear = svr.model.get_submodule(name), svr[name], svr.maps[name]
        if name == "head":
            weight = torch.empty(3, 32).scatter_(
                1, linear.input_layout.index.flatten().expand(3, -1), linear.weight.flatten(1)
            )
            wanted = functional.linear(x, weight)
        else:
            wanted = functional.conv2d(x, linear.weight, None, module.stride, module.padding)
        y = torch.einsum("om,m,bm...->bo...", neurons.U.double(), neurons.S, found[name].double())
        torch.testing.assert_close(y.float(), wanted, rtol=1e-4, atol=1e-5)


def test_a_packed_layer_left_out_is_named():
    plain = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 5), nn.Linear(5, 2))
    svr = SVR(quantize_dynamic(plain, {nn.Linear}), exclude="1")
    assert not svr.links
    assert any("0 -> 2: linear_dynamic with a packed weight" in note for note in svr.notes)


class Codes(nn.Module):
    """As libraries for 4-bit weights keep them: codes in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("qweight", torch.zeros(2, 8, dtype=torch.int32))
        self.register_buffer("scales", torch.ones(1, 8))


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (lambda: quantize_dynamic(nn.Sequential(nn.LSTM(4, 3)), {nn.LSTM})[0], r"into 'param'"),
        (lambda: quantized.Embedding(9, 4), r"into 'weight'"),
        (Codes, r"1 \(Codes\) packs its weight into 'qweight'"),
    ],
)
def test_other_forms_are_refused_by_name(layer, words):
    model = nn.Sequential(nn.Linear(4, 4), layer())
    with pytest.raises(UnsupportedLayerError, match=rf"{words} in a form.*without quantisation"):
        find_parts(model)
    assert list(find_parts(model, exclude="1").parts) == ["0"]


def test_codes_in_a_linear_layer_are_refused_before_the_model_is_run():
    class FourBit(nn.Linear):
        """As bitsandbytes does it."""

        def forward(self, x):
            raise AssertionError("not to be run")

    layer = FourBit(4, 4)
    layer.weight = nn.Parameter(torch.zeros(8, 1, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(UnsupportedLayerError, match=r"'0' has a weight of type torch.uint8 and sh"):
        SVR(nn.Sequential(layer))


class Scaled(torch.Tensor):
    """A tensor of a library's own class that says what its codes stand for."""

    @staticmethod
    def of(codes, scale):
        made = torch.Tensor._make_subclass(Scaled, codes)
        made.scale = scale
        return made

    def detach(self):
        return self

    def dequantize(self):
        return self.as_subclass(torch.Tensor).float() * self.scale


def test_tensors_that_know_what_they_stand_for():
    codes = torch.tensor([[1.0, -3.0], [2.0, 5.0]], dtype=torch.bfloat16)
    svr = SVR([Scaled.of(codes, 0.25)])
    assert torch.equal(svr.maps["0"].weight, codes.float() / 4)


class Upcasting(nn.Linear):
    """Weights of few bits, as in checkpoints of 8-bit floats: cast before they are used."""

    def forward(self, x):
        return functional.linear(x, self.weight.to(x.dtype))


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_eight_bit_floats(dtype):
    model = nn.Sequential(Upcasting(4, 5), nn.ReLU(), Upcasting(5, 3))
    for layer in (model[0], model[2]):
        layer.weight = nn.Parameter(layer.weight.detach().to(dtype), requires_grad=False)
    svr = SVR(model, torch.randn(1, 4))
    assert list(svr.links) == [("0", "2")]
    assert torch.equal(svr.maps["0"].weight, model[0].weight.float())
    assert svr.edges(p=1.0).shape[0] == 3 * 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 4)
    )
    half = SVR(plain.to(dtype))
    assert list(half.links) == [("0", "4")]
    full = SVR(plain.float())
    assert torch.equal(half["0"].S, full["0"].S)
    assert half.edges(p=0.5).equals(full.edges(p=0.5))
