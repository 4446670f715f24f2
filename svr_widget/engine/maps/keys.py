"""How links are called: the keys of ``SVR.links`` and of the tests of their edges."""

from __future__ import annotations

from collections.abc import Iterable

from svr_widget.engine.maps.links import Link

LinkKey = tuple[str, str] | tuple[str, str, int]
"""``(producer, consumer)``; further links of the same pair add 1, 2...

Into the product of a query and a key map the consumer is ``"name.q"`` or ``"name.k"``.
"""

TestKey = tuple[LinkKey, int]
"""A link and the index of one of its laws (``Adjacency.laws``), 0 where it has one."""


def keyed(links: Iterable[Link]) -> dict[LinkKey, Link]:
    """Links by their ends; a further link between the same two maps adds a number."""
    found: dict[LinkKey, Link] = {}
    for link in links:
        consumer = entered(link.consumer, link)
        key: LinkKey = (link.producer, consumer)
        number = 0
        while key in found:
            number += 1
            key = (link.producer, consumer, number)
        found[key] = link
    return found


def number_of(key: LinkKey) -> int:
    """Which of the links between its two maps a link is: 0, 1, 2..."""
    return key[2] if len(key) == 3 else 0


def entered(name: str, link: Link) -> str:
    """What the end of a link is called whose consumer is called ``name``."""
    return name if link.side is None else f"{name}.{link.side}"
