"""What a file is, by its first bytes, whatever it is called; and what to do where it is no weights.

Nothing of a file is run, and no more of it is read than its beginning and the list of an archive.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import zipfile
from pathlib import Path
from typing import NamedTuple

HEAD = 4096
"""Bytes of a file that are looked at."""

_LONGEST_HEADER = 100_000_000
"""What safetensors allows its header."""

_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How files begin that torch saved before 1.6: with a number of its own, pickled."""

_PACKERS = {
    b"\x1f\x8b": ("gzip", "gzip -dk {}"),
    b"BZh": ("bzip2", "bzip2 -dk {}"),
    b"\xfd7zXZ\0": ("xz", "xz -dk {}"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -dk {}"),
    b"7z\xbc\xaf\x27\x1c": ("7-Zip", "7z x {}"),
    b"Rar!": ("RAR", "unrar x {}"),
}
_ONNX_VERSIONS = tuple(bytes([version]) for version in range(1, 20))
_ONNX_FIELDS = (b"\x12", b"\x1a", b"\x22", b"\x3a", b"\x42")
"""An ONNX model begins with the version of its format; the producer, the domain, the graph or the
operators follow. It has no number of its own."""

WHERE_IT_WAS_MADE = "where it was made, save its weights alone: {}, and give SVR that file"
_STATE = WHERE_IT_WAS_MADE.format("torch.save(model.state_dict(), 'weights.pt')")


class Kind(NamedTuple):
    """What a file is.

    Attributes:
        name: of the kind; ``"safetensors"``, ``"torch"`` and ``"legacy torch"`` can be read, of
            ``"empty"``, ``"zeros"`` and ``"cut zip"`` too little is there to know.
        words: what it is, to follow "it is".
        advice: what to do with it, an imperative.
    """

    name: str
    words: str
    advice: str = ""


LOST = ("empty", "zeros", "cut zip")
"""What is left of a file whose writing or download was cut off."""

_AGAIN = "get it again, for its download or its writing was cut off"


def what_is(path: Path) -> Kind | None:
    """What a file is; None for what is not known.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        return Kind("empty", "empty", _AGAIN)
    if not any(head):
        return Kind("zeros", "nothing but zeros where it begins", _AGAIN)
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= _LONGEST_HEADER:
        return Kind("safetensors", "a safetensors file")
    if head.startswith(b"PK\x03\x04"):
        return _archive(path)
    return _of_magic(path, head) or _of_text(path, head)


def _of_magic(path: Path, head: bytes) -> Kind | None:
    """Formats that begin with bytes of their own."""
    if head.startswith(_LEGACY):
        return Kind("legacy torch", "a file of torch.save, as before 1.6")
    if head[:1] == b"\x80" and head[1:2] in b"\1\2\3\4\5":
        return Kind("pickle", "a pickle that torch.save did not write", _STATE)
    if head[:4] in (b"GGUF", b"lmgg", b"tjgg"):
        advice = "give SVR the files that it was converted from (.safetensors, .bin)"
        return Kind("gguf", "a GGUF file, the weights of llama.cpp", advice)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return Kind(
            "hdf5",
            "an HDF5 file, as Keras writes it",
            "read its arrays with h5py and give SVR a mapping from names to them, turned to [out, "
            "in, *kernel] where they are kept as [*kernel, in, out]",
        )
    if head.startswith(b"\x93NUMPY"):
        return Kind("npy", "a NumPy array", f"give SVR([numpy.load({str(path)!r})])")
    if head[4:8] == b"TFL3":
        advice = "give SVR the model that it was converted from"
        return Kind("tflite", "a TensorFlow Lite model", advice)
    if head[:1] == b"\x08" and head[1:2] in _ONNX_VERSIONS and head[2:3] in _ONNX_FIELDS:
        missing = importlib.util.find_spec("onnx") is None
        first = "run 'pip install onnx', then " if missing else ""
        advice = (
            f"give SVR the model that it was exported from; or {first}give SVR({{each.name: onnx."
            f"numpy_helper.to_array(each) for each in onnx.load({str(path)!r}).graph.initializer}})"
        )
        return Kind("onnx", "a model in the ONNX format, a program", advice)
    if head[257:262] == b"ustar":
        advice = (
            f"unpack it ({_command('tar -xf {}', path)}), and give SVR the file of weights in it"
        )
        return Kind("tar", "a tar archive", advice)
    for magic, (packer, command) in _PACKERS.items():
        if head.startswith(magic):
            advice = f"unpack it ({_command(command, path)}), and give SVR what is in it"
            return Kind("packed", f"packed by {packer}", advice)
    return None


def _of_text(path: Path, head: bytes) -> Kind | None:
    """What people can read: pointers, pages and messages in the place of a file."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return None
        text = head[: error.start].decode("utf-8-sig")
    if any(ord(each) < 32 and each not in "\t\n\r\f" for each in text):
        return None
    text = text.strip()
    if text.startswith("version https://git-lfs.github.com/spec/"):
        size = re.search(r"^size (\d{1,18})$", text, re.MULTILINE)
        of = f" of {int(size[1]):,} bytes" if size else ""
        first = "" if shutil.which("git-lfs") else "install Git LFS (https://git-lfs.com) and "
        return Kind(
            "lfs",
            f"a Git LFS pointer, which stands for a file{of} and is not that file",
            f"{first}run 'git lfs pull' in the folder that was cloned, or download {path.name} "
            "itself from where the repository is shown",
        )
    begins = f"{text[:40]!r}{'...' if len(text) > 40 else ''}"
    if text[:1] == "<":
        title = re.search(r"<title[^>]*>\s*(.{1,80}?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
        called = repr(title[1]) if title else begins
        advice = "open its address in a browser to see what is asked for, and download it again"
        return Kind("page", f"a web page ({called}), sent in the place of the file", advice)
    if text[:1] in "{[":
        advice = "give SVR the file of weights that it tells of, or belongs to"
        return Kind("json", f"JSON ({begins})", advice)
    return Kind("text", f"text ({begins})", "give SVR the file of weights itself")


def _archive(path: Path) -> Kind:
    """What a zip archive holds, by the names in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # zipfile has many for what is damaged
        return Kind("cut zip", "a zip archive that cannot be opened", _AGAIN)
    inner = {name.partition("/")[2] or name for name in names}
    if any(name.startswith("code/") for name in inner) or "constants.pkl" in inner:
        return Kind("script", "a TorchScript archive, a program and not weights alone", _STATE)
    exported = ("archive_format", "serialized_exported_program.json")
    if inner & set(exported) or any(name.startswith("models/") for name in inner):
        advice = WHERE_IT_WAS_MADE.format("torch.save(dict(program.state_dict), 'weights.pt')")
        return Kind("export", "an archive of torch.export, a program", advice)
    if "data.pkl" in inner:
        return Kind("torch", "a file of torch.save")
    if names and all(name.endswith(".npy") for name in names):
        advice = f"give SVR(dict(numpy.load({str(path)!r})))"
        return Kind("npz", "an archive of NumPy arrays", advice)
    if "model.weights.h5" in inner:
        advice = "unpack it, and read model.weights.h5 with h5py: give SVR a mapping from names to "
        return Kind("keras", "an archive of Keras", f"{advice}arrays [out, in, *kernel]")
    some = ", ".join(repr(name) for name in sorted(names)[:3]) or "nothing"
    unpacking = _command("python -m zipfile -e {} .", path)
    advice = f"unpack it ({unpacking}), and give SVR the file of weights in it"
    return Kind("zip", f"a zip archive of {some}", advice)


def _command(command: str, path: Path) -> str:
    return command.format(shlex.quote(str(path)))
