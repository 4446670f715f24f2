"""Links from the caller's own list of pairs."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import isqrt
from typing import Literal, NamedTuple

import torch

from svr_widget.engine.errors import SVRError, TraceError, WidthMismatchError, listed, nearest_name
from svr_widget.engine.maps.bundles import Bundle, Links, directed
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import Layout, Link
from svr_widget.engine.maps.parts import Part

GivenLinks = Iterable[tuple[str, str] | Link] | Literal["chain"]
"""What ``links=`` takes."""

Claimed = Sequence[tuple[str, str] | Link] | Literal["chain"]
"""The same, looked through."""


def claimed(links: GivenLinks | None) -> Claimed | None:
    """The links as the caller gave them, each a ``Link`` or a pair of names, or ``"chain"``.

    Raises:
        TraceError: something in it is no pair.
        SVRError: another word.
    """
    if links is None:
        return None
    if isinstance(links, str):
        if links != "chain":
            raise SVRError(
                f'links must be "chain" or pairs (producer, consumer) of names, got {links!r}'
                f"{nearest_name(links, ['chain'])}"
            )
        return "chain"
    if not isinstance(links, Iterable):
        raise TraceError(
            'links takes "chain" or pairs (producer, consumer) of names, not a '
            f"{type(links).__name__}"
        )
    given = tuple(links)
    for link in given:
        pair = isinstance(link, tuple | list) and len(link) == 2
        if not (pair or isinstance(link, Link)):
            raise TraceError(f"links: {link!r} is no pair (producer, consumer) of names of maps")
    return given


def check_names(links: Iterable[Link], names: Iterable[str]) -> None:
    """Raise ``TraceError`` where a link ends in a map that there is not."""
    known = set(names)
    for link in links:
        check_known((link.producer, link.consumer), known)


def check_known(ends: tuple[str, str], names: Iterable[str]) -> None:
    """Raise ``TraceError`` for an end that is the name of no map."""
    for end in ends:
        if end not in names:
            raise TraceError(f"links: no map is called {end!r}{nearest_name(end, names)}")


def links_from_pairs(
    pairs: Sequence[tuple[str, str]], parts: Mapping[str, Part]
) -> tuple[tuple[Link, ...], dict[str, Layout]]:
    """Links between the named maps, all channels paired in order.

    A matrix whose width is ``positions`` times its producer's channels reads them flattened,
    channels first.

    Args:
        pairs: ``(producer, consumer)`` names.
        parts: where the maps are kept, by name.

    Returns:
        The links, and the input layouts of the matrices that read flattened channels.

    Raises:
        TraceError: a name is unknown.
        WidthMismatchError: the widths of a pair do not fit, or two producers disagree.
    """
    rank = {name: at for at, name in enumerate(parts)}
    links: list[Link] = []
    layouts: dict[str, Layout] = {}
    plain: dict[str, str] = {}
    for producer, consumer in pairs:
        check_known((producer, consumer), parts)
        writer, reader = parts[producer], parts[consumer]
        if reader.kind.application == "lookup":
            raise TraceError(f"links: {consumer!r} looks up tokens; no channels lead into it.")
        out, read = writer.outputs, reader.inputs
        count = read // out
        flattened = reader.kind.application == "matrix" and read % out == 0 and count > 1
        if read != out and not flattened:
            raise WidthMismatchError(
                f"links: {producer!r} writes {out} channels ({writer}) but {consumer!r} reads "
                f"{read} ({reader})."
            )
        known = layouts[consumer].index.shape[0] if consumer in layouts else None
        if (known is not None and known != out) or (flattened and consumer in plain):
            raise WidthMismatchError(
                f"links: {consumer!r} reads {read} features, which {producer!r} ({out} channels) "
                f"and another producer ({known or read} channels) would flatten differently."
            )
        if flattened:
            layouts[consumer] = Layout(torch.arange(read).view(out, count), _square(count))
        else:
            plain[consumer] = producer
        channels = torch.arange(out)
        links.append(Link(producer, consumer, channels, channels.clone()))
    return directed(links, rank), layouts


class _Channels(NamedTuple):
    """The lowest and highest channel that a link names, and how often each travels at most."""

    lowest: int
    highest: int
    times: int
    unequal: bool


class _KnownChannels:
    """What is asked of channels, once for all links that share them."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], tuple[torch.Tensor, _Channels]] = {}

    def of(self, channels: torch.Tensor, width: int) -> _Channels | None:
        """None where there are none."""
        key = id(channels), width
        if key not in self._found:
            if not channels.numel():
                return None
            low, high = int(channels.min()), int(channels.max())
            times = torch.bincount(channels.flatten().clamp(min=0), minlength=width)
            found = _Channels(low, high, int(times.max()), bool(times.min() < times.max()))
            self._found[key] = channels, found  # and the tensor, so that no other has its ``id``
        return self._found[key][1]


def check_channels(
    link: Link, producer: int, consumer: int, known: _KnownChannels | None = None
) -> None:
    """Raise ``WidthMismatchError`` where a link names channels that a map does not have.

    Args:
        link: the link.
        producer: how many channels its producer writes.
        consumer: how many its consumer reads, or flat features where the link names such.
        known: of other links.
    """
    known = known or _KnownChannels()
    ends = (
        (link.producer, link.producer_channels, producer),
        (link.consumer, link.consumer_channels, consumer),
    )
    for name, channels, width in ends:
        named = known.of(channels, width)
        if named and not 0 <= named.lowest <= named.highest < width:
            raise WidthMismatchError(
                f"link {link.producer!r} -> {link.consumer!r} names channels {named.lowest} "
                f"to {named.highest} of {name!r}, which has {width}"
            )


def undefined(
    link: Link,
    producer: LinearMap,
    consumer: LinearMap,
    method: str,
    known: _KnownChannels | None = None,
) -> str:
    """Why a link has no adjacency by a method, as a clause; empty where it has."""
    known = known or _KnownChannels()
    named = known.of(link.producer_channels, producer.out_channels)
    if named and named.times > 1 and (producer.groups > 1 or named.unequal):
        return "some channels travel more often than others"
    if link.consumer_channels.ndim == 2:
        positions = 1 if method == "cross" else consumer.positions
        several = link.consumer_channels.shape[1] > 1 and method != "svr"
        if positions > 1 or consumer.groups > 1 or several:
            return (
                "it flattens channels of different extents together, so that its consumer has no "
                f"one kernel for method {method!r}"
            )
    return ""


def defined(
    links: Links, maps: Mapping[str, LinearMap], method: str
) -> tuple[Links, tuple[str, ...]]:
    """The links that have an adjacency by a method, and notes on the others, one a reason.

    Raises:
        WidthMismatchError: a link names channels that a map does not have.
    """
    kept: list[Bundle] = []
    left_out: dict[str, list[str]] = {}
    known = _KnownChannels()
    shapes = {name: _shape(linear) for name, linear in maps.items()}

    def why_not(link: Link) -> str:
        producer, consumer = maps[link.producer], maps[link.consumer]
        check_channels(link, producer.out_channels, _read(link, consumer), known)
        return undefined(link, producer, consumer, method, known)

    for bundle in links.bundles:
        writes = {shapes[name]: name for name in bundle.producers}
        reads = {(shapes[name], side): (name, side) for name, side in bundle.consumers}
        alike = len(writes) == len(reads) == 1 or not any(
            why_not(replace(bundle.link, producer=producer, consumer=consumer, side=side))
            for producer in writes.values()
            for consumer, side in reads.values()
        )
        for each in [bundle] if alike else bundle.apart():
            if why := why_not(each.link):
                pairs = (f"{link.producer} -> {link.consumer}" for link in Links([each]))
                left_out.setdefault(why, []).extend(pairs)
            else:
                kept.append(each)
    notes = (
        f"no link {listed(list(dict.fromkeys(pairs)), 2)}: {why}, for which no adjacency is defined"
        for why, pairs in left_out.items()
    )
    return Links(kept), tuple(notes)


def _shape(linear: LinearMap) -> Hashable:
    """Of a map all that decides which links of it are defined."""
    products = linear.product_of is not None
    return linear.out_channels, linear.in_channels, linear.groups, linear.positions, products


def _read(link: Link, consumer: LinearMap) -> int:
    """How many channels, or flat features, a link may name of its consumer."""
    if link.side is not None and consumer.product_of is not None:
        return consumer.out_channels if link.side == "q" else consumer.in_channels
    return consumer.in_channels


def _square(count: int) -> tuple[int, ...]:
    """The positions as a square image where they can be one."""
    side = isqrt(count)
    return (side, side) if side * side == count else (count,)
