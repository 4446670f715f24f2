"""Links that are computed together, tile by tile: one link, or a bus of many.

In a residual stream whoever writes to its channels is linked to whoever reads them later: tens of
thousands of small products, which are a few large ones: the representations of all producers beside
each other against those of all consumers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
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
from svr_widget.engine.maps.read_only import array_of
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
        last: keeps what producers emit from one tile of a column to the next.
        device: where tiles are computed.
    """

    def __init__(
        self,
        links: NDArray[np.intp],
        law: NullLaw,
        emitting: Sequence[Callable[[], Decomposition]],
        reading: Sequence[Callable[[], Decomposition]],
        channels: tuple[Tensor, Tensor],
        last: _Last,
        device: torch.device,
    ) -> None:
        self.links, self.laws, self._last, self._device = links, (law,), last, device
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
        U, m = self._last(
            (id(self), columns), lambda: _beside(self._emitting, columns, lambda each: each.U, sent)
        )
        V, n = _beside(self._reading, rows, lambda each: each.V, read)
        dtype = torch.promote_types(U.dtype, V.dtype)
        U, V = U.to(self._device, dtype), V.to(self._device, dtype)
        entries = _squared(matrix_product(V.T, U))
        parts = None
        if n.any() or m.any():
            tested = np.where(n[:, None] | m, np.int16(-1), np.int16(0))
            parts = torch.from_numpy(tested).to(self._device)
        return Tile(rows, columns, self.links, entries, parts, self.laws[0].mean, (n, m))


def _squared(entries: Tensor) -> Tensor:
    """The squares, in place; on the CPU by NumPy, as the products are (``drivers.py`` says why)."""
    if entries.device.type != "cpu":
        return entries.square_()
    np.square(entries.numpy(), out=entries.numpy())
    return entries


_Side = tuple[Tensor, NDArray[np.bool_]]


class _Last:
    """What was made last, for whoever asks for the same again: one thing at a time is kept."""

    def __init__(self) -> None:
        self._held: tuple[Hashable, _Side] | None = None

    def __call__(self, key: Hashable, make: Callable[[], _Side]) -> _Side:
        held = self._held  # another thread may put something else there
        if held is None or held[0] != key:
            self._held = None
            self._held = held = key, make()
        return held[1]


def _beside(
    maps: Sequence[Callable[[], Decomposition]],
    pack: Pack,
    vectors: Callable[[Decomposition], Tensor],
    channels: Tensor,
) -> _Side:
    """Representations ``[s, neurons]`` on channels that travel, and which neurons are null."""
    first = array_of(vectors(maps[pack[0].end]()))
    width, travelling = first.shape[0], array_of(channels)
    every = len(travelling) == width and np.array_equal(travelling, np.arange(width))
    beside = np.empty((len(travelling), extent(pack)), first.dtype)
    null = np.empty(extent(pack), np.bool_)
    for end, neurons, places in pack:
        decomposition = maps[end]()
        flat = array_of(vectors(decomposition)).reshape(width, -1)[:, neurons]
        beside[:, places] = flat if every else flat[travelling]
        null[places] = array_of(decomposition.null)[neurons]
    return torch.from_numpy(beside), null


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


def products_of(
    links: KeyedLinks, passing: Callable[[Link], bool], ends: Ends
) -> tuple[list[Product], list[Product]]:
    """Links as products, those that can be together as one: those that are wanted, and the others.

    Args:
        links: all links of a graph.
        passing: whether those like a link are wanted.
        ends: gives the neurons at both ends.
    """
    sorts = {True: _Sorted(), False: _Sorted()}
    kinds = _Kinds(ends)
    for bundle, start in zip(links.links.bundles, links.links.starts, strict=False):
        mine, channels = sorts[passing(bundle.link)], kinds.channels(bundle.link)
        width = len(bundle.consumers)
        for sent, producers in _sorted_by(kinds.sent, bundle.producers):
            for read, consumers in _sorted_by(kinds.read, bundle.consumers):
                if channels is None or sent is None or read is None:
                    mine.single.extend(start + p * width + c for p in producers for c in consumers)
                    continue
                of_kind = mine.alike.setdefault((channels, sent, read), {})
                for consumer in consumers:
                    reads = of_kind.setdefault(bundle.consumers[consumer], {})
                    for producer in producers:
                        number = start + producer * width + consumer
                        if reads.setdefault(bundle.producers[producer], number) != number:
                            mine.single.append(number)  # another link between the same two
    return sorts[True].products(links, ends), sorts[False].products(links, ends)


class _Sorted:
    """Links on their way to products.

    Attributes:
        alike: those that may share a bus, by what they have in common.
        single: the numbers of those that go by themselves.
    """

    def __init__(self) -> None:
        self.alike: dict[Hashable, dict[Consumer, Reads]] = {}
        self.single: list[int] = []

    def products(self, links: KeyedLinks, ends: Ends) -> list[Product]:
        """The products, in the order of their first links."""
        buses = [
            bus
            for of_kind in self.alike.values()
            for bus in _buses(of_kind, links, ends, self.single)
        ]
        alone = [OneLink(n, partial(ends.adjacency, links.key(n))) for n in sorted(self.single)]
        return sorted([*alone, *buses], key=lambda product: int(product.links.min()))


def _buses(
    of_kind: Mapping[Consumer, Reads], links: KeyedLinks, ends: Ends, single: list[int]
) -> Iterator[Product]:
    """Consumers that read the same producers, together; those of too few links go to ``single``."""
    together: dict[tuple[str, ...], list[Consumer]] = {}
    last = _Last()
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
            last,
            ends.device,
        )


def _sorted_by(
    kind: Callable[[End], Hashable | None], names: Sequence[End]
) -> Iterable[tuple[Hashable | None, Sequence[int]]]:
    """The places of ends by what they have in common."""
    if len(names) == 1:  # most bundles of most networks
        return ((kind(names[0]), (0,)),)
    places: dict[Hashable | None, list[int]] = {}
    for place, name in enumerate(names):
        places.setdefault(kind(name), []).append(place)
    return places.items()


class _Kinds:
    """What the links of one bus have in common, found out once for each map and its channels."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        # By the ``id`` of both tensors, which are kept so that no others have it.
        self._channels: dict[tuple[int, int], tuple[tuple[Tensor, Tensor], Hashable]] = {}
        self._known: dict[Hashable, Hashable] = {}
        self.sent, self.read = lru_cache(None)(self._sent), lru_cache(None)(self._read)

    def channels(self, link: Link) -> Hashable | None:
        """Equal where the same channels travel; None for a link that goes by itself."""
        if link.signs is not None:
            return None
        both = link.producer_channels, link.consumer_channels
        asked = id(both[0]), id(both[1])
        if asked not in self._channels:
            self._channels[asked] = both, self._identities(*both)
        return self._channels[asked][1]

    def _identities(self, sent: Tensor, read: Tensor) -> Hashable | None:
        if read.ndim > 1 or not len(sent):
            return None
        both = self._identity(sent), self._identity(read)
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
        if place not in self._known:
            once = len(torch.unique(channels)) == len(channels)
            self._known[place] = channels.numpy().tobytes() if once else None
        return self._known[place]


def _side(decomposition: Decomposition, vectors: Tensor, confined: bool) -> Hashable | None:
    """What the maps along one side of a bus have in common; None for a kernel, or groups."""
    channels, *kernel, _ = vectors.shape
    plain = decomposition.group_count == 1 and prod(kernel) == 1
    return (channels, vectors.dtype, confined) if plain else None
