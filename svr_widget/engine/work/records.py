"""JSON and tensors in one safetensors file, with check sums of both.

No pickle is read or written. The header holds the kind of the file, the version of the format, the
record, and check sums of the record and of every tensor.
"""

from __future__ import annotations

import json
import math
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor

from svr_widget.engine.environment.files import replacing
from svr_widget.engine.errors import SVRError
from svr_widget.engine.network.checkpoints.formats import LOST, what_is

VERSION = 1

_TYPES = {torch.float64: "F64", torch.int64: "I64", torch.float32: "F32", torch.bool: "BOOL"}

_KIND = re.compile(rb'"format":\s?"(svr_widget[a-z ]*)"')
_LOOKED_AT = 2**24
"""Bytes of a header in which the kind is looked for; files of before have it at any place."""

Record = dict[str, Any]
Tensors = dict[str, Tensor]


class OtherKindError(SVRError):
    """A file that is whole, as far as one can see, and holds something else."""


def write_record(path: str | os.PathLike[str], kind: str, record: Record, tensors: Tensors) -> None:
    """Write JSON and tensors to one file, with check sums of both.

    Args:
        path: of the file; one that is there is replaced when the new one is complete.
        kind: of the file, which ``read_record`` asks for.
        record: the JSON, to which the sums of the tensors are added.
        tensors: by name.

    Raises:
        OSError: the file cannot be written; what stood there stays.
    """
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        _write(file, kind, record, tensors)


def packed(kind: str, record: Record, tensors: Tensors) -> bytes:
    """What ``write_record`` writes, as bytes."""
    file = BytesIO()
    _write(file, kind, record, tensors)
    return file.getvalue()


@contextmanager
def read_record(
    path: str | os.PathLike[str], kind: str, writer: str
) -> Iterator[tuple[Record, Tensors]]:
    """What ``write_record`` wrote; what breaks in reading it on is the file's fault too.

    Args:
        path: of the file.
        kind: as it was written.
        writer: what writes such files, for the error.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        SVRError: it is damaged, of another kind or of a newer version.
    """
    with mapped_record(path, kind, writer) as (record, tensors):
        yield record, {name: tensor.clone() for name, tensor in tensors.items()}


@contextmanager
def mapped_record(
    path: str | os.PathLike[str], kind: str, writer: str
) -> Iterator[tuple[Record, Tensors]]:
    """The same with tensors that are mapped from the file; nobody may write to it meanwhile."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    if (kind_of := what_is(path)) is not None and kind_of.name != "safetensors":
        if kind_of.name in LOST:
            raise SVRError(f"{path} is damaged: it is {kind_of.words}")
        raise OtherKindError(f"{path} was not written by {writer}: it is {kind_of.words}")
    with _blaming(str(path)):
        with safe_open(path, framework="pt") as file:
            record = _record(str(path), file.metadata() or {}, kind, writer)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _check_sums(record, tensors)
        yield record, tensors


def kind_written(path: Path) -> str | None:
    """The kind of the record that a file is, or was before it was damaged; ``""`` for another file.

    None where too little is left to know. Only the header is read.

    Raises:
        OSError: the file cannot be read.
    """
    if not path.is_file():
        return "" if path.exists() else None
    with path.open("rb") as file:
        begin = file.read(8)
        found = _KIND.search(file.read(min(int.from_bytes(begin, "little"), _LOOKED_AT)))
    if found:
        return found[1].decode()
    kind = what_is(path)
    if kind is None or kind.name in LOST:
        return None
    with suppress(Exception), safe_open(path, framework="pt"):
        return ""
    return None if kind.name == "safetensors" else ""


@contextmanager
def unpacked(content: bytes, kind: str, writer: str) -> Iterator[tuple[Record, Tensors]]:
    """What ``packed`` made; errors as in ``read_record``."""
    where = "the pickle"
    with _blaming(where):
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        record = _record(where, header.get("__metadata__", {}), kind, writer)
        tensors = load(content)
        _check_sums(record, tensors)
        yield record, tensors


@contextmanager
def _blaming(where: str) -> Iterator[None]:
    """Turn whatever breaks into an ``SVRError`` that names the file."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if isinstance(error, SVRError) and where in str(error):
            raise
        if isinstance(error, SafetensorError):
            raise SVRError(f"{where} is damaged, or no safetensors file: {error}") from error
        said = str(error) if isinstance(error, SVRError) else repr(error)
        raise SVRError(f"{where} is damaged: {said}") from error


def _record(where: str, metadata: Mapping[str, str], kind: str, writer: str) -> Record:
    if metadata.get("format") != kind:
        raise OtherKindError(f"{where} was not written by {writer}")
    version = metadata.get("version", "")
    if not (version.isascii() and version.isdecimal()):
        raise SVRError(f"{where} is damaged: its version is {version!r}")
    if int(version) > VERSION:
        raise SVRError(
            f"{where} was written by a newer svr_widget (its format is {version}, this one reads "
            f"up to {VERSION}); upgrade svr_widget to read it"
        )
    text = metadata.get("svr", "")
    if str(zlib.crc32(text.encode())) != metadata.get("sum"):
        raise SVRError(f"{where} is damaged: its header is not what was saved")
    record = json.loads(text)
    if not isinstance(record, dict):
        raise SVRError(f"{where} is damaged: its header holds no record")
    return record


def _check_sums(record: Record, tensors: Tensors) -> None:
    sums = record["sums"]
    for name, expected in sums.items():
        if name not in tensors:
            raise SVRError(f"it lacks the tensor {name!r}")
        if _sum(tensors[name]) != expected:
            raise SVRError(f"the tensor {name!r} is not what was saved")
    for name in tensors:
        if name not in sums:
            raise SVRError(f"it holds a tensor {name!r} that was not saved")


def _write(file: BinaryIO, kind: str, record: Record, tensors: Tensors) -> None:
    """Write the format of safetensors, whose own writer leaves files behind when it is killed."""
    text = json.dumps({**record, "sums": {name: _sum(each) for name, each in tensors.items()}})
    metadata = {
        "format": kind,  # first, so that the beginning of a file tells whose it is
        "version": str(VERSION),
        "sum": str(zlib.crc32(text.encode())),
        "svr": text,
    }
    header: dict[str, Any] = {"__metadata__": metadata}
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    end = 0
    for name, tensor in ordered:
        start, end = end, end + math.prod(tensor.shape) * tensor.itemsize
        shape, offsets = list(tensor.shape), [start, end]
        header[name] = {"dtype": _TYPES[tensor.dtype], "shape": shape, "data_offsets": offsets}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(len(encoded).to_bytes(8, "little"))
    file.write(encoded)
    for _, tensor in ordered:
        file.write(_content(tensor))


def _sum(tensor: Tensor) -> int:
    return zlib.crc32(_content(tensor))


def _content(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data
