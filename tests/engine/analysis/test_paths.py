"""The strongest path against all paths, enumerated."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from svr_widget.engine.analysis.paths import LinkEvidence, PathStep, strongest_path

NEURONS = {"a": 4, "b": 3, "c": 5, "d": 2}
ENDS = [("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("b", "d"), ("a", "b"), ("d", "b")]


def random_links(rng: np.random.Generator, density: float) -> list[LinkEvidence[str]]:
    """Consecutive links, skips, two links of the same maps, and one that runs backwards."""
    links = []
    for producer, consumer in ENDS:
        m, n = np.nonzero(rng.random((NEURONS[producer], NEURONS[consumer])) < density)
        links.append(LinkEvidence(producer, consumer, m, n, rng.exponential(size=m.size)))
    return links


def neurons_of(path: list[PathStep[str]]) -> tuple[tuple[str, int], ...]:
    return tuple((step.map, step.neuron) for step in path)


def every_path(links: list[LinkEvidence[str]]) -> dict[tuple[tuple[str, int], ...], float]:
    forward = [
        ((link.producer, int(m)), (link.consumer, int(n)), float(e))
        for link in links
        if link.producer < link.consumer
        for m, n, e in zip(link.m, link.n, link.evidence, strict=True)
    ]
    found: dict[tuple[tuple[str, int], ...], float] = {}

    def walk(path: tuple[tuple[str, int], ...], evidence: float) -> None:
        for tail, head, e in forward:
            if tail == path[-1]:
                longer = (*path, head)
                found[longer] = max(found.get(longer, 0.0), evidence + e)
                walk(longer, evidence + e)

    for name, count in NEURONS.items():
        for k in range(count):
            walk(((name, k),), 0.0)
    return found


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("density", [0.1, 0.4, 0.9])
def test_no_path_has_more_evidence(seed: int, density: float) -> None:
    links = random_links(np.random.default_rng(seed), density)
    paths = every_path(links)
    strongest = strongest_path(NEURONS, links)
    if not paths:
        assert strongest == []
        return
    assert paths[neurons_of(strongest)] == pytest.approx(max(paths.values()))
    edges = [(step.link, step.edge) for step in strongest[1:]]
    assert sum(links[link].evidence[edge] for link, edge in edges) == pytest.approx(
        max(paths.values())
    )
    for before, (step, (link, edge)) in zip(
        strongest[:-1], zip(strongest[1:], edges, strict=True), strict=True
    ):
        at = links[link]
        assert (at.producer, at.m[edge]) == (before.map, before.neuron)
        assert (at.consumer, at.n[edge]) == (step.map, step.neuron)


def test_a_strong_chain_is_found_whatever_stands_beside_it() -> None:
    rng = np.random.default_rng(0)
    chain = [("a", 3), ("b", 0), ("c", 2), ("d", 1)]
    links = random_links(rng, 0.5)
    for (producer, m), (consumer, n) in pairwise(chain):
        strong = LinkEvidence(producer, consumer, np.array([m]), np.array([n]), np.array([50.0]))
        links.append(strong)
    assert neurons_of(strongest_path(NEURONS, links)) == tuple(chain)


def test_without_edges_there_is_no_path() -> None:
    none = np.zeros(0, dtype=np.int64)
    links = [LinkEvidence("a", "b", none, none, np.zeros(0))]
    assert strongest_path(NEURONS, links) == []
    assert strongest_path({}, []) == []
