"""The matrices of adapters, against ``alpha / r B A`` written out."""

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from svr_widget import SVR
from svr_widget.engine.errors import SVRError, UnsupportedLayerError
from tests.engine.support.gaussian import gaussian

QUERY = "base_model.model.model.layers.0.self_attn.q_proj"
A, B = gaussian(3, 8), gaussian(6, 3)
UPDATE = torch.einsum("or,ri->oi", B.double(), A.double())


def written(folder, tensors, **config):
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    if config:
        (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **config}))
    return folder


def peft(name=QUERY, adapter=""):
    return {f"{name}.lora_A{adapter}.weight": A, f"{name}.lora_B{adapter}.weight": B}


@pytest.mark.parametrize(
    ("config", "factor"),
    [
        ({"r": 3, "lora_alpha": 12}, 4.0),
        ({"r": 3, "lora_alpha": 12, "use_rslora": True}, 12 / math.sqrt(3)),
        ({"r": 8, "lora_alpha": 12, "rank_pattern": {"q_proj": 3}}, 4.0),
        ({"r": 3, "lora_alpha": 1, "alpha_pattern": {"self_attn.q_proj": 6, "k": 9}}, 2.0),
    ],
)
def test_the_configuration_says_the_factor(config, factor, tmp_path):
    written(tmp_path, peft(), **config)
    for path in (tmp_path, tmp_path / "adapter_model.safetensors"):
        svr = SVR(path)
        (name,) = svr.maps
        assert name == "model.layers.0.self_attn.q_proj", "that of the module, without wrappers"
        found = svr.maps[name].weight.double()
        torch.testing.assert_close(found, factor * UPDATE, rtol=1e-5, atol=1e-5)
        assert any("B A of adapters" in note and f"times {factor:g}" in note for note in svr.notes)


def test_without_a_configuration_the_product_itself_and_that_is_said(tmp_path):
    for source in (written(tmp_path, peft()), peft(), peft(adapter=".default")):
        svr = SVR(source)
        (linear,) = svr.maps.values()
        torch.testing.assert_close(linear.weight.double(), UPDATE, rtol=1e-5, atol=1e-5)
        assert any("without a factor" in note for note in svr.notes)


def test_there_are_no_more_neurons_than_the_rank():
    svr = SVR(peft("q"))
    neurons = svr["q"]
    assert (svr.maps["q"].shape, len(neurons), svr.maps["q"].neurons()) == ((6, 8), 3, 3)
    expected = torch.linalg.svdvals(UPDATE)[:3]
    torch.testing.assert_close(neurons.S, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("down", "up"),
    [("lora_down", "lora_up"), ("lora.down", "lora.up"), ("lora_A", "lora_B")],
)
def test_other_spellings_and_the_alpha_in_the_file(down, up):
    given = {f"u.{down}.weight": A, f"u.{up}.weight": B, "u.alpha": torch.tensor(6.0)}
    (name,) = SVR(given).maps
    found = SVR(given).maps[name].weight.double()
    torch.testing.assert_close(found, 2 * UPDATE, rtol=1e-5, atol=1e-5)


def test_embeddings():
    given = {"e.lora_embedding_A": A, "e.lora_embedding_B": B}
    assert SVR(given).maps["e"].shape == (6, 8)


def test_convolutions():
    first, second = gaussian(2, 3, 3, 3), gaussian(5, 2, 1, 1)
    svr = SVR({"c.lora_A.weight": first, "c.lora_B.weight": second})
    expected = torch.nn.functional.conv2d(  # the second, 1 x 1, after the first
        first.double().permute(1, 0, 2, 3), second.double()
    ).permute(1, 0, 2, 3)
    torch.testing.assert_close(svr.maps["c"].weight.double(), expected, rtol=1e-5, atol=1e-6)


def test_several_adapters_of_one_layer_are_maps_of_their_own():
    svr = SVR({**peft("q", ".one"), **peft("q", ".two")}, links=[])
    assert list(svr.maps) == ["q[one]", "q[two]"]


def test_links_join_adapters_by_their_names():
    first, second = gaussian(5, 2), gaussian(2, 6)
    given = {**peft("q"), "v.lora_A.weight": second, "v.lora_B.weight": first}
    svr = SVR(given, links=[("q", "v")])
    assert svr.adjacency(("q", "v")).dense().shape == (2, 3)


@pytest.mark.parametrize(
    ("tensors", "error", "message"),
    [
        ({"q.lora_A.weight": A}, SVRError, r"one matrix without the other: 'q\.lora_A\.weight'"),
        ({"q.lora_A.weight": A, "q.lora_B.weight": A}, SVRError, "3x8.* are no A .* and B"),
        (
            {**peft("q"), "q.lora_magnitude_vector": torch.ones(6)},
            UnsupportedLayerError,
            r"no product of two matrices alone.*'q\.lora_magnitude_vector'.*merge it",
        ),
    ],
)
def test_what_is_no_product_is_refused(tensors, error, message):
    with pytest.raises(error, match=message):
        SVR(tensors)


def test_a_decomposed_adapter_is_known_by_its_configuration(tmp_path):
    with pytest.raises(UnsupportedLayerError, match="use_dora"):
        SVR(written(tmp_path, peft(), r=3, lora_alpha=3, use_dora=True))


def test_a_saved_one_comes_back(tmp_path):
    svr = SVR(peft("q"))
    svr.save(tmp_path / "svr.safetensors", weights=True)
    back = SVR.load(tmp_path / "svr.safetensors")
    assert torch.equal(back["q"].S, svr["q"].S)
    assert torch.equal(back.maps["q"].weight, svr.maps["q"].weight)


@pytest.mark.parametrize(
    "tensors",
    [
        {"q.hada_w1_a": B, "q.hada_w1_b": A, "q.hada_w2_a": B, "q.hada_w2_b": A},
        {"q.lokr_w1": A, "q.lokr_w2": A},
        {"base_model.vera_A": A, "base_model.vera_B": B, "q.vera_lambda_d": torch.ones(3)},
        {"q.lora_A": A, "q.lora_B": B, "q.lora_E": torch.ones(3, 1)},
        {"q.ia3_l": torch.ones(6, 1)},
    ],
)
def test_adapters_of_other_kinds_are_refused_by_name(tensors):
    with pytest.raises(UnsupportedLayerError, match=r"no product of two matrices alone \('"):
        SVR(tensors)


def test_the_configuration_tells_another_kind(tmp_path):
    with pytest.raises(UnsupportedLayerError, match="ADALORA in adapter_config"):
        SVR(written(tmp_path, peft(), r=3, lora_alpha=3, peft_type="ADALORA"))


def test_a_bias_of_an_adapter_is_no_matrix_and_its_layer_keeps_its_name():
    svr = SVR({**peft("base_model.model.q"), "base_model.model.q.lora_B.bias": torch.ones(6)})
    assert list(svr.maps) == ["q"]
    base = {"base_model.model.q.base_layer.weight": gaussian(6, 8)}
    svr = SVR({**peft("base_model.model.q"), **base})
    assert list(svr.maps) == ["q[B A]", "base_model.model.q.base_layer"], "in their order"


def test_how_a_product_is_kept_is_known():
    wide, back = (gaussian(3, 6), gaussian(8, 3)), (gaussian(3, 8), gaussian(8, 3))
    given = {}
    for name, (first, second) in {"q": wide, "v": back}.items():
        given |= {f"{name}.lora_A.weight": first, f"{name}.lora_B.weight": second}
    notes = SVR(given, links="chain").notes
    assert not any("nothing tells" in note for note in notes)
