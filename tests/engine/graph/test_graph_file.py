"""Graphs written to a file and read again: the same to the bit, or refused."""

import json
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from svr_widget.engine.errors import SVRError
from svr_widget.engine.maps.links import Link
from svr_widget.engine.work import records
from svr_widget.svr import SVR
from tests.engine.support.gaussian import gaussian
from tests.engine.support.zoo import chains, convolutional, language


def of_zoo(model, *shapes):
    torch.manual_seed(0)
    return model(), tuple(torch.zeros(shape) for shape in shapes)


def parallel():
    some = torch.tensor([0, 2]), torch.tensor([1, 0])
    links = [Link("0", "1", *some, ("mul",)), Link("0", "1", some[1], some[0]), ("1", "1")]
    return SVR([gaussian(3, 4), gaussian(3, 3)], links=links)


def mixed():
    return [gaussian(9, 4, 3, 3), gaussian(7, 9 * 4, dtype=torch.float64), gaussian(5, 7)]


class Normed(nn.Module):
    def __init__(self):
        super().__init__()
        self.inlet, self.norm = nn.Linear(6, 8), nn.LayerNorm(8)
        self.outlet = nn.Linear(8, 5)
        with torch.no_grad():
            self.norm.weight.copy_(gaussian(8))

    def forward(self, x):
        return self.outlet(self.norm(self.inlet(x)))


GRAPHS = {
    "a chain that flattens, of two precisions": lambda: SVR(mixed(), seed=3),
    "channels last": lambda: SVR(*of_zoo(lambda: chains.LeNet(True), (1, 1, 20, 20))),
    "unflattened": lambda: SVR(*of_zoo(chains.Autoencoder, (1, 1, 6, 6))),
    "flattened together": lambda: SVR(*of_zoo(chains.ImageAndVector, (2, 1, 4, 4), (2, 3))),
    "depthwise": lambda: SVR(*of_zoo(convolutional.MobileNet, (1, 3, 16, 16)), null="chi2"),
    "shuffled groups": lambda: SVR(*of_zoo(convolutional.ShuffleNet, (1, 3, 16, 16))),
    "recurrent": lambda: SVR(*of_zoo(chains.Recurrent, (2, 4, 3))),
    "parallel and backward links": parallel,
    "truncated": lambda: SVR(mixed(), rank=3),
    "folded norms": lambda: SVR(Normed(), norm="fold"),
    "co-SVR": lambda: SVR(mixed(), method="cosvr"),
    "cross": lambda: SVR([gaussian(6, 4, 3, 3), gaussian(5, 6, 3, 3)], method="cross"),
    "null neurons and a zero map": lambda: SVR([torch.zeros(4, 3), torch.ones(5, 4)]),
}


def contents(path):
    with safe_open(path, framework="pt") as file:
        names = sorted(file.keys())
        return file.metadata(), {name: file.get_tensor(name) for name in names}


def assert_same(found, expected):
    """Field by field, tensors to the bit."""
    assert type(found) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)
    elif isinstance(expected, tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif hasattr(expected, "__dataclass_fields__"):
        for field in fields(expected):
            assert_same(getattr(found, field.name), getattr(expected, field.name))
    else:
        assert found == expected


@pytest.mark.parametrize("name", GRAPHS)
def test_the_same_to_the_bit(name, tmp_path):
    svr, path = GRAPHS[name](), tmp_path / "graph.safetensors"
    svr.save(path)
    assert not svr._streams, "saving decomposes, and no more"
    again = SVR.load(path)
    assert again.neurons().equals(svr.neurons())
    assert again.edges(p=0.5).equals(svr.edges(p=0.5))
    assert again.super_feature(p=0.5).equals(svr.super_feature(p=0.5))
    assert list(again.links) == list(svr.links)
    for key in svr.links:
        assert torch.equal(again.adjacency(key).dense(), svr.adjacency(key).dense())
        assert again.internal_dimensions(key) == svr.internal_dimensions(key)
        assert_same(again.links[key], svr.links[key])
    assert (again.title, again.notes, again.settings) == (svr.title, svr.notes, svr.settings)
    assert (again.model, repr(again), again._repr_html_()) == (None, repr(svr), svr._repr_html_())
    for column in svr.columns:
        assert_same(again[column], svr[column])


@pytest.mark.parametrize("name", GRAPHS)
def test_with_weights_everything_but_the_model(name, tmp_path):
    svr, path = GRAPHS[name](), tmp_path / "graph.safetensors"
    svr.save(path, weights=True)
    again = SVR.load(path)
    for linear in svr.maps.values():
        assert_same(again.maps[linear.name], linear)
        for method in ("svr", "cosvr"):
            assert_same(
                again.decomposition(linear.name, method), svr.decomposition(linear.name, method)
            )


def test_products_and_tied_weights(tmp_path):
    model, *inputs = language.gpt2()
    svr = SVR(model, *inputs)
    for weights in (False, True):
        path = tmp_path / f"{weights}.safetensors"
        svr.save(path, weights=weights)
        again = SVR.load(path)
        assert again.edges(p=0.1).equals(svr.edges(p=0.1))
        tied = [linear for linear in again.maps.values() if linear.tied_to]
        assert tied
        if weights:
            for linear in tied:
                first = again.maps[linear.tied_to]
                assert linear.factors[0].data_ptr() == first.factors[0].data_ptr()
        named = [f"map.{list(svr.maps).index(linear.name)}.factors" for linear in tied]
        assert not any(name.startswith(tuple(named)) for name in contents(path)[1])


def test_what_needs_the_weights_or_the_model_says_so(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 3))
    path = tmp_path / "graph.safetensors"
    SVR(model).save(path)
    svr = SVR.load(path)
    assert svr.maps["0"].shape == (4, 3, 3, 3)
    for call in (
        lambda: svr.maps["0"].weight,
        lambda: svr.decomposition("0", "cosvr"),
        lambda: svr.null_comparison(("0", "2")),
    ):
        with pytest.raises(SVRError, match=r"weight of '0' is needed and was not saved.*weights="):
            call()
    with pytest.raises(SVRError, match="make the SVR from the"):
        svr.spectral_activations(torch.zeros(1, 3, 8, 8))


def test_what_is_loaded_can_be_saved(tmp_path):
    first, second = tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    SVR(mixed()).save(first)
    SVR.load(first).save(second)
    (metadata, tensors), (metadata2, tensors2) = contents(first), contents(second)
    assert metadata == metadata2
    assert_same(tuple(tensors2.values()), tuple(tensors.values()))


class TestRefusals:
    @pytest.fixture
    def path(self, tmp_path):
        path = tmp_path / "graph.safetensors"
        SVR([gaussian(4, 3), gaussian(5, 4)]).save(path)
        return path

    def altered(self, path, change):
        """The file with another header or other tensors."""
        metadata, tensors = contents(path)
        change(metadata, tensors)
        save_file(tensors, path, metadata)
        return path

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"there is no file .*gone"):
            SVR.load(tmp_path / "gone")

    @pytest.mark.parametrize("cut", [0, 5, 100, -1])
    def test_a_file_that_is_cut_off(self, path, cut):
        path.write_bytes(path.read_bytes()[:cut])
        with pytest.raises(SVRError, match=r"graph\.safetensors is damaged"):
            SVR.load(path)

    def test_any_changed_byte(self, path):
        """In the header or in a tensor: never another graph, never another error."""
        whole = path.read_bytes()
        places = np.linspace(0, len(whole) - 1, 150).astype(int)
        for place in places:
            changed = bytearray(whole)
            changed[place] ^= 1
            path.write_bytes(changed)
            with pytest.raises(SVRError, match=r"graph\.safetensors"):
                SVR.load(path)

    def test_other_files(self, tmp_path):
        path = tmp_path / "weights.safetensors"
        save_file({"a": torch.eye(2)}, path)
        with pytest.raises(SVRError, match=r"was not written by SVR\.save"):
            SVR.load(path)
        path.write_bytes(b"\x80\x04cos\nsystem\n")
        with pytest.raises(SVRError, match=r"was not written by SVR\.save.*it is a pickle"):
            SVR.load(path)
        path.write_bytes(b"\0\1\2\3 nothing known")
        with pytest.raises(SVRError, match="damaged, or no safetensors file"):
            SVR.load(path)

    def test_a_newer_version(self, path):
        self.altered(path, lambda metadata, _: metadata.update(version="2"))
        with pytest.raises(SVRError, match=r"newer svr_widget \(its format is 2, this one"):
            SVR.load(path)

    def test_a_missing_tensor(self, path):
        self.altered(path, lambda _, tensors: tensors.pop("neurons.0.S"))
        with pytest.raises(SVRError, match=r"lacks the tensor 'neurons\.0\.S'"):
            SVR.load(path)

    def test_a_record_of_another_kind(self, path):
        def change(metadata, _):
            record = json.loads(metadata["svr"])
            record["maps"][0]["is"] = "Popen"
            metadata["svr"] = json.dumps(record)
            metadata["sum"] = str(zlib.crc32(metadata["svr"].encode()))

        with pytest.raises(SVRError, match=r"is damaged: KeyError\('Popen'\)"):
            SVR.load(self.altered(path, change))


def test_files_of_before_are_still_read():
    """Written by the code of commit 6e391cd, when the format was settled."""
    folder = Path(__file__).parent / "version_1"
    svr = SVR.load(folder / "graph.safetensors")
    expected = pd.read_csv(folder / "edges.csv", dtype={"producer": str, "consumer": str})
    found = svr.edges(p=0.5)
    assert found[["producer", "m", "consumer", "n"]].equals(
        expected[["producer", "m", "consumer", "n"]]
    )
    np.testing.assert_allclose(found["weight"], expected["weight"], rtol=1e-6)
    assert (svr.seed, svr.null, list(svr.maps)) == (3, "chi2", ["0", "4", "6"])
    assert svr.maps["4"].input_layout.kernel == (2, 2)
    assert svr.by_method("cosvr").edges(p=0.5).notna().all(axis=None), "from the weights in it"


def test_the_folder_of_a_relative_path_is_that_of_the_call(tmp_path, monkeypatch):
    (tmp_path / "then").mkdir()
    monkeypatch.chdir(tmp_path / "then")
    svr = SVR([gaussian(4, 3), gaussian(5, 4)])
    decompose = SVR.decomposition

    def moving(*arguments):
        monkeypatch.chdir(tmp_path)
        return decompose(*arguments)

    monkeypatch.setattr(SVR, "decomposition", moving)
    svr.save("graph.safetensors")
    assert [each.name for each in tmp_path.iterdir()] == ["then"]
    assert [each.name for each in (tmp_path / "then").iterdir()] == ["graph.safetensors"]


def test_what_cannot_be_written_is_told_before_anything_is_computed(tmp_path):
    svr = SVR([gaussian(4, 3), gaussian(5, 4)])
    for path in (tmp_path, tmp_path / "gone" / "graph.safetensors"):
        with pytest.raises(OSError, match="folder"):
            svr.save(path)
    assert not svr.decomposed


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "graph.safetensors"
    svr = SVR([gaussian(4, 3), gaussian(5, 4)])
    svr.save(path)
    before = path.read_bytes()

    def fails(file, *_):
        file.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(records, "_write", fails)
    with pytest.raises(OSError, match="disk full"):
        svr.save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["graph.safetensors"]


def test_files_are_as_others_that_the_process_makes(tmp_path):
    other = tmp_path / "other"
    other.touch()
    SVR([gaussian(4, 3)]).save(tmp_path / "graph.safetensors")
    assert (tmp_path / "graph.safetensors").stat().st_mode == other.stat().st_mode
