"""A graph in one safetensors file, or in bytes: its tensors, and all else as JSON."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from svr_widget.engine.decompose import Decomposition, Flattening
from svr_widget.engine.environment.files import destination
from svr_widget.engine.graph.file.file_checks import check_decompositions, check_network
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import Link
from svr_widget.engine.network.network import Network
from svr_widget.engine.network.ties import marked_by_record
from svr_widget.engine.work.records import (
    Record,
    Tensors,
    packed,
    read_record,
    unpacked,
    write_record,
)
from svr_widget.engine.work.tensor_json import Writer, read

FORMAT = "svr_widget"
_WRITER = "SVR.save; weights go to SVR itself"
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
    path = destination(path)
    graph.decompose_all()
    writer = Writer()
    write_record(path, FORMAT, _whole(graph, writer, weights=weights), writer.tensors)


def load(path: str | os.PathLike[str]) -> Saved:
    """Read what ``save`` wrote; see ``SVR.load``."""
    with read_record(path, FORMAT, _WRITER) as (record, tensors):
        return _saved(record, tensors)


def to_bytes(graph: SpectralGraph) -> bytes:
    """A graph as ``save`` writes it with its weights, as far as it is decomposed."""
    writer = Writer()
    return packed(FORMAT, _whole(graph, writer, weights=True), writer.tensors)


def from_bytes(content: bytes) -> Saved:
    """What ``to_bytes`` made; errors as in ``load``."""
    with unpacked(content, FORMAT, "the pickling of an SVR") as (record, tensors):
        return _saved(record, tensors)


def _whole(graph: SpectralGraph, writer: Writer, *, weights: bool) -> Record:
    record = described(graph, writer, weights=weights)
    record["decompositions"] = [
        [name, flattening, writer(neurons, f"neurons.{place}")]
        for place, ((name, flattening), neurons) in enumerate(tuple(graph.decomposed.items()))
    ]
    return record


def _saved(record: Record, tensors: Tensors) -> Saved:
    network, settings = network_of(record, tensors), settings_of(record)
    graph = SpectralGraph(network, **settings)
    decompositions: dict[tuple[str, Flattening], Decomposition] = {}
    for name, side, each in record["decompositions"]:
        if (name, side) in decompositions:
            raise ValueError(f"two decompositions of {name!r} by {side!r}")
        decompositions[name, side] = read(each, tensors.__getitem__)
    check_decompositions(decompositions, graph)
    return Saved(network, settings, decompositions)


def described(graph: SpectralGraph, writer: Writer, *, weights: bool) -> dict[str, Any]:
    """Maps, links and settings of a graph as JSON; their tensors go to the writer."""
    return {
        "title": graph.title,
        "notes": list(graph.notes),
        "damaged": dict(graph.damaged),
        "unlinked": graph.unlinked,
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
    check_network(maps, links, outlets)
    if not all("by_construction" in each for each in record["links"]):
        links = list(marked_by_record(links, {linear.name: linear for linear in maps}))
    title, notes = record["title"], record["notes"]
    damaged: dict[str, str] = record.get("damaged", {})  # older files say neither
    unlinked = record.get("unlinked", "")
    if not all(isinstance(text, str) for text in (title, unlinked, *notes, *damaged.values())):
        raise TypeError("its title and its notes are no texts")
    return Network(
        title=title,
        maps={linear.name: linear for linear in maps},
        links=tuple(links),
        notes=tuple(notes),
        outlets=tuple(outlets),
        damaged=damaged,
        unlinked=unlinked,
    )


def settings_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in what ``described`` made; ``SVR`` checks all but the seed."""
    settings: dict[str, Any] = record["settings"]
    if isinstance(settings["seed"], bool) or not isinstance(settings["seed"], int):
        raise TypeError(f"its seed is {settings['seed']!r}")
    return settings
