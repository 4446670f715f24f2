"""Links in bundles, against the same links one by one."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svr_widget.engine.errors import TraceError
from svr_widget.engine.maps.bundles import Bundle, KeyedLinks, Links, depths, directed
from svr_widget.engine.maps.links import Link

NAMES = "abcdefg"
CHANNELS = torch.arange(3)


def bundle(producers: list[str], consumers: list[tuple[str, str | None]]) -> Bundle:
    """Links between maps, all on the same channels."""
    name, side = consumers[0]
    link = Link(producers[0], name, CHANNELS, CHANNELS, ("relu",), side=side)
    return Bundle(link, tuple(producers), tuple(consumers))


names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)
ends = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([None, "q", "k"])),
    min_size=1,
    max_size=4,
    unique=True,
)
bundles = st.lists(st.builds(bundle, names, ends), max_size=5)


def one_by_one(of: list[Bundle]) -> list[Link]:
    """Each link of some bundles, made by hand."""
    return [
        replace(each.link, producer=producer, consumer=consumer, side=side)
        for each in of
        for producer in each.producers
        for consumer, side in each.consumers
    ]


def told(link: Link) -> tuple[object, ...]:
    return link.producer, link.consumer, link.side, link.through, link.backward


@given(bundles)
@settings(deadline=None)
def test_they_are_a_sequence_of_links(of):
    links, expected = Links(of), one_by_one(of)
    assert len(links) == len(expected)
    assert list(map(told, links)) == list(map(told, expected))
    assert [told(links[at]) for at in range(len(links))] == list(map(told, expected))
    assert list(map(told, links[1:])) == list(map(told, expected[1:]))
    with pytest.raises(IndexError):
        links[len(links)]


@given(bundles)
@settings(deadline=None)
def test_every_link_has_its_key_and_its_number(of):
    keys: list[tuple[object, ...]] = []
    for link in one_by_one(of):
        end = link.consumer if link.side is None else f"{link.consumer}.{link.side}"
        further = sum(known[:2] == (link.producer, end) for known in keys)
        keys.append((link.producer, end, further) if further else (link.producer, end))
    keyed = KeyedLinks(Links(of))
    assert list(keyed) == keys
    assert len(keyed) == len(keys)
    for number, (key, link) in enumerate(zip(keys, one_by_one(of), strict=True)):
        assert keyed.number(key) == number
        assert keyed.key(number) == key
        assert told(keyed[key]) == told(link)
    assert [told(link) for link in keyed.values()] == list(map(told, one_by_one(of)))
    assert [key for key, _ in keyed.items()] == keys


@given(bundles)
@settings(deadline=None)
def test_backward_are_those_that_close_a_cycle(of):
    rank = {name: at for at, name in enumerate(NAMES)}
    links = one_by_one(of)
    graph = nx.DiGraph((link.producer, link.consumer) for link in links)
    expected = [
        rank[link.producer] >= rank[link.consumer]
        and nx.has_path(graph, link.consumer, link.producer)
        for link in links
    ]
    marked = Links(of).directed(rank)
    assert [link.backward for link in marked] == expected
    assert [told(link)[:4] for link in marked] == [told(link)[:4] for link in links]
    assert [link.backward for link in directed(links, rank)] == expected

    forward = nx.DiGraph((x.producer, x.consumer) for x in marked if not x.backward)
    forward.add_nodes_from(NAMES)
    longest = {
        name: max(
            (len(path) - 1 for source in NAMES for path in _paths(forward, source, name)), default=0
        )
        for name in NAMES
    }
    assert marked.depths(NAMES) == longest
    assert depths(list(marked), NAMES) == longest


def _paths(graph: nx.DiGraph, source: str, target: str) -> list[list[str]]:
    return [[source]] if source == target else list(nx.all_simple_paths(graph, source, target))


@pytest.mark.parametrize(
    "key", [("a", "c"), ("a", "b", 1), ("a", "b", 0), ("a",), "ab", ("a", "b", "c"), 3, None]
)
def test_what_is_no_key_is_refused(key):
    keyed = KeyedLinks(Links([bundle(["a"], [("b", None)])]))
    assert key not in keyed
    with pytest.raises(KeyError):
        keyed[key]


def test_a_link_by_itself_is_the_one_that_was_given():
    link = Link("a", "b", CHANNELS, CHANNELS)
    assert KeyedLinks([link])["a", "b"] is link


def test_a_cycle_is_named_by_its_maps():
    of = [bundle(["a"], [("b", None), ("c", None)]), bundle(["c"], [("a", None)])]
    with pytest.raises(TraceError, match=r"(a → c|c → a) → \.\.\. is a cycle"):
        Links(of).depths("abc")
