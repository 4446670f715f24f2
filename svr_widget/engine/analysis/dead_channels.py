"""Channels that tell nothing: what a map emits in them hardly varies, or is hardly read (5.2.2).

On a way from a map with weight ``T`` to a map with weight ``C``, channel ``k`` emits
``psi(a_k + g_k T[k] * x)``: ``g_k`` is what norms with stored statistics and other stored factors
make of it, ``a_k`` a constant. What of ``x`` reaches ``C`` through it is at most

    ``e_k = ||T[k]|| |g_k| ||C[:, k]||``

times the length of ``x``, for a ``psi`` of slope at most 1. The channel is *dead* where ``e_k`` is
at most ``tolerance`` times the largest of the way, on every way that carries it. Each of the three
factors alone says nothing: a row may be small and a norm or the next map make up for it, and in a
network without norms a row may be divided by any number that the next map's column is multiplied
by. So is ``a_k`` no matter: it is a bias of the next map, and moving ``psi(a_k)`` there makes the
removal of dead channels change what that map reads by at most ``tolerance`` times their number, in
units of the most that one channel can do (with zero padding, away from the borders).

Ways out of the network count as well, with ``||C[:, k]|| = 1``; so do maps and channels that no way
leaves as far as is known, such as queries and keys. Where a norm has no stored statistics, or some
for groups of channels only, a small row may be scaled up again: there a channel is dead only if its
row is zero. What the thin SVD of a map cannot show, a zero row of a map with few inputs, is found
like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from svr_widget.engine.analysis.near_kernels import blocks_of_channels
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import Link

Floats = NDArray[np.float64]

TOLERANCE = 1e-4
"""Share of the most influential channel's influence below which a channel is dead."""


class _Way(NamedTuple):
    """Channels that leave a map together; the factors that follow the row, one a channel."""

    channels: NDArray[np.int64]
    gain: Floats
    column: Floats


def dead_channels(graph: SpectralGraph, tolerance: float = TOLERANCE) -> pd.DataFrame:
    """A row for each dead channel; columns as in ``SVR.dead_channels``."""
    graph.check_linked("dead_channels")
    found = without_influence(graph.maps, graph.links.values(), graph.outlets, tolerance)
    blocks = [
        blocks_of_channels(graph, str(name))[channels]
        for name, channels in found.groupby("map", sort=False)["channel"]
    ]
    found.insert(6, "block", np.concatenate([np.empty(0, np.int64), *blocks]))
    return found


def without_influence(
    maps: Mapping[str, LinearMap],
    links: Iterable[Link],
    outlets: Iterable[Link],
    tolerance: float = TOLERANCE,
) -> pd.DataFrame:
    """``dead_channels`` of a network, without the blocks, which need decompositions.

    Raises:
        SVRError: the tolerance is out of range.
    """
    if not 0 <= tolerance <= 1:
        raise SVRError(f"tolerance = {tolerance!r} is out of range: 0 <= tolerance <= 1")
    leaving: dict[str, list[Link]] = {}
    for link in links:
        leaving.setdefault(link.producer, []).append(link)
    returned: dict[str, list[Link]] = {}
    for link in outlets:
        returned.setdefault(link.producer, []).append(link)
    columns: dict[str, Floats] = {}
    frames = []
    for linear in maps.values():
        linear.check_known()
        emitting = dict.fromkeys((linear.name, *(linear.product_of or ())[:1]))
        out = (link for name in emitting for link in returned.get(name, ()))
        ways = [_way(link, np.ones(link.shared)) for link in out]
        ways += [_way(link, _columns(maps, link, columns)) for link in leaving.get(linear.name, ())]
        frames.append(_of_map(linear, ways, tolerance))
    return pd.concat(frames, ignore_index=True)


def _of_map(linear: LinearMap, ways: list[_Way], tolerance: float) -> pd.DataFrame:
    row = _norms(linear.weight.flatten(1).double().numpy(), axis=1)
    ratio, gain, read = (np.zeros(linear.out_channels) for _ in range(3))
    for way in _all_ways(linear, ways):
        channels = np.unique(way.channels)
        for found, values in (
            (ratio, _influence(way, row)),
            (gain, _relative(_spread(way, np.abs(way.gain), len(row))[channels])),
            (read, _relative(_spread(way, way.column, len(row))[channels])),
        ):
            found[channels] = np.maximum(found[channels], values)
    factors = {"row": _relative(row), "norm": gain, "read": read}
    dead = np.flatnonzero(ratio <= tolerance)
    smallest = np.stack(list(factors.values()))[:, dead].argmin(axis=0)
    names = np.array(list(factors), dtype=object)
    return pd.DataFrame(
        {
            "map": np.full(dead.size, linear.name, dtype=object),
            "channel": dead,
            "ratio": ratio[dead],
            **{name: values[dead] for name, values in factors.items()},
            "why": names[smallest],
        }
    )


def _all_ways(linear: LinearMap, ways: list[_Way]) -> list[_Way]:
    """The ways out of a map; channels that none carries leave by one of their own."""
    carried = np.concatenate([np.empty(0, np.int64), *(way.channels for way in ways)])
    other = np.setdiff1d(np.arange(linear.out_channels), carried)
    if other.size:
        return [*ways, _Way(other, np.ones(other.size), np.ones(other.size))]
    return ways


def _way(link: Link, column: Floats) -> _Way:
    gain = np.ones(link.shared) if link.gains is None else link.gains.numpy()
    return _Way(link.producer_channels.numpy(), gain, column)


def _columns(maps: Mapping[str, LinearMap], link: Link, known: dict[str, Floats]) -> Floats:
    """Norms of the consumer's input channels that a link ends in, one for each that it carries."""
    consumer = maps[link.consumer]
    if link.side == "q":
        norms = _norms(consumer.weight.flatten(1).double().numpy(), axis=1)
    else:
        if consumer.name not in known:
            shape = consumer.groups, -1, consumer.shape[1], consumer.positions
            by_group = consumer.weight.double().reshape(shape).numpy()
            known[consumer.name] = _norms(by_group, axis=(1, 3)).ravel()
        norms = known[consumer.name]
    read = norms[link.consumer_channels.numpy()]
    return _norms(read, axis=1) if read.ndim > 1 else read


def _influence(way: _Way, row: Floats) -> Floats:
    """``e_k`` relative to the largest, for the channels of a way in order."""
    channels = np.unique(way.channels)
    stored = ~np.isnan(way.gain)
    influence = _spread(way, np.abs(np.nan_to_num(way.gain)) * way.column, len(row)) * row
    relative = _relative(influence[channels])
    unknown = np.isin(channels, way.channels[~stored])
    return np.where(unknown, row[channels] > 0, relative)


def _spread(way: _Way, values: Floats, count: int) -> Floats:
    """Values by the map's channel ``[count]``; root of squares where one leaves several times."""
    squares = np.zeros(count)
    np.add.at(squares, way.channels, np.nan_to_num(values, nan=1.0) ** 2)
    return np.sqrt(squares)


def _relative(values: Floats) -> Floats:
    return np.asarray(values / (values.max(initial=0.0) or 1.0))


def _norms(array: NDArray[np.floating], axis: int | tuple[int, ...]) -> Floats:
    return np.asarray(np.sqrt(np.square(array).sum(axis=axis)))
