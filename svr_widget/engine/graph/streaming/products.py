"""Links that are computed together, tile by tile: one link, or a bus of many.

In a residual stream whoever writes to its channels is linked to whoever reads them later: tens of
thousands of small products, which are a few large ones: the representations of all producers beside
each other against those of all consumers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.environment.settings import matrix_product
from svr_widget.engine.graph.adjacency import Adjacency
from svr_widget.engine.graph.streaming.tiles import Pack, extent, packs
from svr_widget.engine.maps.links import Link, LinkKey
from svr_widget.engine.maps.read_only import array_of, plain
from svr_widget.engine.significance.nulls import NullLaw

FEWEST = 8
"""Links that are worth a bus."""


@dataclass(frozen=True, eq=False)
class Tile:
    """Some of the entries of some links.

    Attributes:
        rows, columns: whose neurons stand along the sides, consumers' and producers'.
        links: the number of the link of each of the product's consumers and producers,
            ``[consumers, producers]``.
        entries: float32 or float64 ``[rows, columns]``, on the device that computes.
        parts: int16, the law that each entry follows, -1 for one that is no test; None where all
            follow the first. On that device too.
        mean: the expected entry, or each one's.
        null: whether the neurons of rows, of columns, are null.
    """

    rows: Pack
    columns: Pack
    links: NDArray[np.intp]
    entries: Tensor
    parts: Tensor | None
    mean: float | NDArray[np.float64]
    null: tuple[NDArray[np.bool_], NDArray[np.bool_]]


class Product(ABC):
    """Links that are computed together: each consumer reads each producer.

    Attributes:
        links: their numbers, ``[consumers, producers]``.
        consumers, producers: how many neurons each of them has.
        laws: of their entries, as ``Adjacency.laws`` has them.
        dtype: of their entries.
    """

    links: NDArray[np.intp]
    consumers: Sequence[int]
    producers: Sequence[int]
    laws: tuple[NullLaw, ...]
    dtype: np.dtype[np.floating]

    @cached_property
    def row_packs(self) -> list[Pack]:
        """The consumers' neurons in packs, the rows of tiles."""
        return packs(self.consumers)

    @cached_property
    def column_packs(self) -> list[Pack]:
        """The producers' neurons in packs, the columns of tiles."""
        return packs(self.producers)

    @property
    def size(self) -> int:
        """How many entries there are."""
        return sum(self.consumers) * sum(self.producers)

    @abstractmethod
    def tile(self, rows: Pack, columns: Pack) -> Tile:
        """The entries of two packs."""


class OneLink(Product):
    """A link by itself, of whatever kind."""

    def __init__(self, number: int, adjacency: Callable[[], Adjacency]) -> None:
        made = adjacency()
        self.links = np.array([[number]])
        self.laws = made.laws
        self.dtype = made.dtype
        self.consumers, self.producers = made.shape[:1], made.shape[1:]
        self._adjacency = adjacency

    def tile(self, rows: Pack, columns: Pack) -> Tile:
        """As ``Product`` has it."""
        adjacency = self._adjacency()
        ((_, n, _),), ((_, m, _),) = rows, columns
        null = (
            np.array(adjacency.consumer.null.numpy()[n]),
            np.array(adjacency.producer.null.numpy()[m]),
        )
        one_law = len(self.laws) == 1 and not adjacency.grouped
        parts = None if one_law and not (null[0].any() or null[1].any()) else adjacency.parts(n, m)
        entries = adjacency.entries(n, m)
        of_entries = None if parts is None else torch.from_numpy(parts).to(entries.device)
        return Tile(rows, columns, self.links, entries, of_entries, adjacency.means(n, m), null)


class Bus(Product):
    """Links between each two of many maps, all through the same channels by the same law.

    Args:
        links: their numbers, ``[consumers, producers]``.
        law: of their entries.
        emitting: gives the producers' neurons.
        reading: gives the consumers'.
        channels: those of each producer and those of each consumer that travel.
        device: where tiles are computed.
    """

    def __init__(
        self,
        links: NDArray[np.intp],
        law: NullLaw,
        emitting: Sequence[Callable[[], Decomposition]],
        reading: Sequence[Callable[[], Decomposition]],
        channels: tuple[Tensor, Tensor],
        device: torch.device,
    ) -> None:
        self.links, self.laws, self._device = links, (law,), device
        self._emitting, self._reading, self._channels = emitting, reading, channels
        self.consumers, self.producers = (
            [len(each()) for each in side] for side in (reading, emitting)
        )
        U, V = emitting[0]().U, reading[0]().V
        self.dtype = array_of(torch.empty(0, dtype=torch.promote_types(U.dtype, V.dtype))).dtype

    @property
    def alike(self) -> list[NDArray[np.intp]]:
        """Consumers, those together that have as many neurons that are not null."""
        read = [int((~array_of(each().null)).sum()) for each in self._reading]
        _, which = np.unique(read, return_inverse=True)
        return [np.flatnonzero(which == at) for at in range(which.max() + 1)]

    def tile(self, rows: Pack, columns: Pack) -> Tile:
        """As ``Product`` has it."""
        sent, read = self._channels
        U, m = _beside(self._emitting, columns, lambda each: each.U, sent)
        V, n = _beside(self._reading, rows, lambda each: each.V, read)
        dtype = torch.promote_types(U.dtype, V.dtype)
        U, V = U.to(self._device, dtype), V.to(self._device, dtype)
        entries = matrix_product(V.T, U).square_()
        parts = None
        if n.any() or m.any():
            tested = np.where(n[:, None] | m, np.int16(-1), np.int16(0))
            parts = torch.from_numpy(tested).to(self._device)
        return Tile(rows, columns, self.links, entries, parts, self.laws[0].mean, (n, m))


def _beside(
    maps: Sequence[Callable[[], Decomposition]],
    pack: Pack,
    vectors: Callable[[Decomposition], Tensor],
    channels: Tensor,
) -> tuple[Tensor, NDArray[np.bool_]]:
    """Representations ``[s, neurons]`` on channels that travel, and which neurons are null."""
    first = plain(vectors(maps[pack[0].end]()))
    width = first.shape[0]
    channels = plain(channels)
    every = len(channels) == width and torch.equal(channels, torch.arange(width))
    beside = torch.empty(len(channels), extent(pack), dtype=first.dtype)
    null = np.empty(extent(pack), np.bool_)
    for end, neurons, places in pack:
        decomposition = maps[end]()
        flat = plain(vectors(decomposition)).reshape(width, -1)[:, neurons]
        beside[:, places] = flat if every else flat[channels]
        null[places] = array_of(decomposition.null)[neurons]
    return beside, null


class Ends(NamedTuple):
    """What gives the neurons at both ends of a link, when they are needed.

    Attributes:
        emitting: the producer's neurons.
        reading: the consumer's neurons, their ``V`` that of the side which the link ends in.
        adjacency: the adjacency of a link by its key, for this once.
        device: where tiles are computed.
    """

    emitting: Callable[[Link], Decomposition]
    reading: Callable[[Link], Decomposition]
    adjacency: Callable[[LinkKey], Adjacency]
    device: torch.device = torch.device("cpu")


def products_of(links: Mapping[LinkKey, Link], ends: Ends) -> list[Product]:
    """The links as products, those that can be together as one; numbers count ``links``."""
    keys = list(links)
    alike: dict[Hashable, dict[tuple[str, str | None], dict[str, int]]] = {}
    single: list[int] = []
    channels: dict[Hashable, Hashable] = {}
    for number, link in enumerate(links.values()):
        kind = _kind(link, ends, channels)
        consumer = link.consumer, link.side
        reads = alike.setdefault(kind, {}).setdefault(consumer, {}) if kind else {}
        if kind is None or link.producer in reads:
            single.append(number)
        else:
            reads[link.producer] = number
    buses: list[Product] = []
    for consumers in alike.values():
        together: dict[tuple[str, ...], list[list[int]]] = {}
        for reads in consumers.values():
            together.setdefault(tuple(reads), []).append(list(reads.values()))
        law: NullLaw | None = None
        for numbers in map(np.array, together.values()):
            if numbers.size < FEWEST:
                single.extend(numbers.flat)
                continue
            first = links[keys[numbers[0, 0]]]
            law = law or ends.adjacency(keys[numbers[0, 0]]).law
            at = [[links[keys[number]] for number in side] for side in (numbers[0], numbers[:, 0])]
            buses.append(
                Bus(
                    numbers,
                    law,
                    [partial(ends.emitting, link) for link in at[0]],
                    [partial(ends.reading, link) for link in at[1]],
                    (first.producer_channels, first.consumer_channels),
                    ends.device,
                )
            )
    alone: list[Product] = [OneLink(n, partial(ends.adjacency, keys[n])) for n in sorted(single)]
    return sorted([*alone, *buses], key=lambda product: int(product.links.min()))


def _kind(link: Link, ends: Ends, known: dict[Hashable, Hashable]) -> Hashable | None:
    """What the links of one bus have in common; None for a link that goes by itself."""
    if link.signs is not None or link.consumer_channels.ndim > 1 or not link.shared:
        return None
    writes, reads = ends.emitting(link), ends.reading(link)
    sides = (
        _side(writes, writes.U, writes.confined[0], known),
        _side(reads, reads.V, reads.confined[1], known),
    )
    travelling = tuple(
        _identity(each, known) for each in (link.producer_channels, link.consumer_channels)
    )
    return None if None in sides or None in travelling else (travelling, sides)


def _side(
    decomposition: Decomposition, vectors: Tensor, confined: bool, known: dict[Hashable, Hashable]
) -> Hashable | None:
    """What the maps along one side of a bus have in common; None for a kernel, or groups."""
    if id(decomposition) not in known:
        channels, *kernel, _ = vectors.shape
        plain = decomposition.group_count == 1 and prod(kernel) == 1
        known[id(decomposition)] = (channels, vectors.dtype, confined) if plain else None
    return known[id(decomposition)]


def _identity(channels: Tensor, known: dict[Hashable, Hashable]) -> Hashable | None:
    """Equal for equal channels; None where one travels twice."""
    place = channels.data_ptr(), len(channels), channels.stride()
    if place not in known:
        once = len(torch.unique(channels)) == len(channels)
        known[place] = channels.numpy().tobytes() if once else None
    return known[place]
