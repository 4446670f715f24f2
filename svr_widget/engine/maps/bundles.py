"""Links in bundles: what many of them share is there once.

The heads of a transformer's attention are some thousand maps and a million links, each of which is
a ``Link`` only while somebody looks at it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence, ValuesView
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import chain
from typing import overload

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from svr_widget.engine.errors import TraceError
from svr_widget.engine.maps.links import Link, LinkKey, Side, entered, number_of

Consumer = tuple[str, Side]
"""A map that reads, and which side of it the links enter."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """Links from each of some producers to each of some consumers, alike but for their ends.

    Attributes:
        link: one of them.
        producers: the names of all producers.
        consumers: all consumers.
    """

    link: Link
    producers: tuple[str, ...]
    consumers: tuple[Consumer, ...]

    @classmethod
    def of(cls, link: Link) -> Bundle:
        """One link."""
        return cls(link, (link.producer,), ((link.consumer, link.side),))

    def __len__(self) -> int:
        return len(self.producers) * len(self.consumers)

    def at(self, place: int) -> Link:
        """One of the links; those of a producer stand together."""
        if len(self) == 1:
            return self.link
        producer, consumer = divmod(place, len(self.consumers))
        name, side = self.consumers[consumer]
        return replace(self.link, producer=self.producers[producer], consumer=name, side=side)

    @cached_property
    def entered(self) -> tuple[str, ...]:
        """What the consumers' ends are called, as in ``LinkKey``."""
        return tuple(entered(name, side) for name, side in self.consumers)

    def apart(self) -> Iterator[Bundle]:
        """The links, each by itself."""
        return map(Bundle.of, map(self.at, range(len(self))))


class Links(Sequence[Link]):
    """The links of bundles one after the other, each made when it is asked for.

    Attributes:
        bundles: those that hold a link.
        starts: the number of each bundle's first link, and of all links.
    """

    def __init__(self, bundles: Iterable[Bundle]) -> None:
        self.bundles = tuple(each for each in bundles if len(each))
        self.starts: list[int] = [0, *np.cumsum([len(each) for each in self.bundles]).tolist()]

    @classmethod
    def of(cls, links: Iterable[Link]) -> Links:
        """Links that somebody has."""
        return links if isinstance(links, Links) else cls(map(Bundle.of, links))

    def __len__(self) -> int:
        return self.starts[-1]

    @overload
    def __getitem__(self, place: int) -> Link: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Link, ...]: ...
    def __getitem__(self, place: int | slice) -> Link | tuple[Link, ...]:
        if isinstance(place, slice):
            return tuple(self[at] for at in range(len(self))[place])
        bundle, inside = self.place(range(len(self))[place])
        return bundle.at(inside)

    def __iter__(self) -> Iterator[Link]:
        return (bundle.at(place) for bundle in self.bundles for place in range(len(bundle)))

    def place(self, number: int) -> tuple[Bundle, int]:
        """The bundle of a link, and its place in it."""
        at = bisect_right(self.starts, number) - 1
        return self.bundles[at], number - self.starts[at]

    def directed(self, rank: Mapping[str, int]) -> Links:
        """The links, those marked backward that close a cycle; see ``directed``."""
        component = self._components()
        return Links(
            directed for bundle in self.bundles for directed in _directed(bundle, component, rank)
        )

    def _components(self) -> Mapping[str, int]:
        """Which maps lead to each other: those of one number."""
        ends = list(self._edges())
        places = {name: at for at, name in enumerate(dict.fromkeys(chain.from_iterable(ends)))}
        rows, columns = (np.array([places[edge[at]] for edge in ends], np.int32) for at in (0, 1))
        graph = sparse.coo_array((np.ones(len(ends)), (rows, columns)), (len(places),) * 2)
        _, found = sparse.csgraph.connected_components(graph, connection="strong")
        numbers = zip(places, found.tolist(), strict=True)
        return {name: number for name, number in numbers if isinstance(name, str)}

    def _edges(self, *, forward: bool = False) -> Iterator[tuple[str | int, str | int]]:
        """Producers to the number of their bundle, and that to its consumers: no edge a link."""
        for at, bundle in enumerate(self.bundles):
            if not (forward and bundle.link.backward):
                yield from ((name, at) for name in bundle.producers)
                yield from ((at, name) for name, _ in bundle.consumers)

    def depths(self, names: Iterable[str]) -> dict[str, int]:
        """Depth of each map; see ``depths``."""
        before: dict[str | int, list[str | int]] = {}
        for sent, read in self._edges(forward=True):
            before.setdefault(read, []).append(sent)
        found: dict[str | int, int] = {}
        try:
            for node in TopologicalSorter(before).static_order():
                last = max((found[each] for each in before.get(node, ())), default=-1)
                found[node] = last + isinstance(node, str)
        except CycleError as error:
            cycle = [one for one in error.args[1] if isinstance(one, str)]
            raise TraceError(
                f"links: {' → '.join(dict.fromkeys(cycle))} → ... is a cycle; mark one of its "
                "links with backward=True"
            ) from None
        return {name: found.get(name, 0) for name in names}


def _directed(
    bundle: Bundle, component: Mapping[str, int], rank: Mapping[str, int]
) -> Iterator[Bundle]:
    def backward(producer: str, consumer: str) -> bool:
        return component[producer] == component[consumer] and rank[producer] >= rank[consumer]

    writes = {component[name] for name in bundle.producers}
    if writes.isdisjoint(component[name] for name, _ in bundle.consumers):
        found = {False}
    else:
        found = {backward(p, c) for p in bundle.producers for c, _ in bundle.consumers}
    for each in [bundle] if len(found) == 1 else bundle.apart():
        link = each.link
        marked = replace(link, backward=backward(link.producer, link.consumer))
        yield each if marked.backward == link.backward else replace(each, link=marked)


def directed(links: Iterable[Link], rank: Mapping[str, int]) -> tuple[Link, ...]:
    """The links, those marked backward that close a cycle (recurrence, a module used twice).

    Args:
        links: every link.
        rank: the maps' places in the order of execution; maps that run at once share a place.
            On a cycle, the links that run against this order are the backward ones.
    """
    return tuple(Links.of(links).directed(rank))


def depths(links: Iterable[Link], names: Iterable[str]) -> dict[str, int]:
    """Depth of each map: the longest way from a map without producers; backward links ignored.

    Raises:
        TraceError: the other links form a cycle.
    """
    return Links.of(links).depths(names)


class KeyedLinks(Mapping[LinkKey, Link]):
    """Links by their ends; a further link between the same two maps adds a number.

    Attributes:
        links: the same by their number.
    """

    def __init__(self, links: Iterable[Link]) -> None:
        self.links = Links.of(links)

    def __len__(self) -> int:
        return len(self.links)

    def __iter__(self) -> Iterator[LinkKey]:
        further = iter(self.further.tolist())
        for bundle in self.links.bundles:
            for producer in bundle.producers:
                for consumer in bundle.entered:
                    number = next(further)
                    yield (producer, consumer, number) if number else (producer, consumer)

    def __getitem__(self, key: LinkKey) -> Link:
        return self.links[self.number(key)]

    def values(self) -> ValuesView[Link]:
        """The links, in their order."""
        return _Values(self)

    def items(self) -> ItemsView[LinkKey, Link]:
        """The keys and links, in their order."""
        return _Items(self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def key(self, number: int) -> LinkKey:
        """The key of a link by its number."""
        bundle, place = self.links.place(number)
        producer, consumer = divmod(place, len(bundle.consumers))
        ends = bundle.producers[producer], bundle.entered[consumer]
        further = int(self.further[number])
        return (*ends, further) if further else ends

    def number(self, key: LinkKey) -> int:
        """The number of a link.

        Raises:
            KeyError: there is no such link.
        """
        pairs, order = self._sorted
        sent, read = self._names
        if not _is_key(key) or key[0] not in sent or key[1] not in read:
            raise KeyError(key)
        pair = sent[key[0]] * len(read) + read[key[1]]
        place = int(np.searchsorted(pairs, pair)) + number_of(key)
        if place >= len(pairs) or pairs[place] != pair:
            raise KeyError(key)
        return int(order[place])

    @cached_property
    def _names(self) -> tuple[dict[str, int], dict[str, int]]:
        """The places of producers among each other, and of ends that are entered."""
        bundles = self.links.bundles
        sent = dict.fromkeys(name for each in bundles for name in each.producers)
        read = dict.fromkeys(name for each in bundles for name in each.entered)
        return _places(sent), _places(read)

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        """A number for the ends of each link, ascending, and the number of the link."""
        sent, read = self._names
        pairs = [
            np.add.outer(
                len(read) * np.array([sent[name] for name in each.producers], np.int64),
                np.array([read[name] for name in each.entered], np.int64),
            ).ravel()
            for each in self.links.bundles
        ]
        together = np.concatenate([np.empty(0, np.int64), *pairs])
        order = np.argsort(together, kind="stable")
        return together[order], order

    @cached_property
    def further(self) -> NDArray[np.int32]:
        """How many links between the same two come before each."""
        pairs, order = self._sorted
        found = np.empty(len(order), np.int32)
        found[order] = np.arange(len(order)) - np.searchsorted(pairs, pairs)
        return found


def _places(names: Iterable[str]) -> dict[str, int]:
    return {name: at for at, name in enumerate(names)}


def _is_key(key: object) -> bool:
    if not isinstance(key, tuple) or not 2 <= len(key) <= 3:
        return False
    return len(key) == 2 or (isinstance(key[2], int) and key[2] > 0)


class _Values(ValuesView[Link]):
    _mapping: KeyedLinks

    def __iter__(self) -> Iterator[Link]:
        return iter(self._mapping.links)


class _Items(ItemsView[LinkKey, Link]):
    _mapping: KeyedLinks

    def __iter__(self) -> Iterator[tuple[LinkKey, Link]]:
        return zip(self._mapping, self._mapping.links, strict=True)
