"""Canonical forms against the layer itself: a map applied by its canonical weight."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from transformers.pytorch_utils import Conv1D

from svr_widget.engine.errors import (
    NoMapsError,
    NonFiniteWeightsError,
    SVRError,
    UnsupportedLayerError,
)
from svr_widget.engine.maps.layer_kinds import parts_of
from svr_widget.engine.maps.linear_map import linear_map
from svr_widget.engine.maps.links import Layout
from svr_widget.engine.model.find_maps import find_parts, unwrap


def only(layer, *layouts, **named):
    """The one map of a layer that is called ``"fc"``."""
    (part,) = parts_of(layer, "fc")
    return linear_map(part, *layouts, **named)


def channels_first(channels, *kernel):
    size = channels * torch.Size(kernel).numel()
    return Layout(torch.arange(size).view(channels, -1), kernel)


class TestCanonicalForm:
    def test_linear(self):
        layer = nn.Linear(5, 3)
        linear = only(layer)
        assert (linear.kind, linear.kernel, linear.positions, linear.groups) == ("linear", (), 1, 1)
        assert (linear.out_channels, linear.in_channels) == (3, 5)
        assert torch.equal(linear.weight, layer.weight)

    def test_transformers_conv1d_is_a_transposed_linear(self):
        layer = Conv1D(7, 4)
        x = torch.randn(2, 4)
        linear = only(layer)
        assert linear.kind == "linear"
        torch.testing.assert_close(x @ linear.weight.T + layer.bias, layer(x))

    def test_embedding_maps_the_vocabulary_to_features(self):
        layer = nn.Embedding(11, 3)
        linear = only(layer)
        assert (linear.kind, linear.out_channels, linear.in_channels) == ("embedding", 3, 11)
        token = torch.tensor([4])
        torch.testing.assert_close(
            functional.one_hot(token, 11).float() @ linear.weight.T, layer(token)
        )

    @pytest.mark.parametrize("dims", [1, 2, 3])
    @pytest.mark.parametrize("groups", [1, 2, 6])
    def test_convolutions(self, dims, groups):
        layer = getattr(nn, f"Conv{dims}d")(6, 12, (2, 3, 1)[:dims], groups=groups)
        linear = only(layer)
        assert (linear.kind, linear.groups) == ("convolution", groups)
        assert linear.weight.shape == (12, 6 // groups, *(2, 3, 1)[:dims])
        assert (linear.out_channels, linear.in_channels) == (12, 6)
        assert linear.positions == (2, 6, 6)[dims - 1]

    @pytest.mark.parametrize("dims", [1, 2, 3])
    @pytest.mark.parametrize("groups", [1, 2, 4])
    def test_transposed_convolutions_are_convolutions_with_flipped_kernels(self, dims, groups):
        kernel = (2, 3, 2)[:dims]
        layer = getattr(nn, f"ConvTranspose{dims}d")(4, 12, kernel, groups=groups, bias=False)
        linear = only(layer)
        assert (linear.kind, linear.groups) == ("transposed convolution", groups)
        assert (linear.out_channels, linear.in_channels, linear.kernel) == (12, 4, kernel)
        x = torch.randn(2, 4, *(5,) * dims)
        spatial = tuple(range(2, 2 + dims))
        convolve = getattr(functional, f"conv{dims}d")
        margin = [n for k in reversed(kernel) for n in (k - 1, k - 1)]
        result = convolve(functional.pad(x, margin), linear.weight.flip(spatial), groups=groups)
        torch.testing.assert_close(result, layer(x), rtol=1e-4, atol=1e-5)

    def test_a_linear_that_reads_flattened_channels_is_a_convolution(self):
        layer, x = nn.Linear(3 * 4 * 5, 7), torch.randn(2, 3, 4, 5)
        first = only(layer, input_layout=channels_first(3, 4, 5))
        assert (first.kind, first.kernel) == ("convolution", (4, 5))
        torch.testing.assert_close(
            functional.conv2d(x, first.weight, layer.bias)[..., 0, 0], layer(x.flatten(1))
        )
        last = Layout(torch.arange(60).view(20, 3).T, (4, 5))
        channels_last = only(layer, input_layout=last)
        torch.testing.assert_close(
            functional.conv2d(x, channels_last.weight, layer.bias)[..., 0, 0],
            layer(x.permute(0, 2, 3, 1).flatten(1)),
        )

    def test_a_linear_that_writes_flattened_channels_is_a_transposed_convolution(self):
        layer, x = nn.Linear(6, 3 * 4 * 5, bias=False), torch.randn(2, 6)
        linear = only(layer, output_layout=channels_first(3, 4, 5))
        assert (linear.kind, linear.out_channels, linear.kernel) == (
            "transposed convolution",
            3,
            (4, 5),
        )
        result = functional.conv_transpose2d(x[..., None, None], linear.weight.transpose(0, 1))
        torch.testing.assert_close(result, layer(x).view(2, 3, 4, 5))

    def test_both_sides_flattened_is_refused(self):
        layout = channels_first(2, 3)
        with pytest.raises(UnsupportedLayerError, match=r"'fc' reads flattened 2x3 and writes"):
            only(nn.Linear(6, 6), layout, layout)

    def test_precision(self):
        for given, kept in (
            (torch.float16, torch.float32),
            (torch.bfloat16, torch.float32),
            (torch.float64, torch.float64),
        ):
            layer = nn.Linear(4, 3).to(given)
            weight = only(layer).weight
            assert weight.dtype == kept
            assert torch.equal(weight, layer.weight.to(kept))

    def test_the_weight_is_a_copy(self):
        layer = nn.Linear(4, 3)
        linear = only(layer)
        before = linear.weight.clone()
        with torch.no_grad():
            layer.weight.zero_()
        assert torch.equal(linear.weight, before)
        assert not linear.weight.requires_grad

    def test_number_of_neurons(self):
        linear = only(nn.Conv2d(8, 24, 3, groups=4))
        assert (linear.neurons("svr"), linear.neurons("cosvr")) == (4 * 6, 4 * 2)
        assert repr(linear) == "LinearMap('fc', convolution, 24x2x3x3, groups=4, depth=0)"


class TestEffectiveWeight:
    @pytest.mark.parametrize(
        "wrap",
        [
            parametrizations.weight_norm,
            parametrizations.spectral_norm,
            parametrizations.orthogonal,
            lambda layer: prune.l1_unstructured(layer, "weight", 0.4),
            lambda layer: prune.random_structured(
                prune.l1_unstructured(layer, "weight", 0.4), "weight", 1, dim=0
            ),
            lambda layer: prune.l1_unstructured(layer, "bias", 0.4),
        ],
    )
    def test_the_weight_that_the_layer_computes_with(self, wrap):
        layer = wrap(nn.Linear(5, 4)).train()
        state = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
        linear = only(layer)
        assert all(torch.equal(state[name], tensor) for name, tensor in layer.state_dict().items())
        layer.eval()
        torch.testing.assert_close(layer(torch.eye(5)) - layer.bias, linear.weight.T)

    @pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
    @pytest.mark.parametrize("wrap", [weight_norm, spectral_norm])
    def test_old_style_norms_even_after_a_step_of_training(self, wrap):
        layer = wrap(nn.Conv2d(3, 4, 2)).eval()
        with torch.no_grad():
            for name, parameter in layer.named_parameters():
                if name != "bias":
                    parameter.mul_(torch.randn_like(parameter))
        linear = only(layer)
        x = torch.randn(1, 3, 6, 6)
        torch.testing.assert_close(functional.conv2d(x, linear.weight, layer.bias), layer(x))
        assert list(find_parts(nn.Sequential(layer)).parts) == ["0"]

    def test_parametrised_modules_are_found_once(self):
        model = nn.Sequential(parametrizations.weight_norm(nn.Linear(3, 3)), nn.ReLU())
        assert list(find_parts(model).parts) == ["0"]


class Adapter(nn.Linear):
    def __init__(self):
        super().__init__(4, 4)
        self.lora_a = nn.Parameter(torch.zeros(2, 4))


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.position = nn.Parameter(torch.zeros(1, 6, 4))
        self.token = nn.Parameter(torch.zeros(1, 1, 4))


class Packed(nn.Module):
    def weight(self):
        return torch.zeros(3, 3)


class TestFinding:
    def test_names_and_norms(self):
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.Sequential(nn.Flatten(), nn.LayerNorm([4, 6, 6]), nn.Linear(144, 5), nn.PReLU()),
            nn.RMSNorm([2, 5]),
        )
        assert list(find_parts(model).parts) == ["0", "2.2"]

    def test_globs_choose_modules_and_what_lies_beneath(self):
        model = nn.ModuleDict(
            {
                "stem": nn.Linear(2, 2),
                "body": nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
                "head": nn.Linear(2, 2),
            }
        )
        assert list(find_parts(model, include="body").parts) == ["body.0", "body.1"]
        assert list(find_parts(model, exclude="body").parts) == ["stem", "head"]
        assert list(find_parts(model, ["stem", "body*"], "*.1").parts) == ["stem", "body.0"]

    def test_globs_choose_maps_of_one_module(self):
        model = nn.ModuleDict({"attn": nn.MultiheadAttention(4, 2), "lstm": nn.LSTM(4, 3)})
        gates = [f"lstm.{side}[{gate}]" for side in ("ih", "hh") for gate in "ifgo"]
        assert list(find_parts(model, exclude="attn").parts) == gates
        assert list(find_parts(model, include="lstm.hh").parts) == gates[4:]
        assert list(find_parts(model, include="lstm.*[f]").parts) == ["lstm.ih[f]", "lstm.hh[f]"]
        assert list(find_parts(model, "attn", exclude="attn.in_proj[[]q]").parts) == [
            "attn.in_proj[k]",
            "attn.in_proj[v]",
            "attn.out_proj",
        ]
        assert list(find_parts(model, "attn", "attn.in_proj[q]").parts) == [
            "attn.in_proj[k]",
            "attn.in_proj[v]",
            "attn.out_proj",
        ]
        assert list(find_parts(model, "attn", "attn.in_proj_weight").parts) == ["attn.out_proj"]

    def test_a_glob_that_matches_nothing_is_an_error(self):
        model = nn.ModuleDict({"head": nn.Linear(2, 2)})
        with pytest.raises(SVRError, match=r"exclude='heat' matches no name; did you mean 'head'"):
            find_parts(model, exclude="heat")

    def test_no_maps(self):
        with pytest.raises(NoMapsError, match=r"Sequential has no linear map.*found only ReLU"):
            find_parts(nn.Sequential(nn.ReLU()))
        with pytest.raises(NoMapsError, match=r"exclude=\['0'\]"):
            find_parts(nn.Sequential(nn.Linear(2, 2)), exclude="0")

    def test_parameters_of_no_known_layer_may_be_maps(self):
        found = find_parts(Positions())
        assert (list(found.parts), list(found.own)) == (["fc"], ["position"])
        assert not find_parts(Positions(), exclude="position").own
        assert list(find_parts(Positions(), include="position").own) == ["position"]
        found = find_parts(nn.ModuleDict({"fc": nn.Linear(4, 4), "odd": nn.Bilinear(2, 3, 4)}))
        assert (list(found.parts), list(found.own)) == (["fc"], ["odd.weight"])

    def test_a_subclass_with_further_weights_tells_its_maps_as_it_runs_only(self):
        found = find_parts(nn.Sequential(Adapter()))
        assert (list(found.parts), list(found.own)) == (["0"], ["0.lora_a"])
        with pytest.raises(UnsupportedLayerError, match=r"'0' \(Adapter\) .* further weight 'lora"):
            found.check()

    def test_packed_layers_are_refused(self):
        with pytest.raises(UnsupportedLayerError, match=r"1 \(Packed\) packs its weight"):
            find_parts(nn.Sequential(nn.Linear(2, 2), Packed()))

    @pytest.mark.parametrize(
        ("layer", "message"),
        [
            (nn.LazyLinear(3), r"'0' is lazy and has no weight yet; run the model"),
            (nn.LazyConv2d(3, 3), r"'0' is lazy"),
            (nn.Linear(4, 3, device="meta"), r"'0' .* shape \(3, 4\) on the meta device"),
        ],
    )
    def test_layers_without_values(self, layer, message):
        with pytest.raises(UnsupportedLayerError, match=message):
            find_parts(nn.Sequential(layer))
        assert list(find_parts(nn.Sequential(nn.Linear(2, 2), layer), exclude="1").parts) == ["0"]

    def test_wrappers(self):
        model = nn.Sequential(nn.Linear(2, 2))
        assert unwrap(nn.DataParallel(model)) is model
        assert unwrap(torch.compile(model, backend="eager")) is model
        assert unwrap(nn.DataParallel(torch.compile(model, backend="eager"))) is model
        alone = nn.Linear(2, 2)
        assert find_parts(unwrap(alone)).parts["0"].module is alone


class TestUnusableWeights:
    def test_non_finite(self):
        layer = nn.Linear(4, 3)
        with torch.no_grad():
            layer.weight[0, 1] = torch.nan
            layer.weight[1, :2] = -torch.inf
        with pytest.raises(NonFiniteWeightsError, match=r"'fc' has 3 NaN or infinite of 12"):
            only(layer)

    def test_meta(self):
        with pytest.raises(UnsupportedLayerError, match=r"'fc' has a weight of shape \(3, 4\) on"):
            only(nn.Linear(4, 3, device="meta"))

    @pytest.mark.parametrize("dtype", [torch.int8, torch.complex64])
    def test_not_real_floating_point(self, dtype):
        layer = nn.Linear(4, 3)
        layer.weight = nn.Parameter(torch.ones(3, 4, dtype=dtype), requires_grad=False)
        with pytest.raises(UnsupportedLayerError, match=rf"'fc' has a weight of type {dtype}"):
            only(layer)

    @pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
    def test_empty(self):
        with pytest.raises(UnsupportedLayerError, match=r"shape \(3, 0\)"):
            only(nn.Linear(0, 3))

    def test_no_weight(self):
        layer = nn.Linear(4, 3)
        layer.weight = None
        with pytest.raises(UnsupportedLayerError, match=r"'fc' .* has no weight tensor"):
            only(layer)
        assert parts_of(nn.ReLU()) == ()
