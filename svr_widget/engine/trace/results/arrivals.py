"""From what arrives at each map's input to links, layouts and notes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from svr_widget.engine.errors import listed
from svr_widget.engine.maps.bundles import directed
from svr_widget.engine.maps.links import Layout, Link
from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.flow import (
    ATTENTION,
    Attended,
    Carrier,
    Flow,
    Reason,
    Source,
    same_layout,
)
from svr_widget.engine.trace.flow.steps import Steps, by_channel, joined
from svr_widget.engine.trace.flow.unflatten import coarse, distinct_rows, rows


@dataclass(frozen=True, eq=False)
class Arrival:
    """One use of a map: what it reads, and the dimension of its input channels."""

    use: Source
    flow: Flow
    dim: int
    matrix: bool


@dataclass(frozen=True, eq=False)
class Stream:
    """One carrier at a map's input, per input feature.

    Attributes:
        source: the producer's use.
        label: int64 ``[features]``: the producer's channel in each feature, or ``labels.NONE``.
        through: what the channels passed.
        layout: the producer's unflattened output, where ``label`` counts its channels.
        attended: the attention that the channels came out of, where its heads are told apart.
        heads: int64 ``[features]``, the head of it in each feature, or ``labels.NONE``.
        steps: what that did to each channel; ``Step.factors`` are by output feature.
    """

    source: Source
    label: Tensor
    through: tuple[str, ...]
    layout: Layout | None
    attended: Attended | None = None
    heads: Tensor | None = None
    steps: Steps = ()


@dataclass(frozen=True, eq=False)
class ResolvedUse:
    """One use of a map, resolved.

    Attributes:
        use: the consumer's use.
        streams: what arrives.
        place: int64 ``[features]``: the position of each feature, ``None`` if there is one only.
        layout: the input as channels x positions, where it is flattened regularly.
    """

    use: Source
    streams: tuple[Stream, ...]
    place: Tensor | None
    layout: Layout | None
    matrix: bool


@dataclass
class Lost:
    """Producers that reach maps without channel identity, for one reason.

    Attributes:
        modules: where that happens.
        consumers: for each producer, the maps that it reaches.
    """

    modules: dict[str, None] = field(default_factory=dict)
    consumers: dict[str, dict[str, None]] = field(default_factory=dict)

    @property
    def pairs(self) -> list[str]:
        """``producer -> consumer`` of each."""
        return [f"{p} -> {c}" for p, consumers in self.consumers.items() for c in consumers]


@dataclass
class Notes:
    """What is no link, and why; grouped so that a large model stays readable."""

    lines: list[str] = field(default_factory=list)
    lost: dict[Reason, Lost] = field(default_factory=dict)
    weighed: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, line: str) -> None:
        """One line, once."""
        if line not in self.lines:
            self.lines.append(line)

    def add_lost(self, producer: str, consumer: str, reason: Reason | str) -> None:
        """``producer`` reaches ``consumer`` without channel identity."""
        if isinstance(reason, str):
            reason = Reason(reason, "")
        if reason.operation == ATTENTION:
            consumers = self.weighed.setdefault(ATTENTION, {}).setdefault(producer, [])
            if consumer not in consumers:
                consumers.append(consumer)
            return
        group = self.lost.setdefault(reason._replace(module=""), Lost())
        group.modules[reason.module] = None
        group.consumers.setdefault(producer, {})[consumer] = None

    def reasons(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Each reason for which channels are on no link, and the producers that it concerns."""
        for reason, producers in self.weighed.items():
            yield reason, tuple(producers)
        for why, group in self.lost.items():
            yield _where(why, group), tuple(group.consumers)

    @property
    def unknown(self) -> int:
        """How many pairs of maps are no link because an operator between them is not known."""
        return sum(len(group.pairs) for reason, group in self.lost.items() if reason.unknown)

    def all(self) -> tuple[str, ...]:
        """The notes; the first pairs of each reason are spelled out, the others counted."""
        grouped = []
        for reason, producers in self.weighed.items():
            pairs = [f"{p} -> {c}" for p, consumers in producers.items() for c in consumers]
            grouped.append(f"no link {listed(pairs)}: {reason} keep no channel identity")
        for why, group in self.lost.items():
            where = _where(why, group)
            clause = (
                f"{where}: {why.unknown}" if why.unknown else f"{where} keeps no channel identity"
            )
            grouped.append(f"no link {listed(group.pairs)}: {clause}")
        return (*self.lines, *grouped)


def _where(reason: Reason, group: Lost) -> str:
    modules = [repr(module) for module in group.modules if module]
    return f"{reason.operation} in {listed(modules, 2)}" if modules else reason.operation


def read(arrival: Arrival, linear_like: Mapping[str, bool], notes: Notes) -> ResolvedUse:
    """Resolve one use: which channel of which producer sits in each input feature."""
    flow, dim = arrival.flow, arrival.dim % len(arrival.flow.shape)
    others = [d for d in range(len(flow.shape)) if d != dim]
    streams: list[Stream] = []
    known: dict[tuple[object, ...], list[tuple[Tensor, Layout | None]]] = {}
    for carrier in flow.carriers:
        # In a residual stream the channels of many maps lie alike.
        linear = linear_like[carrier.source.name]
        key = id(carrier.label), id(carrier.layout), linear
        if key not in known:
            known[key] = _per_feature(carrier, others, linear)
        found = [
            Stream(carrier.source, label, carrier.through, layout, steps=carrier.steps)
            for label, layout in known[key]
        ]
        if not found:
            read = "positions are" if flow.shape[dim] > 1 else "one channel is"
            moved = f"a rearrangement after which {read} read in the place of channels"
            notes.add_lost(carrier.source.name, arrival.use.name, moved)
        streams += [_by_head(stream, carrier.attended) for stream in found]
    for source, reason in sorted(flow.mixed):
        notes.add_lost(source.name, arrival.use.name, reason)
    place = _places(flow, dim, others) if streams else None
    if place is not None and not any(_repeats(stream.label, place) for stream in streams):
        place = None
    layout = None
    if place is not None and arrival.matrix:
        layout = _layout(streams, place, flow.place.grid if flow.place else None)
    return ResolvedUse(arrival.use, tuple(streams), place, layout, arrival.matrix)


def _by_head(stream: Stream, attended: Attended | None) -> Stream:
    """The stream in terms of its producer's channels, the heads beside them."""
    if attended is None:
        return stream
    channels, heads = attended.channels(stream.label), attended.heads(stream.label)
    return replace(stream, label=channels, attended=attended, heads=heads)


def _per_feature(
    carrier: Carrier, others: Sequence[int], linear_like: bool
) -> list[tuple[Tensor, Layout | None]]:
    """A carrier at one location, where every location holds the same channels: label, layout."""
    size = carrier.label.numel() // max(
        1, torch.Size(carrier.label.shape[d] for d in others).numel()
    )

    one = labels.collapse(carrier.label, others)
    if one is not None:
        label = rows(one, others)[0].expand(size).clone()
        if linear_like or carrier.layout is None:
            return [(label, carrier.layout)]
        return [(phase, None) for phase in _phases(label, carrier.layout)]
    if linear_like:
        whole = coarse(carrier, others, single=size == 1)
        if whole is not None:
            return [(rows(whole.label, others)[0].expand(size).clone(), whole.layout)]
    table = distinct_rows(rows(carrier.label, others))
    # Sub-pixel channels: each phase puts its own channels into all features.
    present = table[table != labels.NONE]
    if table.shape[1] > 1 and len(torch.unique(present)) == present.numel():
        return [(row.expand(size).clone(), carrier.layout) for row in table]
    return []


def _phases(label: Tensor, layout: Layout) -> list[Tensor]:
    """An unflattened output position by position, in terms of the producer's own features."""
    return [
        torch.where(label == labels.NONE, label, column[label.clamp(min=0)])
        for column in layout.index.T
    ]


def _places(flow: Flow, dim: int, others: Sequence[int]) -> Tensor | None:
    """Each feature's position, where all locations group their features alike."""
    if flow.place is None or dim not in labels.varying_dims(flow.place.ids):
        return None
    table = rows(flow.place.ids, others)
    first = table[0]
    ids, inverse = torch.unique(first, return_inverse=True)
    leaders = torch.stack([(inverse == at).nonzero()[0, 0] for at in range(len(ids))])
    alike = bool((table == table[:, leaders][:, inverse]).all())
    ranks = table[:, leaders].sort(dim=1).values
    apart = bool((ranks.diff(dim=1) > 0).all())
    return first if alike and apart else torch.arange(len(first))


def _repeats(label: Tensor, place: Tensor) -> bool:
    """Whether some channel sits in several features at different positions."""
    here = label != labels.NONE
    pairs = torch.unique(torch.stack([label[here], place[here]]), dim=1)
    return bool(torch.unique(pairs[0]).numel() < pairs.shape[1])


def _layout(
    streams: Sequence[Stream], place: Tensor, grid: tuple[int, ...] | None
) -> Layout | None:
    """Channels x positions of a flattened input; ``None`` where there is no one kernel."""
    table = torch.stack([stream.label for stream in streams])
    if bool((table == labels.NONE).all(dim=0).any()):
        return None
    _, channel = torch.unique(table, dim=1, return_inverse=True)
    ids, position = torch.unique(place, return_inverse=True)
    count = int(channel.max()) + 1
    if count * len(ids) != len(place):
        return None
    index = torch.full((count, len(ids)), labels.NONE)
    index[channel, position] = torch.arange(len(place))
    if bool((index == labels.NONE).any()):
        return None
    index = index[index[:, 0].argsort()]
    return Layout(index, _kernel(ids, grid))


def _kernel(ids: Tensor, grid: tuple[int, ...] | None) -> tuple[int, ...]:
    """The box of positions that ``ids`` fill, or their number."""
    if grid and int(ids.min()) >= 0:
        extents = [len(torch.unique(axis)) for axis in torch.unravel_index(ids, grid)]
        kernel = tuple(extent for extent in extents if extent > 1)
        if torch.Size(kernel).numel() == len(ids):
            return kernel
    return (len(ids),)


@dataclass
class Graph:
    """The links and layouts that the readings of all maps add up to."""

    links: list[Link] = field(default_factory=list)
    input_layouts: dict[str, Layout] = field(default_factory=dict)
    output_layouts: dict[str, Layout] = field(default_factory=dict)


def assemble(readings: Sequence[ResolvedUse], rank: Mapping[str, int], notes: Notes) -> Graph:
    """Agree on layouts, pair channels, and merge the paths that carry the same ones.

    Args:
        readings: every use of a map.
        rank: the maps' places in the order of execution; those that one operator applies together
            share a place.
        notes: receives what is no link.
    """
    graph = Graph()
    graph.input_layouts = input_layouts(readings)
    readings = _agree_on_outputs(readings, graph)
    found: dict[tuple[object, ...], Link] = {}
    for reading in readings:
        layout = graph.input_layouts.get(reading.use.name)
        known: dict[int, list[tuple[Tensor, Tensor]] | str] = {}  # by the label's ``id``
        for stream in reading.streams:
            if id(stream.label) not in known:
                known[id(stream.label)] = _pairs(stream.label, reading, layout)
            pairs = known[id(stream.label)]
            if isinstance(pairs, str):
                notes.add_lost(stream.source.name, reading.use.name, pairs)
                continue
            for producer, consumer in pairs:
                link = Link(
                    stream.source.name,
                    reading.use.name,
                    producer,
                    consumer,
                    stream.through,
                    steps=by_channel(stream.steps, graph.output_layouts.get(stream.source.name)),
                )
                channels = (each.numpy().tobytes() for each in (producer, consumer))
                key = (link.producer, link.consumer, consumer.shape, *channels)
                if (before := found.get(key)) is not None:
                    through = tuple(dict.fromkeys(before.through + link.through))
                    link = replace(before, through=through, steps=joined(before.steps, link.steps))
                found[key] = link
    links = sorted(found.values(), key=lambda link: (rank[link.consumer], rank[link.producer]))
    graph.links = list(directed(links, rank))
    return graph


def input_layouts(readings: Iterable[ResolvedUse]) -> dict[str, Layout]:
    """The layouts of maps all uses of which read their input flattened alike."""
    read = ((each.use.name, each.layout) for each in readings if each.streams)
    return {name: layout for name, layout in _agreed(read).items() if layout is not None}


def output_layouts(readings: Iterable[ResolvedUse]) -> dict[str, Layout | None]:
    """The layouts, None for none, on which all readers of a map agree."""
    streams = (stream for reading in readings for stream in reading.streams)
    return _agreed((stream.source.name, stream.layout) for stream in streams)


def _agreed(layouts: Iterable[tuple[str, Layout | None]]) -> dict[str, Layout | None]:
    seen: dict[str, list[Layout | None]] = {}
    for name, layout in layouts:
        seen.setdefault(name, []).append(layout)
    return {
        name: known[0]
        for name, known in seen.items()
        if all(same_layout(known[0], layout) for layout in known)
    }


def _agree_on_outputs(readings: Sequence[ResolvedUse], graph: Graph) -> list[ResolvedUse]:
    """Output layouts on which all readers of a map agree; elsewhere a link a position instead."""
    agreed = output_layouts(readings)
    graph.output_layouts = {name: layout for name, layout in agreed.items() if layout is not None}
    resolved = []
    for reading in readings:
        streams: list[Stream] = []
        for stream in reading.streams:
            if stream.layout is None or stream.source.name in agreed:
                streams.append(stream)
                continue
            phases = _phases(stream.label, stream.layout)
            streams += [replace(stream, label=label, layout=None) for label in phases]
        resolved.append(replace(reading, streams=tuple(streams)))
    return resolved


def _pairs(
    label: Tensor, reading: ResolvedUse, layout: Layout | None
) -> list[tuple[Tensor, Tensor]] | str:
    """``(producer_channels, consumer_channels)`` of each link that a stream makes, or why none."""
    place = reading.place
    if layout is not None:
        label = label[layout.index[:, 0]]
    features = (label != labels.NONE).nonzero().flatten()
    if layout is not None or place is None or not _repeats(label, place):
        return [(label[features], features)]
    channels = torch.unique(label[features])
    table = [features[label[features] == channel] for channel in channels]
    if len({len(row) for row in table}) == 1 and all(
        torch.equal(place[row].sort().values, place[table[0]].sort().values) for row in table
    ):
        ordered = torch.stack([row[place[row].argsort()] for row in table])
        if reading.matrix:
            return [(channels, ordered)]
        if len(channels) > 1:
            return [(channels, phase) for phase in ordered.T]
        return "a rearrangement of its positions into channels"
    return "an input in which its channels differ in extent"
