"""Folders of the transformers library: the configuration makes the skeleton, the file fills it."""

import json
import sys

import pytest
import torch
import transformers
from safetensors.torch import save_file

from svr_widget import SVR
from svr_widget.engine.errors import TraceError
from svr_widget.engine.network.filling import described, filled
from tests.engine.network.test_filling import same
from tests.engine.support.zoo import language


@pytest.fixture(autouse=True)
def quiet():
    transformers.utils.logging.disable_progress_bar()
    yield
    transformers.utils.logging.enable_progress_bar()


def saved(model, folder, **options):
    model.eval().save_pretrained(folder, **options)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gpt2", "bert", "llama", "bart", "vit"])
def test_a_folder_shows_what_the_model_shows(name, tmp_path):
    """Some of these have other names in files than in the model."""
    model, example = getattr(language, name)()
    saved(model, tmp_path)
    found = SVR(tmp_path, example)
    same(found, SVR(model, example))
    assert found.title == type(model).__name__
    assert not any("not in" in note for note in found.notes)


def test_shards_and_the_model_s_own_inputs(tmp_path):
    model, _ = language.llama()
    saved(model, tmp_path, max_shard_size="1KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    same(SVR(str(tmp_path)), SVR(model))


def test_the_precision_of_the_file_is_that_of_the_skeleton(tmp_path):
    model, example = language.gpt2()
    saved(model.bfloat16(), tmp_path)
    svr = SVR(tmp_path, example)
    same(svr, SVR(model, example))
    assert {each.dtype for each in svr.model.parameters()} == {torch.bfloat16}


def test_norms_are_folded(tmp_path):
    model, example = language.llama()
    saved(model, tmp_path)
    same(SVR(tmp_path, example, norm="fold"), SVR(model, example, norm="fold"))


def test_experts_that_a_file_holds_one_by_one(tmp_path):
    config = transformers.MixtralConfig(
        **language.GROUPED, num_local_experts=3, max_position_embeddings=16
    )
    model = saved(transformers.MixtralForCausalLM(config), tmp_path)
    skeleton = described(tmp_path).model
    assert skeleton is not None
    assert all(tensor.is_meta for tensor in skeleton.parameters())
    found = filled(skeleton, tmp_path, None)
    assert (found.notes, found.without) == ((), ())
    held = found.model.state_dict()
    assert all(torch.equal(held[name], tensor) for name, tensor in model.state_dict().items())


def configured(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.fixture
def folder(tmp_path):
    saved(language.bert()[0], tmp_path)
    return tmp_path


def in_words(svr):
    """What is said of a configuration without a skeleton."""
    assert not svr.links
    (note,) = [note for note in svr.notes if "without links" in note]
    return note


def test_the_base_model_stands_in_for_an_architecture_that_is_not_there(folder):
    configured(folder, architectures=["BertForSomethingElse"])
    assert SVR(folder).title == "BertModel"


def test_code_from_elsewhere_is_not_run(folder):
    configured(folder, architectures=["MyModel"], auto_map={"AutoModel": "modeling.MyModel"})
    (folder / "modeling.py").write_text("raise SystemExit")
    note = in_words(SVR(folder, links=None))
    assert "auto_map" in note
    assert "MyModel" in note
    assert f"SVR(model, weights={str(folder)!r})" in note


def test_a_configuration_that_the_library_does_not_know(folder):
    configured(folder, model_type="nobody_knows", architectures=["NobodyKnows"])
    assert "NobodyKnows" in in_words(SVR(folder))


def test_without_the_library(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert "pip install transformers" in in_words(SVR(folder))


def test_links_by_hand_need_no_skeleton(folder):
    names = ["encoder.layer.0.intermediate.dense", "encoder.layer.0.output.dense"]
    svr = SVR(folder, links=[tuple(names)], include=names)
    assert (list(svr.links), svr.model) == ([tuple(names)], None)


def test_a_configuration_of_something_else(tmp_path):
    (tmp_path / "config.json").write_text('{"architecture": "resnet50"}')
    save_file({"a.weight": torch.ones(3, 2)}, tmp_path / "w.safetensors")
    assert list(SVR(tmp_path).maps) == ["a"]


def test_the_configuration_tells_the_size_of_images(tmp_path):
    model, example = language.vit()
    saved(model, tmp_path)
    assert set(SVR(tmp_path).links) == set(SVR(model, example).links)


@pytest.mark.slow
def test_a_model_whose_input_is_not_known_is_shown_without_links_and_says_what_to_give(tmp_path):
    config = transformers.WhisperConfig(
        d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=8, decoder_ffn_dim=8, vocab_size=9,
        max_source_positions=5, max_target_positions=6, num_mel_bins=4, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    saved(transformers.WhisperModel(config), tmp_path)
    svr = SVR(tmp_path)
    assert svr.unlinked
    assert not svr.links
    assert sum("give SVR example_inputs=" in note for note in svr.notes) == 1
    ids = torch.ones(1, 3, dtype=torch.long)
    assert SVR(tmp_path, {"input_features": torch.ones(1, 4, 10), "decoder_input_ids": ids}).links
    with pytest.raises(TraceError, match="could not be traced"):
        SVR(tmp_path, {"input_features": torch.ones(1, 4, 7), "decoder_input_ids": ids})


def test_a_configuration_that_does_not_fit_its_weights_is_left_aside_with_a_note(tmp_path):
    model = transformers.BertModel(
        transformers.BertConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
            vocab_size=9, max_position_embeddings=6,
        )
    )  # fmt: skip
    saved(model, tmp_path)
    told = json.loads((tmp_path / "config.json").read_text())
    for other in ({"hidden_size": 16}, {"model_type": "llama", "architectures": ["LlamaModel"]}):
        (tmp_path / "config.json").write_text(json.dumps({**told, **other}))
        svr = SVR(tmp_path)
        assert not svr.links
        assert "encoder.layer.0.output.dense" in svr.maps
        assert sum("config.json and its weights do not fit" in note for note in svr.notes) == 1
    for named in (3, [None], "BertModel"):
        (tmp_path / "config.json").write_text(json.dumps({**told, "architectures": named}))
        assert SVR(tmp_path).links


def test_experts_in_a_folder_are_maps(tmp_path):
    config = transformers.MixtralConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=8, vocab_size=9, num_local_experts=2, max_position_embeddings=6,
    )  # fmt: skip
    model = transformers.MixtralModel(config).eval()
    saved(model, tmp_path)
    found, wanted = SVR(tmp_path), SVR(model)
    assert list(found.maps) == list(wanted.maps)
    assert set(found.links) == set(wanted.links)
    for name, linear in wanted.maps.items():
        torch.testing.assert_close(found.maps[name].weight, linear.weight)
