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
