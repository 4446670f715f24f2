"""Maps of which the data choose some: the experts of a mixture.

They lie along a dimension of one parameter, or in the modules of one list or dictionary among
which a forward chooses by values that it computed. Which of them run is up to the tokens of the
example; what leads in and out of one is by construction what leads in and out of all.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from torch import nn

from svr_widget.engine.errors import listed
from svr_widget.engine.maps.links import Link
from svr_widget.engine.maps.parts import Part

Value = TypeVar("Value")


class Family(NamedTuple):
    """Maps of which the data choose some.

    Attributes:
        title: what to call them: the parameter or the list of modules.
        group: what holds them; in it, those of several families at one place belong together.
        places: where each lies, by its name.
        reached: those that the example reached.
        unknown: it is not known which these are, and one stands for all.
    """

    title: str
    group: str
    places: Mapping[str, tuple[int | None, ...]]
    reached: frozenset[str]
    unknown: bool = False

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

        Between two families of one group the maps at one place belong together.
        """
        for link in links:
            for producer, consumer in self._ends(link):
                yield replace(link, producer=producer, consumer=consumer)

    def _ends(self, link: Link) -> Iterable[tuple[str, str]]:
        sent, read = self._of.get(link.producer), self._of.get(link.consumer)
        writers, readers = self._stand_ins(link.producer), self._stand_ins(link.consumer)
        pairs = itertools.product(writers, readers)
        if sent is None or read is None or sent.group != read.group:
            return pairs
        if sent.places[link.producer] != read.places[link.consumer]:
            return pairs
        return (pair for pair in pairs if sent.places[pair[0]] == read.places[pair[1]])

    def _stand_ins(self, name: str) -> list[str]:
        family = self._of.get(name)
        return [name] if family is None or name != family.first else [name, *family.missing]

    def notes(self) -> Iterator[str]:
        """Which maps were not reached."""
        found = {
            family.title: f"{len(family.missing)} of {len(family.places)} of {family.title!r}"
            for family in self.families
            if family.missing and not family.unknown
        }
        if found:
            yield (
                "maps that this input did not reach have the links of the others: "
                f"{listed(list(found.values()), 2)}"
            )


def families_of_lists(
    model: nn.Module, parts: Mapping[str, Part], reached: Container[str], deciding: Container[str]
) -> Iterator[Family]:
    """The maps in lists or dictionaries of modules of one form, where some were not reached.

    Args:
        model: the network.
        parts: its maps.
        reached: those that ran.
        deciding: the modules that decided something by values that they computed.
    """
    for path, module in model.named_modules():
        listing = isinstance(module, nn.ModuleList | nn.ModuleDict)
        if not listing or path.rpartition(".")[0] not in deciding:
            continue
        held: list[dict[str, Part]] = []
        keys = [key for key, _ in module.named_children()]
        for key in keys:
            start = f"{path}.{key}"
            inside = {n.removeprefix(start): p for n, p in parts.items() if _lies_in(n, start)}
            held.append(inside)
        forms = {
            tuple((name, part.kind, part.outputs, part.inputs) for name, part in inside.items())
            for inside in held
        }
        if len(forms) != 1:
            continue
        for name in held[0]:
            places = {f"{path}.{key}{name}": (at,) for at, key in enumerate(keys)}
            ran = frozenset(each for each in places if each in reached)
            if ran and len(ran) < len(places):
                yield Family(path, path, places, ran)


def _lies_in(name: str, module: str) -> bool:
    return name == module or name.startswith((f"{module}.", f"{module}["))
