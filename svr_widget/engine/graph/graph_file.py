"""A graph in one safetensors file: its tensors, and all else as JSON in the header.

No pickle is read or written. The header holds the version of the format, the record, and check
sums of the record and of every tensor.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from svr_widget.engine.decompose import Decomposition, Flattening
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.graph.tensor_json import Writer, read
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import Link
from svr_widget.engine.network.network import Network

FORMAT = "svr_widget"
VERSION = 1
_WEIGHTS = frozenset({"factors"})


class Saved(NamedTuple):
    """What a file holds.

    Attributes:
        network: maps and links; the weights are ``meta`` tensors where they were not saved.
        settings: as ``SpectralGraph.settings`` has them.
        decompositions: by map and flattening.
    """

    network: Network
    settings: dict[str, Any]
    decompositions: dict[tuple[str, Flattening], Decomposition]


def save(graph: SpectralGraph, path: str | os.PathLike[str], *, weights: bool = False) -> None:
    """Write a graph; see ``SVR.save``."""
    for column in graph.columns.values():
        graph.decomposition(*column)
    writer = Writer()
    record = described(graph, writer, weights=weights)
    record["decompositions"] = [
        [name, flattening, writer(neurons, f"neurons.{place}")]
        for place, ((name, flattening), neurons) in enumerate(graph.decomposed.items())
    ]
    write_record(path, FORMAT, record, writer.tensors)


def load(path: str | os.PathLike[str]) -> Saved:
    """Read what ``save`` wrote; see ``SVR.load``."""
    with read_record(path, FORMAT, "SVR.save; weights go to SVR itself") as (record, tensors):
        decompositions = {
            (name, side): read(each, tensors.__getitem__)
            for name, side, each in record["decompositions"]
        }
        return Saved(network_of(record, tensors), record["settings"], decompositions)


def described(graph: SpectralGraph, writer: Writer, *, weights: bool) -> dict[str, Any]:
    """Maps, links and settings of a graph as JSON; their tensors go to the writer."""
    return {
        "title": graph.title,
        "notes": list(graph.notes),
        "settings": graph.settings,
        "maps": [
            writer(linear, f"map.{place}", shapes_only=frozenset() if weights else _WEIGHTS)
            for place, linear in enumerate(graph.maps.values())
        ],
        "links": [writer(link, f"link.{place}") for place, link in enumerate(graph.links.values())],
        "outlets": [writer(link, f"outlet.{place}") for place, link in enumerate(graph.outlets)],
    }


def network_of(record: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Network:
    """The network behind what ``described`` made."""

    def known(json: Any) -> Any:
        return read(json, tensors.__getitem__)

    maps: list[LinearMap] = [known(each) for each in record["maps"]]
    links: list[Link] = [known(each) for each in record["links"]]
    outlets: list[Link] = [known(each) for each in record["outlets"]]
    return Network(
        title=record["title"],
        maps={linear.name: linear for linear in maps},
        links=tuple(links),
        notes=tuple(record["notes"]),
        outlets=tuple(outlets),
    )


def write_record(
    path: str | os.PathLike[str], kind: str, record: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    """Write JSON and tensors to one file, with check sums of both.

    Args:
        path: of the file; one that is there is replaced when the new one is complete.
        kind: of the file, which ``read_record`` asks for.
        record: the JSON, to which the sums of the tensors are added.
        tensors: by name.
    """
    record = {**record, "sums": {name: _sum(tensor) for name, tensor in tensors.items()}}
    text = json.dumps(record)
    metadata = {
        "format": kind,
        "version": str(VERSION),
        "svr": text,
        "sum": str(zlib.crc32(text.encode())),
    }
    _write(Path(path), tensors, metadata)


@contextmanager
def read_record(
    path: str | os.PathLike[str], kind: str, writer: str
) -> Iterator[tuple[dict[str, Any], dict[str, Tensor]]]:
    """What ``write_record`` wrote; what breaks in reading it on is the file's fault too.

    Args:
        path: of the file.
        kind: as it was written.
        writer: what writes such files, for the error.

    Raises:
        FileNotFoundError: there is no such file.
        SVRError: it is damaged, of another kind or of a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            record = _record(path, file.metadata() or {}, kind, writer)
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise SVRError(f"{path} is damaged, or no safetensors file: {error}") from error
    for name, expected in record["sums"].items():
        if name not in tensors:
            raise SVRError(f"{path} is damaged: it lacks the tensor {name!r}")
        if _sum(tensors[name]) != expected:
            raise SVRError(f"{path} is damaged: the tensor {name!r} is not what was saved")
    try:
        yield record, tensors
    except (KeyError, TypeError, ValueError) as error:
        raise SVRError(f"{path} is damaged: {error!r}") from error


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write beside the path first, so that whatever happens no half of a file stands there."""
    unfinished = path.with_name(f".{path.name}.{uuid4().hex}")
    unfinished.touch()
    mode = unfinished.stat().st_mode  # as the process makes files; save_file's are private
    try:
        save_file(tensors, unfinished, metadata)
        unfinished.chmod(mode)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _record(path: Path, metadata: dict[str, str], kind: str, writer: str) -> dict[str, Any]:
    if metadata.get("format") != kind:
        raise SVRError(f"{path} was not written by {writer}")
    version = metadata.get("version", "")
    if not version.isdecimal():
        raise SVRError(f"{path} is damaged: its version is {version!r}")
    if int(version) > VERSION:
        raise SVRError(
            f"{path} was written by a newer svr_widget (its format is {version}, this one reads up "
            f"to {VERSION}); upgrade svr_widget to read it"
        )
    text = metadata.get("svr", "")
    if str(zlib.crc32(text.encode())) != metadata.get("sum"):
        raise SVRError(f"{path} is damaged: its header is not what was saved")
    record: dict[str, Any] = json.loads(text)
    return record


def _sum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data)
