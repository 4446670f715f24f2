"""What training scripts save: where the weights are in it, and what is no weight."""

import io
import pickle
import re
import zipfile

import pytest
import torch
from torch import nn

from svr_widget import SVR
from svr_widget.engine.errors import SVRError, UnsupportedLayerError
from svr_widget.engine.network.bare_weights import orientation
from svr_widget.engine.network.checkpoints.nesting import USUAL


@pytest.fixture
def state():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)).state_dict()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "w.pt"


def maps(held, path):
    torch.save(held, path)
    return list(SVR(path).maps)


OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(3, 4)}}, "param_groups": [{"lr": 0.1}]}


@pytest.mark.parametrize("key", USUAL)
def test_usual_keys_are_looked_into(key, state, path):
    beside = {"step": 1, "optimizer": OPTIMIZER, "loss": torch.zeros(1), "args": {"lr": 0.1}}
    assert maps({**beside, key: state}, path) == ["0", "2"]
    assert maps({"checkpoint": {**beside, key: state}}, path) == ["0", "2"]
    assert maps({"model": {key: state}, "epoch": 3}, path) == ["0", "2"]


def test_a_mapping_of_tensors_that_is_alone(state, path):
    assert maps({"my_net": state, "step": 3, "optimizer": OPTIMIZER}, path) == ["0", "2"]


def test_one_of_several_is_chosen_and_it_is_said(state, path):
    torch.save({"params_ema": state, "params": state}, path)
    note = "the weights are those in ['params']; 'params_ema' holds weights too"
    assert note in SVR(path).notes
    torch.save({"actor": state, "critic": state, "step": 1}, path)
    with pytest.raises(SVRError, match="several mappings of weights, 'actor', 'critic'") as refused:
        SVR(path)
    code = re.search(r"SVR\(.*\)", str(refused.value))[0]
    assert list(eval(code, {"SVR": SVR, "torch": torch}).maps) == ["0", "2"]


@pytest.mark.parametrize(
    ("held", "taken", "beside"),
    [
        (("model", "model_ema"), "model", "'model_ema' holds"),
        (("ema", "state_dict"), "state_dict", "'ema' holds"),
        (("teacher", "student"), "student", "'teacher' holds"),
        (("g", "d", "g_ema"), "g_ema", "'g', 'd' hold"),
        (("my_net", "network"), "network", "'my_net' holds"),
    ],
)
def test_averages_and_others_beside_the_weights_are_told(held, taken, beside, path):
    states = {name: {"a": torch.eye(3) * (place + 2)} for place, name in enumerate(held)}
    torch.save({**states, "step": 7}, path)
    svr = SVR(path)
    assert torch.equal(svr.maps["a"].weight, states[taken]["a"])
    assert f"the weights are those in ['{taken}']; {beside} weights too" in svr.notes


def test_weights_that_are_alone_are_found_at_any_depth_but_never_an_optimizers(state, path):
    assert maps({"a": {"b": {"c": state}}, "optimizer": {"exp_avg": torch.eye(3)}}, path) == [
        "0",
        "2",
    ]
    for held in (
        OPTIMIZER,
        {"optimizer": OPTIMIZER, "epoch": 3},
        {"optim_state": {"w": torch.eye(3)}},
        torch.optim.SGD([torch.eye(3)], momentum=0.9).state_dict(),
    ):
        torch.save(held, path)
        for source in (path, held):
            with pytest.raises(SVRError, match=r"the state of an optimizer.*no weights; give SVR"):
                SVR(source)


def test_a_single_tensor_is_given_as_the_message_says(path):
    torch.save(torch.eye(3), path)
    with pytest.raises(SVRError, match="holds a Tensor, and no weights by name") as refused:
        SVR(path)
    code = re.search(r"SVR\(.*\)", str(refused.value))[0]
    assert list(eval(code, {"SVR": SVR, "torch": torch}).maps) == ["0"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch says that quantisation moves to torchao
def test_quantised_complex_and_nested_tensors(state, path):
    numbers = torch.randn(3, 4)
    scales, zeros = torch.full((3,), 0.05), torch.zeros(3, dtype=torch.int64)
    quantised = {
        "one.weight": torch.quantize_per_tensor(numbers, 0.05, 3, torch.qint8),
        "rows.weight": torch.quantize_per_channel(numbers, scales, zeros, 0, torch.qint8),
        "freqs": torch.ones(4, 2, dtype=torch.complex64),
    }
    torch.save(quantised, path)
    svr = SVR(path)
    for name in ("one", "rows"):
        assert torch.equal(svr.maps[name].weight, quantised[f"{name}.weight"].dequantize())
    assert any("'freqs' (4x2)" in note and "complex" in note for note in svr.notes)
    ragged = torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(4, 3)])
    svr = SVR({**state, "ragged": ragged})
    assert any("'ragged'" in note for note in svr.notes)


def test_whatever_reading_raises_names_the_file(state, path, monkeypatch):
    torch.save(state, path)
    monkeypatch.setattr(orientation, "floating", lambda *_: 1 / 0)
    with pytest.raises(SVRError, match=rf"{re.escape(str(path))} cannot be read: ZeroDivision"):
        SVR(path)


def test_a_file_saved_on_a_gpu(state, path, monkeypatch):
    monkeypatch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
    torch.save({"step": 1, "model_state": state, "optimizer_state": {}}, path)
    assert list(SVR(path).maps) == ["0", "2"]
    torch.save([each for each in state.values() if each.ndim > 1], path)
    with pytest.raises(SVRError, match="holds a list, and no weights by name") as refused:
        SVR(path)
    code = re.search(r"torch\.load\(.*\)", str(refused.value))[0]
    assert list(SVR(eval(code, {"torch": torch})).maps) == ["0", "1"]


def test_what_is_no_weight_is_passed_over_with_one_note(state, path):
    beside = {
        "index": torch.zeros(3, 3, dtype=torch.int64),
        "mask": torch.ones(3, 3, dtype=torch.bool),
        "batches": torch.tensor(7),
        "steps": 3,
        "name": "net",
        "nothing": None,
    }
    torch.save({**beside, **state}, path)
    svr = SVR(path)
    assert list(svr.maps) == ["0", "2"]
    told = (
        "passed over, for they are no weights: 'index' (int64), 'mask' (bool), 'steps' (int) "
        "and 2 more"
    )
    assert svr.notes == (svr.unlinked, told)
    held = SVR({**beside, **state})
    assert held.notes == (held.unlinked, told), "in a mapping as in a file"
    torch.save({**state, "batches": torch.tensor(7)}, path)
    assert len(SVR(path).notes) == 1, "vectors and counters are no news"


def test_weights_in_codes_are_no_buffers(state, path):
    torch.save({**state, "0.weight": torch.zeros(3, 4, dtype=torch.int8)}, path)
    with pytest.raises(UnsupportedLayerError, match=r"'0'.*which are codes"):
        SVR(path)


def test_packed_members_are_read(state, path):
    """A mapping of a packed file would show packed bytes as numbers."""
    pruned = torch.zeros(3000, 1000)
    pruned[7, 5] = 1
    state["sparse.weight"] = pruned
    torch.save(state, path)
    with zipfile.ZipFile(path) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    assert path.stat().st_size * 200 < pruned.nbytes
    svr = SVR(path, links=[("0", "2")])
    assert torch.equal(svr.maps["0"].weight, state["0.weight"])
    assert torch.equal(svr.maps["sparse"].weight, pruned)


def test_a_member_that_claims_more_than_it_can_hold(path):
    torch.save({"a": torch.zeros(40, 40)}, path)
    with zipfile.ZipFile(path) as whole:
        members = {name: whole.read(name) for name in whole.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"/data/0"))
    content[at + 24 : at + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(SVRError, match=r"w\.pt is damaged: '.*/data/0' claims 2,147,483,648"):
        SVR(path)


def sparse(indices, *size):
    values = torch.ones(indices.shape[1])
    return torch.sparse_coo_tensor(indices, values, size, check_invariants=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.zeros(1).expand(10**6, 10**6), "'a' claims 1,000,000,000,000 entries"),
        (lambda: sparse(torch.zeros(2, 1), 10**6, 10**6), "'a' claims 1,000,000,000,000 entries"),
        (lambda: torch.empty(10**6, 10**6, device="meta"), "'a' has a shape and no values"),
        (lambda: sparse(torch.full((2, 1), 10**9), 3, 4), "the sparse 'a' is none"),
        (lambda: sparse(torch.full((2, 1), -5), 3, 4), "the sparse 'a' is none"),
    ],
)
def test_tensors_that_stand_for_more_than_there_is(make, message, path):
    torch.save({"a": make()}, path)
    with pytest.raises(SVRError, match=f"{re.escape(str(path))}.*{message}"):
        SVR(path)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_sparse_weights_are_read(path):
    weight = torch.eye(4)[:3]
    layouts = weight.to_sparse(), weight.to_sparse_csr(), weight.to_sparse_csc()
    for held in (*layouts, weight.to_sparse_bsr((1, 2)), weight.to_sparse_bsc((1, 2))):
        torch.save({"a": held}, path)
        assert torch.equal(SVR(path).maps["a"].weight, weight)


def test_an_old_file_whose_storage_claims_more_than_there_is(path):
    file = io.BytesIO()
    held = {"a": torch.arange(16.0).reshape(4, 4)}
    torch.save(held, file, _use_new_zipfile_serialization=False)
    content = file.getvalue()
    assert content.count(b"K\x10N") == 1
    huge = b"\x8a\x06" + (10**12).to_bytes(6, "little")
    path.write_bytes(content.replace(b"K\x10N", huge + b"N"))
    with pytest.raises(SVRError, match="a storage claims 1,000,000,000,000 entries"):
        SVR(path)


def test_two_weights_of_one_name(path):
    torch.save({0: torch.eye(3), "0": torch.eye(3)}, path)
    with pytest.raises(SVRError, match="two weights called '0'"):
        SVR(path)


def test_mappings_in_themselves_end(path):
    held = {"step": 3}
    held["model"] = held
    path.write_bytes(b"")
    torch.save(held, path)
    with pytest.raises(SVRError, match="no weights by name"):
        SVR(path)


class Trap:
    def __reduce__(self):
        return print, ("sprung",)


def test_the_class_that_would_be_run_is_named(state, path, capsys):
    torch.save({"model": state, "hook": Trap()}, path)
    with pytest.raises(SVRError, match=r"holds more than weights \(print\), and to read"):
        SVR(path)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(SVRError, match="a pickle that torch"):
        SVR(path)
    assert capsys.readouterr().out == ""


def test_another_protocol_is_no_damage(state, path):
    torch.save(state, path, pickle_protocol=4)
    with pytest.warns(UserWarning, match="protocol 4"), pytest.raises(SVRError) as refused:
        SVR(path)
    assert "was saved by another pickle_protocol than torch.save's own" in str(refused.value)
