"""Paths that the front end must find, too: js/test/golden/paths.json, checked on both sides.

``python -m tests.widget.wire.test_path_golden`` writes the file anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from svr_widget.engine.analysis.paths import LinkEvidence, strongest_path

GOLDEN = Path(__file__).parents[3] / "js" / "test" / "golden" / "paths.json"
SIZES = [5, 4, 3, 6, 4]
DEPTHS = [0, 1, 3, 2, 4]
# Consecutive links, skips, two links between the same maps, a loop, one that runs back, and
# forward links against the order in which the maps are listed.
ENDS = [(0, 1), (1, 3), (0, 3), (3, 2), (1, 2), (2, 4), (0, 1), (2, 1), (3, 3)]
CUT = -2.0
FORCED = 1000.0

Neuron = tuple[int, int]


def graph(seed: int, density: float) -> dict[str, Any]:
    """Edges of every link by ascending log10 p, some of them weaker than the cut."""
    rng = np.random.default_rng(seed)
    links = []
    for producer, consumer in ENDS:
        m, n = np.nonzero(rng.random((SIZES[producer], SIZES[consumer])) < density)
        log10_p = np.sort(-rng.exponential(4.0, m.size))
        edges = [[int(a), int(b), float(c)] for a, b, c in zip(m, n, log10_p, strict=True)]
        backward = DEPTHS[consumer] <= DEPTHS[producer]
        link = {"producer": producer, "consumer": consumer, "backward": backward}
        links.append({**link, "edges": edges})
    return {"sizes": SIZES, "depths": DEPTHS, "log10_p": CUT, "links": links}


def strongest(case: dict[str, Any], through: Neuron | None = None) -> dict[str, Any]:
    """The path by the engine; an edge that touches ``through`` counts for more than all others."""
    links = []
    for link in case["links"]:
        if link["backward"]:
            continue
        edges = [edge for edge in link["edges"] if edge[2] <= CUT]
        m, n = (np.array([edge[end] for edge in edges], dtype=np.int64) for end in (0, 1))
        evidence = np.array([CUT - edge[2] for edge in edges])
        if through is not None:
            for map_, end in ((link["producer"], m), (link["consumer"], n)):
                evidence = evidence + FORCED * ((map_ == through[0]) & (end == through[1]))
        links.append(LinkEvidence(link["producer"], link["consumer"], m, n, evidence))
    by_depth = sorted(range(len(SIZES)), key=DEPTHS.__getitem__)
    found = strongest_path({map_: SIZES[map_] for map_ in by_depth}, links)
    path = [[step[0], step[1]] for step in found]
    if through is not None and list(through) not in path:
        path = []
    return {"through": through and list(through), "path": path}


def cases() -> list[dict[str, Any]]:
    found = []
    for seed, density in enumerate([0.0, 0.12, 0.3, 0.5, 0.8, 1.0]):
        case = graph(seed, density)
        neurons = [(map_, k) for map_, size in enumerate(SIZES) for k in range(size)]
        case["paths"] = [strongest(case), *(strongest(case, neuron) for neuron in neurons)]
        found.append(case)
    return found


def test_the_golden_paths_are_the_engines() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert [case["paths"] for case in golden] == [case["paths"] for case in cases()]
    for case, again in zip(golden, cases(), strict=True):
        edges, again_edges = (
            [edge for link in one["links"] for edge in link["edges"]] for one in (case, again)
        )
        assert np.array(edges).ravel() == pytest.approx(np.array(again_edges).ravel())


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(cases(), separators=(",", ":")) + "\n")
