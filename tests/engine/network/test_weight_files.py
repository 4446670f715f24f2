"""Weights from files: what is read, in which order, and what is refused."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from svr_widget import SVR, SVRWidget
from svr_widget.engine.errors import SVRError, WidthMismatchError


@pytest.fixture
def model():
    """Twelve maps: by name alone, "10" would come before "2"."""
    widths = range(15, 2, -1)
    return nn.Sequential(*(nn.Linear(n, n - 1) for n in widths))


def sharded(state, folder: Path) -> Path:
    names = list(state)
    halves = {"b.safetensors": names[::2], "a.safetensors": names[1::2]}
    for file, held in halves.items():
        save_file({name: state[name] for name in held}, folder / file)
    index = folder / "model.safetensors.index.json"
    shards = {name: file for file, held in halves.items() for name in held}
    index.write_text(json.dumps({"metadata": {}, "weight_map": shards}))
    return index


def written(model, kind: str, folder: Path) -> Path:
    state = model.state_dict()
    path = folder / kind
    if kind == "index":
        return sharded(state, folder)
    if kind == "folder":
        path.mkdir()
        return sharded(state, path).parent
    if kind.endswith("safetensors"):
        save_file(state, path)
    elif kind == "among.pt":
        torch.save({"epoch": 3, "model": state, "optimizer": {"state": {}}}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind != "old.pth")
    return path


@pytest.mark.parametrize(
    "kind", ["w.safetensors", "index", "folder", "w.pt", "among.pt", "old.pth", "w.bin", "w.ckpt"]
)
def test_a_file_gives_its_weights_and_their_chain_where_it_is_said_to_be_one(model, kind, tmp_path):
    path = written(model, kind, tmp_path)
    svr = SVR(path, links="chain")
    whole = SVR(model)
    assert list(svr.links) == list(whole.links)
    for name, linear in whole.maps.items():
        assert torch.equal(svr.maps[name].weight, linear.weight)
    by_name = kind in ("w.safetensors", "index", "folder")
    assert any("keeps no order" in note for note in svr.notes) == by_name
    assert svr.title == (tmp_path.name if kind == "index" else kind)
    bag = SVRWidget(str(path)).svr
    assert (list(bag.maps), list(bag.links)) == (list(whole.maps), [])
    assert 'links="chain"' in bag.unlinked


def test_links_and_globs_hold_for_files(tmp_path):
    state = {"head.weight": torch.randn(2, 3), "stem.weight": torch.randn(3, 4)}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(WidthMismatchError, match="'head' 2x3 has 2"):
        SVR(tmp_path / "w.safetensors", links="chain")
    svr = SVR(tmp_path / "w.safetensors", links=[("stem", "head")])
    assert (list(svr.links), svr.notes) == ([("stem", "head")], ())
    assert list(SVR(tmp_path / "w.safetensors", exclude="head").maps) == ["stem"]


class Trap:
    """What a pickle can do to whoever reads it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_run(model, tmp_path):
    sprung = tmp_path / "sprung"
    for at, held in enumerate([{"w": Trap(sprung)}, Trap(sprung)]):
        for write in (lambda held, path: torch.save(held, path), pickled):
            path = tmp_path / f"{at}.pt"
            write(held, path)
            with pytest.raises(SVRError, match=r"\.pt (holds more than weights|is damaged)"):
                SVR(path)
    torch.save(model, tmp_path / "whole.pt")
    with pytest.raises(SVRError, match=r"whole.pt holds more than weights.*state_dict\(\)"):
        SVR(tmp_path / "whole.pt")
    assert not sprung.exists()


def pickled(held, path):
    path.write_bytes(pickle.dumps(held, protocol=2))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.safetensors", b"nonsense", "is damaged, or no safetensors file"),
        ("w.pt", b"nonsense", "(is damaged|holds more than weights)"),
        ("w.h5", b"", r"weights are read from \.safetensors"),
        ("m.safetensors.index.json", b"[]", "is no index of shards"),
        ("m.safetensors.index.json", b'{"weight_map": {"a": "../a.safetensors"}}', "not beside it"),
    ],
)
def test_other_files_are_refused(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SVRError, match=message):
        SVR(tmp_path / name)


def test_files_that_lack_something(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        SVR(tmp_path / "none.pt")
    with pytest.raises(FileNotFoundError, match="no safetensors file in"):
        SVR(tmp_path)
    torch.save({"epoch": 3, "loss": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(SVRError, match=r"holds a mapping with \['epoch', 'loss'\]"):
        SVR(tmp_path / "w.pt")
    index = sharded(model.state_dict(), tmp_path)
    SVR(model).save(tmp_path / "c.safetensors")
    with pytest.raises(SVRError, match=r"is a saved SVR: SVR\.load"):
        SVR(tmp_path / "c.safetensors")
    listed = json.loads(index.read_text())
    listed["weight_map"]["more"] = "a.safetensors"
    index.write_text(json.dumps(listed))
    with pytest.raises(SVRError, match=r"looks for .more"):
        SVR(index)
    (tmp_path / "a.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="names the shard"):
        SVR(index)
    index.unlink()
    with pytest.raises(SVRError, match="holds 2 files of weights"):
        SVR(tmp_path)


def test_folders_by_the_usual_names_in_any_case_and_one_level_down(tmp_path):
    state = {"a.weight": torch.eye(3)}
    other = {"b.weight": torch.eye(3)}
    for folder in ("usual", "cased", "nested/unet", "nested/vae", "two"):
        (tmp_path / folder).mkdir(parents=True)
    save_file(state, tmp_path / "usual/model.safetensors")
    save_file(other, tmp_path / "usual/model.fp16.safetensors")
    svr = SVR(tmp_path / "usual")
    assert list(svr.maps) == ["a"]
    assert sum("not 'model.fp16.safetensors'" in note for note in svr.notes) == 1
    torch.save(state, tmp_path / "cased/MODEL.PT")
    assert list(SVR(tmp_path / "cased").maps) == ["a"]
    for part in ("unet", "vae"):
        save_file(state, tmp_path / f"nested/{part}/diffusion_pytorch_model.safetensors")
    for name in ("x", "y"):
        save_file(state, tmp_path / f"two/{name}.safetensors")
    for folder, error in (("nested", FileNotFoundError), ("two", SVRError)):
        with pytest.raises(error, match="name one, as in") as refused:
            SVR(tmp_path / folder)
        advice = str(refused.value).rpartition("as in ")[2]
        assert list(eval(advice, {"SVR": SVR}).maps) == ["a"]


def test_a_name_that_no_file_can_have():
    with pytest.raises(FileNotFoundError, match="there is no file 'aaa"):
        SVR("a" * 5000)


def test_an_index_of_nothing(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(SVRError, match="names no weights"):
        SVR(tmp_path)
