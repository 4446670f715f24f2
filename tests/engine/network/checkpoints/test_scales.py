"""Codes and their scales, against the weight that the codes were made of."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from svr_widget import SVR
from svr_widget.engine.errors import UnsupportedLayerError
from tests.engine.support.gaussian import gaussian

LARGEST = {torch.float8_e4m3fn: 448.0, torch.float8_e5m2: 57344.0, torch.int8: 127.0}


def quantised(weight, dtype, sides):
    """Codes and scales of a weight, block by block, and what they stand for in float64.

    ``sides`` are those of a block; written as loops over the blocks, which the reader has not.
    """
    counts = [-(-size // side) for size, side in zip(weight.shape, sides, strict=True)]
    codes, scale = torch.zeros(weight.shape, dtype=dtype), torch.zeros(counts)
    meant = torch.zeros(weight.shape, dtype=torch.float64)
    for place in torch.cartesian_prod(*map(torch.arange, counts)).view(-1, weight.ndim).tolist():
        block = tuple(slice(i * side, (i + 1) * side) for i, side in zip(place, sides, strict=True))
        one = weight[block].abs().max() / LARGEST[dtype]
        held = weight[block] / one
        codes[block] = (held.round() if dtype == torch.int8 else held).to(dtype)
        scale[tuple(place)] = one
        meant[block] = codes[block].double() * one.double()
    return codes, scale, meant


def shown(tensors, path=None, **keywords):
    """The weight that SVR shows of them, in a mapping or in a file."""
    if path is not None:
        save_file(tensors, path)
    return SVR(tensors if path is None else path, **keywords).maps["l"].weight.double()


@pytest.mark.parametrize("dtype", list(LARGEST))
@pytest.mark.parametrize("name", ["weight_scale", "weight_scale_inv", "scale", "scale_weight"])
def test_one_scale(dtype, name, tmp_path):
    weight = gaussian(6, 5)
    codes, scale, meant = quantised(weight, dtype, (6, 5))
    for shape in ((), (1,), (1, 1)):
        given = {"l.weight": codes, f"l.{name}": scale.reshape(shape)}
        for path in (None, tmp_path / "w.safetensors"):
            torch.testing.assert_close(shown(given, path), meant, rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", list(LARGEST))
@pytest.mark.parametrize("shape", [(6, 6), (6, 4), (6, 3, 2, 2)])
def test_one_scale_a_row(dtype, shape):
    codes, scale, meant = quantised(gaussian(*shape), dtype, (1, *shape[1:]))
    for given in (scale, scale.flatten()):
        found = shown({"l.weight": codes, "l.weight_scale": given})
        torch.testing.assert_close(found, meant, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("shape", "sides"),
    [((192, 300), (128, 128)), ((256, 100), (128, 128)), ((6, 8), (3, 2)), ((6, 64), (1, 32))],
)
def test_one_scale_a_block(shape, sides):
    codes, scale, meant = quantised(gaussian(*shape), torch.float8_e4m3fn, sides)
    found = shown({"l.weight": codes, "l.weight_scale_inv": scale})
    torch.testing.assert_close(found, meant, rtol=1e-6, atol=0)


def test_the_configuration_beside_the_file_tells_the_block(tmp_path):
    """10 rows by 2 scales may be blocks of 5 or of 8."""
    codes, scale, meant = quantised(gaussian(10, 16), torch.float8_e4m3fn, (8, 8))
    config = {"quantization_config": {"weight_block_size": [8, 8]}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = shown({"l.weight": codes, "l.weight_scale_inv": scale}, tmp_path / "w.safetensors")
    torch.testing.assert_close(found, meant, rtol=1e-6, atol=0)


def test_zero_points_are_taken_off(tmp_path):
    codes = torch.randint(0, 255, (4, 6), generator=torch.Generator().manual_seed(0))
    scale, zero = torch.tensor([[1.0], [2.0], [0.5], [4.0]]), torch.tensor([[3], [130], [0], [9]])
    given = {
        "l.weight": codes.to(torch.uint8),
        "l.weight_scale": scale,
        "l.weight_zero_point": zero.to(torch.uint8),
    }
    assert torch.equal(shown(given, tmp_path / "w.safetensors"), (codes - zero) * scale.double())


def test_int8_of_bitsandbytes():
    codes, scale, meant = quantised(gaussian(6, 5), torch.int8, (1, 5))
    given = {"l.weight": codes, "l.SCB": scale.flatten() * 127}
    beside = {"l.weight_format": torch.tensor(0, dtype=torch.uint8)}
    torch.testing.assert_close(shown({**given, **beside}), meant, rtol=1e-6, atol=0)
    with pytest.raises(UnsupportedLayerError, match=r"'l\.weight'.*another order than by rows"):
        SVR({**given, "l.weight_format": torch.tensor(2, dtype=torch.uint8)})


def test_experts_in_one_tensor():
    codes, scale, meant = quantised(gaussian(3, 4, 6), torch.float8_e4m3fn, (1, 2, 3))
    given = {"l": codes, "l_scale_inv": scale}
    torch.testing.assert_close(shown(given), meant, rtol=1e-6, atol=0)


def test_float8_without_scales_is_said_to_be_plain():
    codes = gaussian(4, 3).to(torch.float8_e4m3fn)
    svr = SVR({"l.weight": codes, "l.input_scale": torch.ones(())})
    assert torch.equal(svr.maps["l"].weight, codes.float())
    assert any("float8 without scales" in note and "'l.weight'" in note for note in svr.notes)


PACKED = {
    "GPTQ": {
        "l.qweight": torch.zeros(4, 8, dtype=torch.int32),
        "l.qzeros": torch.zeros(1, 1, dtype=torch.int32),
        "l.scales": torch.ones(1, 8),
    },
    "bitsandbytes": {
        "l.weight": torch.zeros(16, 1, dtype=torch.uint8),
        "l.weight.absmax": torch.ones(1),
        "l.weight.quant_map": torch.ones(16),
    },
    "MXFP4": {
        "l.gate_blocks": torch.zeros(2, 4, 1, 16, dtype=torch.uint8),
        "l.gate_scales": torch.zeros(2, 4, 1, dtype=torch.uint8),
    },
    "NVFP4": {
        "l.weight": torch.zeros(16, 8, dtype=torch.uint8),
        "l.weight_scale": torch.ones(16, 1).to(torch.float8_e4m3fn),
        "l.weight_scale_2": torch.ones(()),
    },
    "compressed-tensors": {
        "l.weight_packed": torch.zeros(4, 2, dtype=torch.int32),
        "l.weight_scale": torch.ones(4, 1),
        "l.weight_shape": torch.tensor([4, 16]),
    },
    "unsigned codes": {
        "l.weight": torch.zeros(4, 2, dtype=torch.uint8),
        "l.weight_scale": torch.ones(4, 1),
    },
    r"\(6, 8\) with scales of shape \(4, 3\)": {
        "l.weight": torch.zeros(6, 8).to(torch.float8_e4m3fn),
        "l.weight_scale": torch.ones(4, 3),
    },
    r"scales in another form \('l\.qscales'\)": {
        "l.weight": torch.zeros(6, 8).to(torch.float8_e4m3fn),
        "l.qscales": torch.ones(6),
    },
    "scales in another form": {
        "l.weight._data": torch.zeros(6, 8, dtype=torch.int8),
        "l.weight._scale": torch.ones(6, 1),
    },
    "several scales": {
        "l.weight": torch.zeros(6, 8, dtype=torch.int8),
        "l.weight_scale": torch.ones(6),
        "l.SCB": torch.ones(6),
    },
}


@pytest.mark.parametrize("form", list(PACKED))
def test_other_forms_are_refused_by_name_and_can_be_left_out(form, tmp_path):
    path = tmp_path / "w.safetensors"
    beside = {"other.weight": gaussian(3, 4)}
    save_file({**PACKED[form], **beside}, path)
    for source in (path, {**PACKED[form], **beside}):
        with pytest.raises(UnsupportedLayerError, match=rf"1 weight.*{form}.*: 'l") as refused:
            SVR(source)
        name = str(refused.value).rpartition("exclude=")[2].strip("'")
        assert list(SVR(source, exclude=name).maps) == ["other"]


@pytest.mark.parametrize("given", ["0.weight", "module.0.weight"])
def test_a_model_is_not_filled_with_codes(given):
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))
    state = {**model.state_dict(), given: torch.zeros(6, 5, dtype=torch.int8)}
    if given != "0.weight":
        del state["0.weight"]
    with pytest.raises(UnsupportedLayerError, match=rf"'{given}'.*int8.*exclude='0\.weight'"):
        SVR(model, weights=state)
    packed = {**state, f"{given.removesuffix('weight')}SCB": torch.ones(3)}
    with pytest.raises(UnsupportedLayerError, match="another order than by rows"):
        SVR(model, weights=packed)
    for source in (state, packed):
        svr = SVR(model, torch.ones(1, 5), weights=source, exclude="0")
        assert list(svr.maps) == ["2"]


def test_a_model_is_filled_with_what_the_codes_stand_for():
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))
    codes, scale, meant = quantised(model[0].weight.detach(), torch.int8, (1, 5))
    state = {**model.state_dict(), "0.weight": codes, "0.weight_scale": scale}
    with torch.no_grad():
        model[0].weight.copy_(codes.float() * scale)
    with torch.device("meta"):
        skeleton = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3))
    svr = SVR(skeleton, weights=state)
    torch.testing.assert_close(svr.maps["0"].weight.double(), meant, rtol=1e-6, atol=0)
    assert svr.edges(p=0.5).equals(SVR(model).edges(p=0.5))


def test_a_block_is_guessed_only_where_one_alone_fits(tmp_path):
    codes, scale, meant = quantised(gaussian(100, 150), torch.float8_e4m3fn, (64, 64))
    given = {"l.weight": codes, "l.weight_scale_inv": scale}
    with pytest.raises(UnsupportedLayerError, match=r"\(100, 150\) with scales of shape \(2, 3\)"):
        SVR(given)  # blocks of 50 fit as well
    told = {"quantization_config": {"weight_block_size": [64, 64]}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    found = shown(given, tmp_path / "w.safetensors")
    torch.testing.assert_close(found, meant, rtol=1e-6, atol=0)
    even, scale, meant = quantised(gaussian(64, 96), torch.float8_e4m3fn, (32, 32))
    found = shown({"l.weight": even, "l.weight_scale": scale})
    torch.testing.assert_close(found, meant, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "scale",
    ["l.weight.scale_inv", "l.weight_inv_scale", "scales.l.weight", "l_scale", "fp8_scale.l"],
)
def test_a_scale_of_any_spelling_is_seen(scale):
    given = {"l.weight": torch.zeros(6, 8).to(torch.float8_e4m3fn), scale: torch.ones(6)}
    with pytest.raises(UnsupportedLayerError, match=rf"another form \('{scale}'\)"):
        SVR(given)


def test_scales_of_activations_and_names_of_layers_are_none():
    given = {
        "upscale.weight": torch.eye(4).to(torch.float8_e4m3fn),
        "upscale.input_scale": torch.ones(()),
        "upscale.bias": torch.zeros(4),
        "upscale.kv_scale": torch.ones(()),
    }
    assert list(SVR(given).maps) == ["upscale"]


def test_scales_of_integers_are_not_passed_over(tmp_path):
    given = {
        "l.weight": torch.ones(64, 64).to(torch.float8_e4m3fn),
        "l.weight_scale": torch.full((64, 2), 127, dtype=torch.uint8),
    }
    save_file(given, tmp_path / "w.safetensors")
    for source in (given, tmp_path / "w.safetensors"):
        with pytest.raises(UnsupportedLayerError, match=r"scales of type torch\.uint8"):
            SVR(source)


def test_codes_in_a_type_of_numbers_get_their_scale():
    codes, scale, meant = quantised(gaussian(6, 8), torch.int8, (1, 8))
    found = shown({"l.weight": codes.half(), "l.weight_scale": scale})
    torch.testing.assert_close(found, meant, rtol=1e-6, atol=0)


def test_many_packed_layers_are_left_out_at_once():
    given = {"other.weight": gaussian(3, 4)}
    for layer in range(6):
        for name in ("q_proj", "k_proj"):
            each = {f"{layer}.{name}{key[1:]}": value for key, value in PACKED["GPTQ"].items()}
            given |= each
    with pytest.raises(UnsupportedLayerError, match="12 weights") as refused:
        SVR(given)
    assert str(refused.value).endswith("exclude=['*q_proj', '*k_proj']")
    assert list(SVR(given, exclude=["*q_proj", "*k_proj"]).maps) == ["other"]
    assert list(SVR(given, exclude="*.qweight").maps) == ["other"], "nor are scales maps then"
