"""Links from the caller's own list of pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt

import torch

from svr_widget.engine.errors import TraceError, WidthMismatchError, nearest_name
from svr_widget.engine.maps.links import Layout, Link, directed
from svr_widget.engine.maps.parts import Part


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
        for name in (producer, consumer):
            if name not in parts:
                raise TraceError(f"links: no map is called {name!r}{nearest_name(name, parts)}.")
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


def _square(count: int) -> tuple[int, ...]:
    """The positions as a square image where they can be one."""
    side = isqrt(count)
    return (side, side) if side * side == count else (count,)
