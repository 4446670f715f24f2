"""Maps that lie along a dimension of one parameter, as a mixture of experts keeps them.

Which of them run is up to the tokens of the example. What leads in and out of one is by
construction what leads in and out of all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from svr_widget.engine.maps.links import Link
from svr_widget.engine.maps.parts import OwnParameter

Value = TypeVar("Value")


class Family(NamedTuple):
    """Maps that lie along a dimension of one parameter.

    Attributes:
        parameter: the parameter.
        places: where each lies, by its name.
        reached: those that the example reached.
    """

    parameter: OwnParameter
    places: Mapping[str, tuple[int | None, ...]]
    reached: frozenset[str]

    @property
    def missing(self) -> list[str]:
        """Those that it did not reach."""
        return [name for name in self.places if name not in self.reached]

    @property
    def first(self) -> str:
        """The first that it reached."""
        return next(name for name in self.places if name in self.reached)


class Siblings:
    """All families of a network."""

    def __init__(self, families: Sequence[Family]) -> None:
        """Take them over."""
        self.families = families
        self._of = {name: family for family in families for name in family.places}

    def order(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names with siblings put in where the first of them stands."""
        found: dict[str, None] = {}
        for name in names:
            family = self._of.get(name)
            found |= dict.fromkeys([name] if family is None else family.places)
        return tuple(found)

    def spread(self, known: Mapping[str, Value]) -> dict[str, Value]:
        """What is known of each map, siblings that were not reached as the first that was."""
        found = dict(known)
        for family in self.families:
            if family.first in known:
                found |= dict.fromkeys(family.missing, known[family.first])
        return found

    def links(self, links: Iterable[Link]) -> Iterator[Link]:
        """The links, and those of the siblings that were not reached.

        Between two parameters of one module the matrices at one place belong together.
        """
        for link in links:
            for producer, consumer in self._ends(link):
                yield replace(link, producer=producer, consumer=consumer)

    def _ends(self, link: Link) -> Iterable[tuple[str, str]]:
        sent, read = self._of.get(link.producer), self._of.get(link.consumer)
        writers, readers = self._stand_ins(link.producer), self._stand_ins(link.consumer)
        pairs = itertools.product(writers, readers)
        if sent is None or read is None or sent.parameter.path != read.parameter.path:
            return pairs
        if sent.places[link.producer] != read.places[link.consumer]:
            return pairs
        return (pair for pair in pairs if sent.places[pair[0]] == read.places[pair[1]])

    def _stand_ins(self, name: str) -> list[str]:
        family = self._of.get(name)
        return [name] if family is None or name != family.first else [name, *family.missing]
