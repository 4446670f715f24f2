"""Which numbers of a network belong to one channel, and so go together or stay together.

Every output and input feature of a map, and every place along a stored vector (a norm's factors, a
layer scale), is a node. A link joins the features of its two maps, a meeting a feature and a place,
a grouped map all that it reads and writes in one group. What is connected is one *channel group*:
through a sum the channels of all its branches, through a depthwise convolution those before and
behind it. A channel that has to stay keeps its whole group.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import Link
from svr_widget.engine.maps.parts import LINEAR_TRANSPOSED, Part
from svr_widget.engine.maps.weights import named_tensors
from svr_widget.engine.network.network import Network

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Axis(NamedTuple):
    """Where numbers of different channels lie in a row.

    Attributes:
        kind: the outputs or the inputs of a map, or a dimension of a stored tensor.
        name: of the map, or of the tensor; also of a count such as ``"bn1.num_features"``.
        dim: the dimension of the tensor.
    """

    kind: Literal["out", "in", "stored"]
    name: str
    dim: int = 0


@dataclass(frozen=True, eq=False)
class Structure:
    """The channel groups of a network.

    Attributes:
        network: whose.
        places: the nodes of each axis.
        pairs: int64 ``[n, 2]``: nodes that belong to one channel.
        group: int64 ``[nodes]``: the number of each node's group.
        held: why a group has to stay, by its number.
    """

    network: Network
    places: dict[Axis, range]
    pairs: Ints
    group: Ints
    held: dict[int, str]

    def mask(self, axis: Axis, nodes: Mask) -> Mask:
        """Of a choice of nodes, ``[nodes]``, that along one axis."""
        place = self.places[axis]
        return nodes[place.start : place.stop]

    def axis_of_node(self) -> Ints:
        """int64 ``[nodes]``: the number of each node's axis, in the order of ``places``."""
        return np.repeat(np.arange(len(self.places)), [len(p) for p in self.places.values()])

    def axes_of(self, nodes: Mask) -> list[Axis]:
        """The axes on which some of these nodes lie."""
        return [axis for axis in self.places if bool(self.mask(axis, nodes).any())]

    def units(self, nodes: Mask) -> list[Mask]:
        """A choice of whole groups in parts that share no axis, and so can go one without another.

        Args:
            nodes: bool ``[nodes]``.
        """
        axis, group = self.axis_of_node()[nodes], self.group[nodes]
        count = len(self.places) + int(self.group.max()) + 1
        edges = (np.ones(len(axis), np.int8), (axis, len(self.places) + group))
        _, unit = connected_components(coo_array(edges, (count, count)), directed=False)
        found = []
        for number in np.unique(unit[axis]):
            part = nodes.copy()
            part[nodes] = unit[axis] == number
            found.append(part)
        return found

    def survives(self, gone: Mask, smaller: Structure) -> bool:
        """Whether another structure is this one without some nodes, all others paired as before."""
        moved = np.full(len(self.group), -1)
        for axis, place in self.places.items():
            kept = np.flatnonzero(~self.mask(axis, gone))
            target = smaller.places.get(axis)
            if target is None and len(kept) > 1:  # what is one long is not told from a number
                return False
            if target is not None:
                if len(target) != len(kept):
                    return False
                moved[place.start + kept] = np.array(target)
        expected = moved[self.pairs]
        expected = expected[(expected >= 0).all(axis=1)]
        if not np.array_equal(np.unique(expected, axis=0), np.unique(smaller.pairs, axis=0)):
            return False
        return self._courses(gone) == smaller._courses(np.zeros(len(smaller.group), bool))

    def _courses(self, gone: Mask) -> set[tuple[str, str, tuple[str, ...]]]:
        """What stands on the links that carry something still."""
        found = set()
        for link in self.network.links:
            sent = out_features(self.network.maps[link.producer], link.producer_channels)
            if not self.mask(Axis("out", link.producer), gone)[sent.flatten().numpy()].all():
                found.add((link.producer, link.consumer, link.through))
        return found


def out_features(linear: LinearMap, channels: Tensor) -> Tensor:
    """int64 ``[n, positions]``: the output features of the module behind a map's channels."""
    layout = linear.output_layout
    return channels[:, None] if layout is None else layout.index[channels]


def in_features(linear: LinearMap, link: Link) -> Tensor:
    """int64 ``[n, positions]``: the input features of the module in which a link ends."""
    read = link.consumer_channels
    if read.ndim > 1:
        return read
    layout = linear.input_layout
    return read[:, None] if layout is None else layout.index[read]


def structure_of(network: Network) -> Structure:
    """The channel groups of a traced network, read with its meetings and without products."""
    assert network.model is not None
    assert network.meetings is not None
    tensors = dict(named_tensors(network.model))
    places: dict[Axis, range] = {}
    total = 0
    for axis, size in _axes(network, tensors):
        if axis not in places:
            places[axis] = range(total, total + size)
            total += size
    pairs = np.concatenate([np.empty((0, 2), np.int64), *_pairs(network, places)])
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), (total, total))
    group = connected_components(graph, directed=False)[1].astype(np.int64)
    held: dict[int, str] = {}
    for nodes, why in _held(network, places, tensors):
        for number in np.unique(group[nodes]):
            held.setdefault(int(number), why)
    return Structure(network, places, pairs, group, held)


def _axes(network: Network, tensors: dict[str, Tensor]) -> Iterator[tuple[Axis, int]]:
    assert network.meetings is not None
    for name, part in network.parts.items():
        yield Axis("out", name), part.outputs
        yield Axis("in", name), part.inputs
    for meeting in network.meetings.met:
        tensor = tensors.get(meeting.tensor)
        size = _count(network, meeting.tensor) if tensor is None else tensor.shape[meeting.dim]
        yield Axis("stored", meeting.tensor, meeting.dim), size


def _count(network: Network, name: str) -> int:
    """A number of channels that a module keeps as an attribute."""
    assert network.model is not None
    path, _, attribute = name.rpartition(".")
    return int(getattr(network.model.get_submodule(path), attribute))


def _pairs(network: Network, places: dict[Axis, range]) -> Iterator[Ints]:
    assert network.meetings is not None
    for link in network.links:
        sent = out_features(network.maps[link.producer], link.producer_channels)
        read = in_features(network.maps[link.consumer], link)
        shape = (link.shared, sent.shape[1], read.shape[1])
        sent = sent[:, :, None] + places[Axis("out", link.producer)].start
        read = read[:, None, :] + places[Axis("in", link.consumer)].start
        yield torch.stack([side.expand(shape).flatten() for side in (sent, read)], dim=1).numpy()
    for meeting in network.meetings.met:
        sent, kept = meeting.pairs.T
        first = places[Axis("out", meeting.producer)].start
        second = places[Axis("stored", meeting.tensor, meeting.dim)].start
        yield torch.stack([sent + first, kept + second], dim=1).numpy()
    for name, part in network.parts.items():
        if part.groups > 1:
            inputs = np.array(places[Axis("in", name)]).reshape(part.groups, -1)
            outputs = np.array(places[Axis("out", name)]).reshape(part.groups, -1)
            whole = np.concatenate([inputs, outputs], axis=1)
            leaders = np.repeat(whole[:, :1], whole.shape[1], axis=1)
            yield np.stack([leaders.ravel(), whole.ravel()], axis=1)


def _held(
    network: Network, places: dict[Axis, range], tensors: dict[str, Tensor]
) -> Iterator[tuple[Ints, str]]:
    """Nodes that have to stay, and why."""
    assert network.meetings is not None
    aliases: dict[int, list[str]] = {}
    for name, tensor in tensors.items():
        aliases.setdefault(id(tensor), []).append(name)
    for part in network.parts.values():
        if part.suffix and part.held is not None:  # a further map of the parameter
            aliases.setdefault(id(part.held), []).append(part.name)
    for name, part in network.parts.items():
        why = _reason_against(part, aliases)
        if not why and name in network.meetings.repeated:
            why = f"{name!r} is applied more than once"
        if why:
            for kind in ("out", "in"):
                yield np.array(places[Axis(kind, name)]), why
    for hold in network.meetings.holds:
        place = places[Axis("out", hold.producer)]
        features = range(len(place)) if hold.features is None else hold.features.numpy()
        yield place.start + np.array(features, dtype=np.int64), hold.why
    weights = {id(part.held) for part in network.parts.values() if part.held is not None}
    for meeting in network.meetings.met:
        if meeting.tensor not in tensors:
            continue
        at = id(tensors[meeting.tensor])
        nodes = np.array(places[Axis("stored", meeting.tensor, meeting.dim)])
        if len(aliases[at]) > 1:
            yield nodes, f"{' and '.join(aliases[at])} are one tensor"
        if at in weights:
            yield nodes, f"{meeting.tensor} is a map's weight, and added or multiplied as well"


def _reason_against(part: Part, aliases: dict[int, list[str]]) -> str:
    """Why neither outputs nor inputs of a map can go; empty where they can."""
    module, kind = part.module, type(part.module).__name__
    known = isinstance(module, nn.Linear | _ConvNd | nn.Embedding | nn.EmbeddingBag)
    if part.suffix:
        return f"{part.name!r} is one of the maps of the {kind} {part.path!r}, whose width is fixed"
    if not known and part.kind is not LINEAR_TRANSPOSED:
        return f"the {kind} {part.name!r} is of a class that is not made smaller here"
    if part.held is None or part.parameter != "weight" or part.absorbed:
        return f"the weight of {part.name!r} is computed from others"
    if getattr(module, "max_norm", None) is not None:
        return f"{part.name!r} rescales its rows by all of their entries"
    for tensor in (part.held, getattr(module, "bias", None)):
        names = aliases.get(id(tensor), [])
        if len(names) > 1:
            return f"{' and '.join(names)} are one tensor"
    return ""
