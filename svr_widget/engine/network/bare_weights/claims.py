"""Links that the caller claims between bare weights, and what their widths say to that."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import torch

from svr_widget.engine.errors import WidthMismatchError, listed
from svr_widget.engine.maps.bundles import directed
from svr_widget.engine.maps.links import Layout, Link
from svr_widget.engine.network.bare_weights.orientation import READ_AS, Weight
from svr_widget.engine.network.pairs import check_known

_MISFITS = 20
"""So many links that do not fit tell what is wrong; more only fill the screen."""


def connect(
    pairs: Iterable[tuple[str, str]], weights: Mapping[str, Weight]
) -> tuple[tuple[Link, ...], dict[str, Layout]]:
    """Links that carry all channels in order, and the layouts of flattening consumers.

    A matrix after a convolution with ``c`` output channels reads ``c x h x h`` flattened with the
    channels first where its width is ``c h^2`` (``c l`` after a 1d, ``c h^3`` after a 3d one).
    """
    rank = {name: place for place, name in enumerate(weights)}
    links: list[Link] = []
    layouts: dict[str, Layout] = {}
    first: dict[str, str] = {}
    misfits: list[str] = []
    for pair in pairs:
        check_known(pair, weights)
        (producer, consumer), (written, read) = pair, (weights[name] for name in pair)
        channels, width = written.outputs, read.inputs
        kernel = _flattened(channels, written, width, read)
        if kernel is None:
            misfits.append(
                f"{producer!r} {written} has {channels} output channels, but {consumer!r} {read} "
                f"reads {width}"
            )
            continue
        other = first.setdefault(consumer, producer)
        if weights[other].outputs != channels:
            misfits.append(
                f"{consumer!r} {read} reads {width}, which {producer!r} ({channels} channels) and "
                f"{other!r} ({weights[other].outputs}) would flatten differently"
            )
            continue
        if kernel:
            positions = math.prod(kernel)
            layouts[consumer] = Layout(torch.arange(width).view(channels, positions), kernel)
        every = torch.arange(channels)
        links.append(Link(producer, consumer, every, every))
    if misfits:
        raise _misfit(misfits)
    return directed(links, rank), layouts


def _flattened(
    channels: int, producer: Weight, width: int, consumer: Weight
) -> tuple[int, ...] | None:
    """The kernel of a consumer that flattens, ``()`` for one that does not, None for a misfit."""
    dims = producer.values.ndim - 2
    if width == channels:
        return ()
    if consumer.values.ndim > 2 or dims == 0 or width % channels:
        return None
    side = round((width // channels) ** (1 / dims))
    return (side,) * dims if side**dims * channels == width else None


def _misfit(misfits: Sequence[str]) -> WidthMismatchError:
    advice = (
        "where this is no chain, give the nn.Module itself, or links=[(producer, consumer), ...]; "
        "weights that stand aside go with exclude=..."
    )
    if len(misfits) == 1:
        return WidthMismatchError(f"{misfits[0]}; {advice}")
    more = len(misfits) - _MISFITS
    lines = [*misfits[:_MISFITS], *([f"and {more:,} more"] if more > 0 else [])]
    told = "".join(f"\n  {line}" for line in lines)
    return WidthMismatchError(f"{len(misfits):,} links do not fit:{told}\n{advice}")


def uncertain(pairs: Iterable[tuple[str, str]], weights: Mapping[str, Weight]) -> list[str]:
    """A note on weights of which neither a bias nor the widths of a link tell how they are kept."""
    settled = {name for name, weight in weights.items() if weight.certain}
    for pair in pairs:
        written, read = (weights[name] for name in pair)
        ways = itertools.product(_ways(written), _ways(read))
        fitting = [_flattened(out, written, width, read) for (out, _), (_, width) in ways]
        if len(fitting) - fitting.count(None) == 1:
            settled |= set(pair)
    names = [repr(name) for name in weights if name not in settled]
    kept = "is kept" if len(names) == 1 else "are kept"
    return [f"nothing tells how {listed(names, shown=2)} {kept}: read as {READ_AS}"] * bool(names)


def _ways(weight: Weight) -> list[tuple[int, int]]:
    """Output and input channels as a weight is read, and as it would be the other way round."""
    ends = weight.outputs, weight.inputs
    return [ends] if weight.certain else [ends, ends[::-1]]
