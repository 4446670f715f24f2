"""Files that are called otherwise than they are: read, or named, with advice that holds."""

import bz2
import gzip
import importlib
import json
import lzma
import os
import pickle
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from svr_widget import SVR, SVRRecorder
from svr_widget.engine.errors import SVRError
from svr_widget.engine.network.checkpoints.formats import what_is


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))


def refusal(path):
    """What is said of a file, which never leads to running what is in one."""
    with pytest.raises(SVRError, match=re.escape(path.name)) as refused:
        SVR(path)
    said = str(refused.value)
    assert not re.search(r"weights_only[`'\" ]*(=|to) *`?False", said)
    assert "jit.load" not in said
    return said


def do(said, code, **names):
    """What a message says to do, word for word."""
    found = re.search(code, said)
    assert found, said
    return eval(found[0], {"torch": torch, "numpy": numpy, "SVR": SVR, **names})


def run(said, command, folder):
    found = re.search(rf"\(({command} .*?)\), and", said)
    assert found, said
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    subprocess.run(found[1], shell=True, check=True, cwd=folder, env={**os.environ, "PATH": path})


def test_a_pointer_of_git_lfs(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    digest = "a" * 64
    path.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 438007537\n"
    )
    for there, word in ((None, "install Git LFS"), ("/usr/bin/git-lfs", "; run 'git lfs pull'")):
        formats = importlib.import_module("svr_widget.engine.network.checkpoints.formats")
        monkeypatch.setattr(formats.shutil, "which", lambda _, there=there: there)
        said = refusal(path)
        assert "a Git LFS pointer, which stands for a file of 438,007,537 bytes" in said
        assert word in said
        assert "damaged" not in said


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html><title>Quota exceeded</title></html>", "web page ('Quota exceeded"),
        (b"\xef\xbb\xbf\n <html><body>Sign in</body></html>", "web page ('<html><body>Sign in"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "web page ("),
        (b'{"error": "Repository not found"}', """JSON ('{"error": "Repository not found"}')"""),
        (b"Entry not found", "text ('Entry not found')"),
        ("Zugriff verweigert: für Sie".encode() * 400, "text ('Zugriff"),
        (b"GGUF\x03\0\0\0" + bytes(64), "a GGUF file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "an HDF5 file"),
        (b"\x1c\0\0\0TFL3" + bytes(64), "a TensorFlow Lite model"),
        (b"\x08\x08\x12\x07pytorch\x1a\x032.9" + bytes(64), "a model in the ONNX format"),
        (b"\x08\x03:\xe0\x01" + bytes(64), "a model in the ONNX format"),
    ],
)
@pytest.mark.parametrize("name", ["w.pt", "w.bin", "w.safetensors", "w"])
def test_what_is_no_file_of_weights(content, words, name, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    assert words in refusal(path)
    assert "damaged, or no" not in refusal(path) or words.startswith("text")
    with pytest.raises(SVRError, match=re.escape(words)):
        SVR.load(path)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors", "w.ckpt"])
@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (bytes(5000), "nothing but zeros")])
def test_what_was_cut_off_or_never_written(content, words, name, tmp_path):
    (tmp_path / name).write_bytes(content)
    said = refusal(tmp_path / name)
    assert f"it is {words}" in said
    assert "get it again" in said


@pytest.mark.parametrize(
    "name", ["w.pt", "w.bin", "w.safetensors", "W.PTH", "w.pth.tar", "w", "w.x"]
)
@pytest.mark.parametrize("kind", ["torch", "legacy torch", "safetensors"])
def test_weights_are_read_whatever_they_are_called(name, kind, model, tmp_path):
    path, state = tmp_path / name, model.state_dict()
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "torch")
    assert what_is(path).name == kind
    svr = SVR(path)
    for key in ("0", "2"):
        assert torch.equal(svr.maps[key].weight, state[f"{key}.weight"])
    otherwise = (name == "w.safetensors") != (kind == "safetensors") and name[-1] != "x"
    otherwise &= path.suffix.lower() in (".pt", ".bin", ".pth", ".safetensors")
    assert any("whatever it is called" in note for note in svr.notes) == otherwise


def test_folders_and_the_home_of_the_user(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "folder").mkdir()
    torch.save(model.state_dict(), tmp_path / "folder" / "pytorch_model.bin")
    for beside in ("optimizer.pt", "training_args.bin", "rng_state_0.pth"):
        (tmp_path / "folder" / beside).write_bytes(b"no weights")
    assert list(SVR("~/folder").maps) == list(SVR("~/folder/pytorch_model.bin").maps) == ["0", "2"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~").mkdir()
    save_file({"a": torch.eye(2)}, tmp_path / "~" / "w.safetensors")
    assert list(SVR("~/w.safetensors").maps) == ["a"], "a folder that is called so"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_programs_and_not_weights(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = torch.zeros(1, 4)
    torch.jit.trace(model, example).save("script.pt")
    program = torch.export.export(model, (example,))
    torch.export.save(program, "exported.pt2")
    (tmp_path / "exported.pt2").rename("exported.pt")
    torch.save(model, "whole.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(model))
    for name, words in {
        "script.pt": "a TorchScript archive",
        "exported.pt": "an archive of torch.export",
        "whole.pt": "holds more than weights (torch.nn.modules.container.Sequential)",
        "plain.pt": "a pickle that torch.save did not write",
    }.items():
        said = refusal(tmp_path / name)
        assert words in said
        assert "damaged" not in said
        do(said, r"torch\.save\(.*?'weights\.pt'\)", model=model, program=program)
        assert list(SVR("weights.pt").maps) == ["0", "2"]
        (tmp_path / "weights.pt").unlink()


def test_arrays_of_numpy(tmp_path):
    numpy.savez(tmp_path / "it's.npz", first=numpy.eye(3), second=numpy.eye(3))
    numpy.save(tmp_path / "w.npy", numpy.eye(3))
    packed = do(refusal(tmp_path / "it's.npz"), r"SVR\(.*\)")
    assert list(packed.maps) == ["first", "second"]
    assert list(do(refusal(tmp_path / "w.npy"), r"SVR\(.*\)").maps) == ["0"]


def test_archives_are_unpacked_as_the_message_says(model, tmp_path):
    inner = tmp_path / "inner.pt"
    torch.save(model.state_dict(), inner)
    content = inner.read_bytes()
    with tarfile.open(tmp_path / "a tar.pt", "w") as archive:
        archive.add(inner, "inner.pt")
    with zipfile.ZipFile(tmp_path / "a zip.pt", "w") as archive:
        archive.write(inner, "inner.pt")
    inner.unlink()
    for name, command in (("a tar.pt", "tar"), ("a zip.pt", "python")):
        run(refusal(tmp_path / name), command, tmp_path)
        assert list(SVR(inner).maps) == ["0", "2"]
        inner.unlink()
    for suffix, pack, command in (
        ("gz", gzip.compress, "gzip"),
        ("bz2", bz2.compress, "bzip2"),
        ("xz", lzma.compress, "xz"),
    ):
        (tmp_path / f"inner.pt.{suffix}").write_bytes(pack(content))
        said = refusal(tmp_path / f"inner.pt.{suffix}")
        assert f"packed by {command}" in said
        run(said, command, tmp_path)
        assert list(SVR(inner).maps) == ["0", "2"]
        inner.unlink()


def test_files_of_ours_are_named(model, tmp_path):
    SVR(model).save(tmp_path / "graph.pt")
    assert list(do(refusal(tmp_path / "graph.pt"), r"SVR\.load\(.*\)").maps) == ["0", "2"]
    SVRRecorder(model, 1, tmp_path / "run")
    for each in (tmp_path / "run").iterdir():
        said = refusal(each)
        assert len(do(said, r"SVRRecorder\.load\(.*\)", SVRRecorder=SVRRecorder)) == 1


def test_a_zip_that_was_cut_off(model, tmp_path):
    path = tmp_path / "w.pt"
    torch.save(model.state_dict(), path)
    path.write_bytes(path.read_bytes()[:-200])
    assert "damaged, or no file of torch.save: it is a zip archive that cannot be" in refusal(path)


def test_shards_of_torch(model, tmp_path):
    state = model.state_dict()
    names = {"0": "a.bin", "2": "b.bin"}
    for part, file in names.items():
        held = {name: each for name, each in state.items() if name.startswith(part)}
        torch.save(held, tmp_path / file)
    index = {"weight_map": {name: names[name[0]] for name in state}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    for path in (tmp_path, tmp_path / "pytorch_model.bin.index.json"):
        assert list(SVR(path, links="chain").links) == [("0", "2")]
