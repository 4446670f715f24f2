"""Links that are computed together, tile by tile: one link, or a bus of many.

In a residual stream whoever writes to its channels is linked to whoever reads them later: tens of
thousands of small products, which are a few large ones: the representations of all producers beside
each other against those of all consumers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from math import prod
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.environment.settings import matrix_product
from svr_widget.engine.graph.adjacency import Adjacency
from svr_widget.engine.graph.streaming.tiles import Pack, extent, packs
from svr_widget.engine.maps.bundles import Consumer, KeyedLinks
from svr_widget.engine.maps.links import Link, LinkKey
from svr_widget.engine.maps.read_only import array_of, plain
from svr_widget.engine.significance.nulls import NullLaw

FEWEST = 8
"""Links that are worth a bus."""

End = TypeVar("End", str, Consumer)


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
    """What gives the neurons at both ends of links, when they are needed.

    Attributes:
        emitting: a producer's neurons.
        reading: a consumer's neurons, their ``V`` that of the side which links end in.
        adjacency: the adjacency of a link by its key, for this once.
        device: where tiles are computed.
    """

    emitting: Callable[[str], Decomposition]
    reading: Callable[[Consumer], Decomposition]
    adjacency: Callable[[LinkKey], Adjacency]
    device: torch.device = torch.device("cpu")


Reads = dict[str, int]
"""Of a consumer the number of its link from each producer."""


def products_of(links: KeyedLinks, passing: Callable[[Link], bool], ends: Ends) -> list[Product]:
    """Links as products, those that can be together as one.

    Args:
        links: all links of a graph.
        passing: whether those like a link are wanted.
        ends: gives the neurons at both ends.
    """
    alike: dict[Hashable, dict[Consumer, Reads]] = {}
    single: list[int] = []
    kinds = _Kinds(ends)
    for bundle, start in zip(links.links.bundles, links.links.starts, strict=False):
        if not passing(bundle.link):
            continue
        numbers = start + np.arange(len(bundle)).reshape(len(bundle.producers), -1)
        channels = kinds.channels(bundle.link)
        for sent, producers in _sorted_by(kinds.sent, bundle.producers):
            for read, consumers in _sorted_by(kinds.read, bundle.consumers):
                if None in (channels, sent, read):
                    single.extend(numbers[np.ix_(producers, consumers)].ravel().tolist())
                    continue
                of_kind = alike.setdefault((channels, sent, read), {})
                names = [bundle.producers[producer] for producer in producers]
                for consumer in consumers:
                    mine = zip(names, numbers[producers, consumer].tolist(), strict=True)
                    reads = of_kind.setdefault(bundle.consumers[consumer], {})
                    for name, number in mine:
                        if reads.setdefault(name, number) != number:
                            single.append(number)  # another link between the same two
    buses = [bus for of_kind in alike.values() for bus in _buses(of_kind, links, ends, single)]
    alone = [OneLink(n, partial(ends.adjacency, links.key(n))) for n in sorted(single)]
    return sorted([*alone, *buses], key=lambda product: int(product.links.min()))


def _buses(
    of_kind: Mapping[Consumer, Reads], links: KeyedLinks, ends: Ends, single: list[int]
) -> Iterator[Product]:
    """Consumers that read the same producers, together; those of too few links go to ``single``."""
    together: dict[tuple[str, ...], list[Consumer]] = {}
    for consumer, reads in of_kind.items():
        together.setdefault(tuple(reads), []).append(consumer)
    law: NullLaw | None = None
    for producers, consumers in together.items():
        numbers = np.array([list(of_kind[consumer].values()) for consumer in consumers])
        if numbers.size < FEWEST:
            single.extend(numbers.ravel().tolist())
            continue
        first = int(numbers[0, 0])
        law = law or ends.adjacency(links.key(first)).law
        yield Bus(
            numbers,
            law,
            [partial(ends.emitting, name) for name in producers],
            [partial(ends.reading, consumer) for consumer in consumers],
            (links.links[first].producer_channels, links.links[first].consumer_channels),
            ends.device,
        )


def _sorted_by(
    kind: Callable[[End], Hashable | None], names: Sequence[End]
) -> Iterator[tuple[Hashable | None, list[int]]]:
    """The places of ends by what they have in common."""
    places: dict[Hashable | None, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(kind(name), []).append(place)
    return iter(places.items())


class _Kinds:
    """What the links of one bus have in common, found out once for each map and its channels."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._channels: dict[Hashable, Hashable] = {}
        self.sent, self.read = lru_cache(None)(self._sent), lru_cache(None)(self._read)

    def channels(self, link: Link) -> Hashable | None:
        """Equal where the same channels travel; None for a link that goes by itself."""
        if link.signs is not None or link.consumer_channels.ndim > 1 or not link.shared:
            return None
        both = self._identity(link.producer_channels), self._identity(link.consumer_channels)
        return None if None in both else both

    def _sent(self, producer: str) -> Hashable | None:
        neurons = self._ends.emitting(producer)
        return _side(neurons, neurons.U, neurons.confined[0])

    def _read(self, consumer: Consumer) -> Hashable | None:
        neurons = self._ends.reading(consumer)
        return _side(neurons, neurons.V, neurons.confined[1])

    def _identity(self, channels: Tensor) -> Hashable:
        """Equal for equal channels; None where one travels twice."""
        place = channels.data_ptr(), len(channels), channels.stride()
        if place not in self._channels:
            once = len(torch.unique(channels)) == len(channels)
            self._channels[place] = channels.numpy().tobytes() if once else None
        return self._channels[place]


def _side(decomposition: Decomposition, vectors: Tensor, confined: bool) -> Hashable | None:
    """What the maps along one side of a bus have in common; None for a kernel, or groups."""
    channels, *kernel, _ = vectors.shape
    plain = decomposition.group_count == 1 and prod(kernel) == 1
    return (channels, vectors.dtype, confined) if plain else None
