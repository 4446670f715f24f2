"""The links of a scene as columns of numbers; ``js/src/wire/links.ts`` reads them.

A transformer has tens of thousands of links, which as a list in words would be most of its page.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from svr_widget.engine.graph.adjacency import Edges
from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.maps.links import Link, TestKey, number_of
from svr_widget.engine.significance.nulls import Kind
from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import Array

_NORM = re.compile(r"\w*norm\b")
BACKWARD, BY_CONSTRUCTION, QUERY, KEY = 1, 2, 4, 8
"""Bits of ``link_flags``."""
_SIDES = {None: 0, "q": QUERY, "k": KEY}


class SceneLink(NamedTuple):
    """The edges of a link that follow one law, and how many are sent."""

    key: TestKey
    sent: Edges


def pack_links(
    svr: SVR, links: list[SceneLink], laws: dict[Kind, GraphTests]
) -> tuple[list[list[str]], dict[str, Array]]:
    """What stands on links, each list of it once; and the columns, a row a link and law.

    ``link_producer`` and ``link_consumer`` are places among the columns of the picture,
    ``link_number`` tells links of the same two maps apart, ``link_sent`` edges were sent of
    ``link_tests``. ``link_law`` is the place of the law among the different ones, whose mean
    ``law_mean`` has. ``link_m``, ``link_n`` and ``link_strongest`` are the largest entry, sent or
    not, ``link_log10_p_<law>`` its p-value: 1 where nothing is tested.
    """
    exact = laws["exact"]
    order = {name: index for index, name in enumerate(svr.columns)}
    said: dict[tuple[Any, ...], int] = {}
    through: list[list[str]] = []
    ends, numbers, flags, on_link = [], [], [], []
    for (key, _), _ in links:
        link = svr.links[key]
        ends.append([order[name] for name in svr.ends(key)])
        numbers.append(number_of(key))
        flags.append(flags_of(link))
        norms = [tuple(svr.maps[end].norms) for end in (link.producer, link.consumer)]
        stands = link.through, *norms
        if stands not in said:
            said[stands] = len(through)
            through.append(_words(link.through, norms))
        on_link.append(said[stands])
    producers, consumers = np.array(ends, np.uint32).reshape(-1, 2).T
    strongest = [exact.strongest(key) for key, _ in links]
    weight = np.array([edge.weight if edge else 0.0 for edge in strongest], np.float64)
    arrays: dict[str, Array] = {
        "link_producer": producers,
        "link_consumer": consumers,
        "link_number": np.array(numbers, np.uint16),
        "link_flags": np.array(flags, np.uint8),
        "link_through": np.array(on_link, np.uint32),
        "link_sent": np.array([len(sent.m) for _, sent in links], np.uint32),
        "link_tests": exact.sizes.astype(np.uint32),
        "link_law": exact.law_places.astype(np.uint16),
        "link_m": np.array([edge.m if edge else 0 for edge in strongest], np.uint32),
        "link_n": np.array([edge.n if edge else 0 for edge in strongest], np.uint32),
        "link_strongest": weight,
        "law_mean": np.array([law.mean for law in exact.different_laws], np.float64),
    }
    tested = exact.sizes > 0
    for kind, tests in laws.items():
        log10_p = np.zeros(len(links))
        for at, law in enumerate(tests.different_laws):
            mine = tested & (arrays["link_law"] == at)
            log10_p[mine] = law.log10_p(weight[mine])
        arrays[f"link_log10_p_{kind}"] = log10_p
    return through, arrays


def _words(through: tuple[str, ...], norms: list[tuple[str, ...]]) -> list[str]:
    """What stands on a link, and what became of the norms among it."""
    folded = {name for of_end in norms for name in of_end}
    words = {name: f"{name}, folded" for name in through if name in folded}
    return [words.get(name, f"{name}, ignored" if _NORM.match(name) else name) for name in through]


def flags_of(link: Link) -> int:
    """What kind of link it is, as bits."""
    return BACKWARD * link.backward + BY_CONSTRUCTION * link.by_construction + _SIDES[link.side]
