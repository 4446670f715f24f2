"""An SVR as a pickle: what it keeps, by whatever it is pickled, and that nothing else is run."""

import copy
import io
import multiprocessing
import pickle
import pickletools
import subprocess
import sys
import threading
from pathlib import Path

import joblib
import pytest
import torch
from torch import nn

from svr_widget import SVR
from svr_widget.engine.errors import SVRError
from svr_widget.svr import _unpickled
from tests.engine.support.gaussian import gaussian
from tests.engine.support.zoo import language


def by_torch(svr):
    file = io.BytesIO()
    torch.save(svr, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def by_joblib(svr):
    file = io.BytesIO()
    joblib.dump(svr, file)
    file.seek(0)
    return joblib.load(file)


WAYS = {
    **{f"pickle {p}": lambda svr, p=p: pickle.loads(pickle.dumps(svr, p)) for p in range(2, 6)},
    "deepcopy": copy.deepcopy,
    "joblib": by_joblib,
    "torch": by_torch,
}


class Locked(nn.Module):
    """A model that cannot be pickled, as many cannot."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
        self.first, self.last = nn.Conv2d(2, 4, 3), nn.Linear(4 * 4, 5)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)).flatten(1))


def of_model():
    return SVR(Locked(), torch.zeros(1, 2, 4, 4), seed=3, null="chi2")


@pytest.mark.parametrize("way", WAYS)
def test_a_copy_says_the_same(way):
    svr = of_model()
    again = WAYS[way](svr)
    assert type(again) is SVR
    assert (again.model, again.settings, again.title) == (None, svr.settings, svr.title)
    assert (list(again.maps), list(again.links)) == (list(svr.maps), list(svr.links))
    assert again.notes == svr.notes
    for name, linear in svr.maps.items():
        assert torch.equal(again.maps[name].weight, linear.weight)
    assert again.edges(p=0.5).equals(svr.edges(p=0.5))
    assert again.by_method("cosvr").neurons().equals(svr.by_method("cosvr").neurons())
    with pytest.raises(SVRError, match=r"make the SVR from the nn\.Module"):
        again.spectral_activations(torch.zeros(1, 2, 4, 4))


def test_nothing_is_computed_for_it_and_nothing_computed_is_lost():
    svr = of_model()
    again = pickle.loads(pickle.dumps(svr))
    assert not svr.decomposed
    assert not again.decomposed
    svr["first"]
    again = pickle.loads(pickle.dumps(svr))
    assert list(again.decomposed) == list(svr.decomposed) == [("first", "svr")]
    assert torch.equal(again["first"].U, svr["first"].U)
    assert again["first"].U.data_ptr() != svr["first"].U.data_ptr()


def test_tied_weights_products_and_files_without_weights(tmp_path):
    model, *inputs = language.gpt2()
    svr = SVR(model, *inputs)
    again = copy.deepcopy(svr)
    assert again.edges(p=0.1).equals(svr.edges(p=0.1))
    assert [m.tied_to for m in again.maps.values()] == [m.tied_to for m in svr.maps.values()]
    svr.save(tmp_path / "graph.safetensors")
    loaded = SVR.load(tmp_path / "graph.safetensors")
    again = pickle.loads(pickle.dumps(loaded))
    assert again.edges(p=0.1).equals(svr.edges(p=0.1))
    with pytest.raises(SVRError, match="was not saved"):
        _ = again.maps[next(iter(again.maps))].weight


class Named(SVR):
    """A class of the user's own."""


def test_a_class_of_the_users_own_stays():
    assert type(copy.deepcopy(Named([gaussian(3, 4)]))) is Named


def test_a_shallow_copy_still_shares_everything():
    svr = of_model()
    other = copy.copy(svr)
    assert other.model is svr.model
    other["first"]
    assert list(svr.decomposed) == [("first", "svr")]


def test_while_another_thread_computes():
    svr = SVR([gaussian(60, 60) for _ in range(6)])
    worker = threading.Thread(target=svr.compute)
    worker.start()
    copies = [pickle.loads(pickle.dumps(svr)) for _ in range(5)]
    worker.join()
    for each in copies:
        assert each.neurons().equals(svr.neurons())


def first_singular_value(svr):
    return float(svr["0"].S[0]), type(svr).__name__, svr


@pytest.mark.slow
def test_in_another_process():
    """There and back again, as a pool sends it; the process knows nothing of this one."""
    svr = SVR([gaussian(3, 4), gaussian(5, 3)])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        [(value, kind, back)] = pool.map(first_singular_value, [svr])
    assert (value, kind) == (float(svr["0"].S[0]), "SVR")
    assert torch.equal(back["0"].U, svr["0"].U)


def test_a_pickle_names_our_function_and_class_alone():
    pickled = pickle.dumps(of_model(), 4)
    strings = [a for op, a, _ in pickletools.genops(pickled) if "UNICODE" in op.name]
    assert strings == ["svr_widget.svr", "_unpickled", "SVR"]


@pytest.mark.parametrize("cls", [dict, subprocess.Popen, "SVR", None])
def test_other_classes_are_refused(cls, tmp_path):
    _, (_, content) = SVR([gaussian(3, 4)]).__reduce__()
    with pytest.raises(SVRError, match="the pickle is damaged"):
        _unpickled(cls, content)


def test_damaged_bytes_are_refused():
    _, (cls, content) = SVR([gaussian(3, 4)]).__reduce__()
    half = len(content) // 2
    for spoilt in (
        b"",
        b"{}",
        content[:half],
        content[:-1],
        content[:half] + b"x" + content[half:],
    ):
        with pytest.raises(SVRError, match="the pickle"):
            _unpickled(cls, spoilt)


@pytest.mark.slow
def test_a_pickle_is_read_where_nothing_was_imported(tmp_path):
    path = tmp_path / "svr.pickle"
    path.write_bytes(pickle.dumps(SVR([gaussian(3, 4)])))
    code = f"import pickle; print(pickle.load(open({str(path)!r}, 'rb')))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "1 weight: 1 maps" in ran.stdout
