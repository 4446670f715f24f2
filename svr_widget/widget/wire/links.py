"""The links of a scene as columns of numbers; ``js/src/wire/links.ts`` reads them.

A transformer has tens of thousands of links, which as a list in words would be most of its page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.graph.streaming.tally import Kept
from svr_widget.engine.maps.links import Link
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
    not, ``link_log10_p_<law>`` its p-value: 1 where nothing is tested.
    """
    exact = laws["exact"]
    through, of_links = _pack_bundles(svr)
    of_keys = exact.links_of_keys
    arrays = {name: column[of_keys] for name, column in of_links.items()}
    m, n, weight = exact.strongest_edges
    arrays |= {
        "link_sent": np.bincount(sent.key, minlength=len(exact.keys)).astype(np.uint32),
        "link_tests": exact.sizes.astype(np.uint32),
        "link_law": exact.law_places.astype(np.uint16),
        "link_m": m.astype(np.uint32),
        "link_n": n.astype(np.uint32),
        "link_strongest": weight,
        "law_mean": np.array([law.mean for law in exact.different_laws], np.float64),
    }
    tested = exact.sizes > 0
    for kind, tests in laws.items():
        log10_p = np.zeros(len(exact.keys))
        for at, law in enumerate(tests.different_laws):
            mine = tested & (arrays["link_law"] == at)
            log10_p[mine] = law.log10_p(weight[mine])
        arrays[f"link_log10_p_{kind}"] = log10_p
    return through, arrays


def _pack_bundles(svr: SVR) -> tuple[list[list[str]], dict[str, Array]]:
    """What stands on links, and the columns that a link's ends and marks tell, a row a link."""
    order = {name: place for place, name in enumerate(svr.columns)}
    said: dict[tuple[Any, ...], int] = {}
    through: list[list[str]] = []
    rows: list[tuple[Array, ...]] = []
    for bundle in svr.links.links.bundles:
        sent = np.array([order[name] for name in bundle.producers], np.uint32)
        read = np.array([order[svr.entered(name)] for name, _ in bundle.consumers], np.uint32)
        shape = len(sent), len(read)
        sides = np.array([_SIDES[side] for _, side in bundle.consumers], np.uint8)
        norms = [
            [svr.maps[name].norms for name in names]
            for names in (bundle.producers, [name for name, _ in bundle.consumers])
        ]
        stands = np.empty(shape, np.uint32)
        for of_sent, producers in _alike(norms[0]):
            for of_read, consumers in _alike(norms[1]):
                words = bundle.link.through, tuple(of_sent), tuple(of_read)
                if words not in said:
                    said[words] = len(through)
                    through.append(_words(words[0], words[1:]))
                stands[np.ix_(producers, consumers)] = said[words]
        ends = np.broadcast_to(sent[:, None], shape), np.broadcast_to(read, shape)
        flags = np.broadcast_to(_flags(bundle.link) + sides, shape)
        rows.append(tuple(each.ravel() for each in (*ends, flags, stands)))
    names = ("link_producer", np.uint32), ("link_consumer", np.uint32), ("link_flags", np.uint8)
    arrays: dict[str, Array] = {
        name: np.concatenate([np.empty(0, dtype), *(row[at] for row in rows)])
        for at, (name, dtype) in enumerate((*names, ("link_through", np.uint32)))
    }
    arrays["link_number"] = svr.links.further.astype(np.uint16)
    return through, arrays


def _alike(values: Sequence[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], list[int]]]:
    """The different values and the places where each is."""
    places: dict[tuple[str, ...], list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(tuple(value), []).append(place)
    return iter(places.items())


def _words(through: tuple[str, ...], norms: tuple[tuple[str, ...], ...]) -> list[str]:
    """What stands on a link, and what became of the norms among it."""
    folded = {name for of_end in norms for name in of_end}
    words = {name: f"{name}, folded" for name in through if name in folded}
    return [words.get(name, f"{name}, ignored" if _NORM.match(name) else name) for name in through]


def _flags(link: Link) -> int:
    return BACKWARD * link.backward + BY_CONSTRUCTION * link.by_construction
