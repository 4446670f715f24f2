"""The links of a scene as columns of numbers; ``js/src/wire/links/columns.ts`` reads them.

A deep transformer has a million links, which as a list in words would be most of its page, and as
wide numbers still are: each column is as narrow as its largest number lets it be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.graph.streaming.tally import Kept
from svr_widget.engine.significance.nulls import Kind
from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import Array

_NORM = re.compile(r"\w*norm\b")
BACKWARD, BY_CONSTRUCTION, QUERY, KEY = 1, 2, 4, 8
"""Bits of ``link_flags``."""
_SIDES = {None: 0, "q": QUERY, "k": KEY}


def pack_links(
    svr: SVR, sent: Kept, laws: dict[Kind, GraphTests]
) -> tuple[list[list[str]], dict[str, Array]]:
    """What stands on links, each list of it once; and the columns, a row a link and law.

    ``link_producer`` and ``link_consumer`` are places among the columns of the picture,
    ``link_number`` tells links of the same two maps apart, ``link_sent`` edges were sent of
    ``link_tests``. ``link_law`` is the place of the law among the different ones, whose mean
    ``law_mean`` has. ``link_m``, ``link_n`` and ``link_strongest`` are the largest entry, sent or
    not, ``link_log10_p_<law>`` its p-value: 1 where nothing is tested. Both have the seven digits
    that edges have, too.
    """
    exact = laws["exact"]
    through, stands = _stands_on_links(svr)
    of_links = link_ends(svr) | {
        "link_through": _narrow(stands),
        "link_number": _narrow(svr.links.further),
    }
    arrays = {name: column[exact.links_of_keys] for name, column in of_links.items()}
    m, n, weight = exact.strongest_edges
    arrays |= {
        "link_sent": _narrow(np.bincount(sent.key, minlength=len(exact.keys))),
        "link_tests": _narrow(exact.sizes),
        "link_law": _narrow(exact.law_places),
        "link_m": _narrow(m),
        "link_n": _narrow(n),
        "link_strongest": weight.astype(np.float32),
        "law_mean": np.array([law.mean for law in exact.different_laws], np.float64),
    }
    tested = exact.sizes > 0
    for kind, tests in laws.items():
        log10_p = np.zeros(len(exact.keys))
        for at, law in enumerate(tests.different_laws):
            mine = tested & (arrays["link_law"] == at)
            log10_p[mine] = law.log10_p(weight[mine])
        arrays[f"link_log10_p_{kind}"] = log10_p.astype(np.float32)
    return through, arrays


def link_ends(svr: SVR) -> dict[str, Array]:
    """Which column feeds which and the marks of that, a row a link."""
    order = {name: place for place, name in enumerate(svr.columns)}
    rows: list[tuple[Array, ...]] = [(np.empty(0), np.empty(0), np.empty(0))]
    for bundle in svr.links.links.bundles:
        link = bundle.link
        sent = [order[name] for name in bundle.producers]
        read = [order[svr.entered(name)] for name, _ in bundle.consumers]
        marks = BACKWARD * link.backward + BY_CONSTRUCTION * link.by_construction
        sides = [marks + _SIDES[side] for _, side in bundle.consumers]
        rows.append(
            (np.repeat(sent, len(read)), np.tile(read, len(sent)), np.tile(sides, len(sent)))
        )
    producers, consumers, flags = (np.concatenate(column) for column in zip(*rows, strict=True))
    return {
        "link_producer": _narrow(producers),
        "link_consumer": _narrow(consumers),
        "link_flags": flags.astype(np.uint8),
    }


def _narrow(naturals: Array) -> Array:
    """The same numbers in as few bytes as the largest of them needs."""
    return naturals.astype(np.min_scalar_type(int(naturals.max(initial=0))))


def _stands_on_links(svr: SVR) -> tuple[list[list[str]], Array]:
    """What stands on links, each list of it once, and which of them stands on each link."""
    said: dict[tuple[Any, ...], int] = {}
    through: list[list[str]] = []
    rows: list[Array] = [np.empty(0, np.uint32)]
    norms = {name: tuple(linear.norms) for name, linear in svr.maps.items()}
    for bundle in svr.links.links.bundles:
        found = np.empty((len(bundle.producers), len(bundle.consumers)), np.uint32)
        for of_sent, producers in _alike([norms[name] for name in bundle.producers]):
            for of_read, consumers in _alike([norms[name] for name, _ in bundle.consumers]):
                words = bundle.link.through, of_sent, of_read
                if words not in said:
                    said[words] = len(through)
                    through.append(_words(words[0], words[1:]))
                found[np.ix_(producers, consumers)] = said[words]
        rows.append(found.ravel())
    return through, np.concatenate(rows)


def _alike(values: Sequence[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """The different values and the places where each is."""
    places: dict[tuple[str, ...], list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value, []).append(place)
    return iter(places.items())


def _words(through: tuple[str, ...], norms: tuple[tuple[str, ...], ...]) -> list[str]:
    """What stands on a link, and what became of the norms among it."""
    folded = {name for of_end in norms for name in of_end}
    words = {name: f"{name}, folded" for name in through if name in folded}
    return [words.get(name, f"{name}, ignored" if _NORM.match(name) else name) for name in through]
