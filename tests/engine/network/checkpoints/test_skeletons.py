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


def test_a_model_whose_input_is_not_known_says_what_to_give(tmp_path):
    model, example = language.vit()
    saved(model, tmp_path)
    with pytest.raises(TraceError, match=r"Pass example_inputs="):
        SVR(tmp_path)
    assert SVR(tmp_path, example).links
