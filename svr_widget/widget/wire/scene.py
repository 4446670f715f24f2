"""What the front end draws, in one container; ``js/src/wire/scene.ts`` reads it.

Edges travel once, sorted by weight within each link, within a budget. Beside them stands, for each
law and mode, a table of slider stops with the exact number of significant edges of every link, so
that the threshold moves without the kernel and its counts hold even for edges that were not sent.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.graph.adjacency import Edges
from svr_widget.engine.maps.links import Link, TestKey, number_of
from svr_widget.engine.significance.multiple_testing import MODES, Significance
from svr_widget.engine.significance.nulls import Kind
from svr_widget.engine.significance.stops import lay_out
from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import Array, encode
from svr_widget.widget.wire.contract import LAWS
from svr_widget.widget.wire.increments import pack_increments
from svr_widget.widget.wire.survival import law_indices, survival_tables

REFINEMENTS = 5
CUTS = 257
"""Cuts that are tried at once: a graph of many links takes nearly as long for one."""
_NORM = re.compile(r"\w*norm\b")


class SceneLink(NamedTuple):
    """The edges of a link that follow one law, and how many are sent."""

    key: TestKey
    sent: Edges


def scene_links(svr: SVR) -> tuple[TestKey, ...]:
    """The links as the front end numbers them: one for each law of each link."""
    return svr.significance().keys


@with_own_settings
def encode_scene(svr: SVR, max_edges: int, identity: Array | None = None) -> bytes:
    """Pack maps, neurons, the strongest edges and the stops of the slider.

    Args:
        svr: computed here if it is not yet.
        max_edges: the most edges to send: those with the smallest p-values over the whole graph.
        identity: of a checkpoint, the number of each neuron among those of all checkpoints
            (``engine.identities``), by column; -1 for none.
    """
    laws = {law: svr.significance(law) for law in LAWS}
    links = _links_within(svr, max_edges)
    arrays = {**_neurons(svr), **_edges(links, laws)}
    stops = {(law, mode): lay_out(laws[law], mode) for law in LAWS for mode in MODES}
    for (law, mode), table in stops.items():
        prefix = f"stops_{law}_{mode}"
        arrays[f"{prefix}_level"] = table.level
        arrays[f"{prefix}_log10_p"] = table.log10_p
        arrays[f"{prefix}_counts"] = pack_increments(table.counts)
        arrays[f"{prefix}_expected"] = table.expected
    if identity is not None:
        arrays["identity"] = identity.astype(np.int32)
    arrays.update(survival_tables(laws, {law: stops[law, "p"] for law in LAWS}))
    meta = {
        "model": svr.title,
        "method": svr.method,
        "norm": svr.norm if svr.has_norms else None,
        "maps": _describe_maps(svr),
        "damaged": [{"name": name, "why": why} for name, why in svr.damaged.items()],
        "unlinked": svr.unlinked,
        "links": _describe_links(svr, links, laws),
        "tests": svr.significance().total,
        "modes": MODES,
        "laws": LAWS,
    }
    return encode(meta, arrays)


def _links_within(svr: SVR, max_edges: int) -> list[SceneLink]:
    """Every link with as many of its strongest edges as the budget leaves it."""
    significance = svr.significance("exact")
    counts = _counts_within(significance, max_edges)
    smallest = {key: significance.tests[key].smallest(counts[key]) for key in significance.tests}
    found: dict[TestKey, SceneLink] = {}
    for link in svr.links:
        adjacency = svr.adjacency(link)
        keys = [(link, part) for part in range(len(adjacency.laws))]
        edges = adjacency.above([smallest[key] for key in keys])
        for key in keys:
            mine = edges.part == key[1]
            found[key] = SceneLink(key, Edges(*(column[mine] for column in edges)))
    return [found[key] for key in significance.tests]


def _counts_within(significance: Significance[TestKey], budget: int) -> dict[TestKey, int]:
    """Significant edges of every link at the loosest cut whose edges all fit into the budget."""
    cuts, totals = significance.curve
    for _ in range(REFINEMENTS):
        fitting = int(np.searchsorted(totals, budget, side="right"))
        if fitting in (0, len(cuts)):
            break
        between = np.linspace(cuts[fitting - 1], cuts[fitting], CUTS)
        cuts, totals = between, significance.totals(between)
    fitting = int(np.searchsorted(totals, budget, side="right"))
    last = cuts[fitting - 1] if fitting else -np.inf
    best = significance.counts(np.array([last]))[0]
    return dict(zip(significance.tests, best.tolist(), strict=True))


def _neurons(svr: SVR) -> dict[str, Array]:
    decompositions = [svr[name] for name in svr.columns]
    adjusted = [svr.intensity_p_values(name, adjusted=True) for name in svr.columns]
    return {
        "singular_value": np.concatenate([d.S.numpy() for d in decompositions]),
        "intensity": np.concatenate([svr.intensity(name) for name in svr.columns]).astype(
            np.float32
        ),
        "log10_p_adjusted": np.log10(np.concatenate(adjusted)).astype(np.float32),
        "null": np.concatenate([d.null.numpy() for d in decompositions]).astype(np.uint8),
    }


def _edges(links: list[SceneLink], laws: dict[Kind, Significance[TestKey]]) -> dict[str, Array]:
    def joined(columns: list[Array], dtype: type) -> Array:
        return np.concatenate([np.empty(0, dtype), *columns]).astype(dtype)

    arrays = {
        "edge_m": joined([sent.m for _, sent in links], np.uint32),
        "edge_n": joined([sent.n for _, sent in links], np.uint32),
        "edge_weight": joined([sent.weight for _, sent in links], np.float32),
    }
    for law, significance in laws.items():
        columns = [significance.tests[key].law.log10_p(sent.weight) for key, sent in links]
        arrays[f"log10_p_{law}"] = joined(columns, np.float64)
    return arrays


def _describe_maps(svr: SVR) -> list[dict[str, Any]]:
    described, start = [], 0
    for name, (map_name, _) in svr.columns.items():
        linear, neurons = svr.maps[map_name], svr[name]
        described.append(
            {
                "name": name,
                "map": map_name,
                "kind": linear.kind,
                "depth": linear.depth,
                "out": linear.out_channels,
                "in": linear.in_channels,
                "kernel": linear.kernel,
                "neurons": len(neurons),
                "rank": neurons.rank,
                "start": start,
                "energy": neurons.energy,
            }
        )
        start += len(neurons)
    return described


def _describe_links(
    svr: SVR, links: list[SceneLink], laws: dict[Kind, Significance[TestKey]]
) -> list[dict[str, Any]]:
    order = {name: index for index, name in enumerate(svr.columns)}
    described, start = [], 0
    law_of = law_indices(laws["exact"])
    for (key, part), sent in links:
        link, tests = svr.links[key], laws["exact"].tests[key, part]
        producer, consumer = svr.ends(key)
        described.append(
            {
                "producer": order[producer],
                "consumer": order[consumer],
                "through": _through(svr, link),
                "backward": link.backward,
                "by_construction": link.by_construction,
                "side": link.side,
                "number": number_of(key),
                "start": start,
                "sent": len(sent.m),
                "tests": len(tests.weights),
                "law": law_of[key, part],
                "mean": tests.law.mean,
                "strongest": _strongest(svr, (key, part), laws),
            }
        )
        start += len(sent.m)
    return described


def _through(svr: SVR, link: Link) -> list[str]:
    """What stands on a link, and what became of the norms among it."""
    ends = (svr.maps[link.producer], svr.maps[link.consumer])
    folded = {name for linear in ends for name in linear.norms}
    words = {name: f"{name}, folded" for name in link.through if name in folded}
    return [
        words.get(name, f"{name}, ignored" if _NORM.match(name) else name) for name in link.through
    ]


def _strongest(
    svr: SVR, key: TestKey, laws: dict[Kind, Significance[TestKey]]
) -> dict[str, Any] | None:
    """The largest entry of a link, whether it was sent or not; None where nothing is tested."""
    tests = laws["exact"].tests[key]
    if not len(tests.weights):
        return None
    link, part = key
    adjacency = svr.adjacency(link)
    least = [np.inf] * len(adjacency.laws)
    least[part] = tests.smallest(1)
    edge = adjacency.above(least)
    weight = float(edge.weight[0])
    log10_p = {law: float(of.tests[key].law.log10_p(weight)) for law, of in laws.items()}
    return {"m": int(edge.m[0]), "n": int(edge.n[0]), "weight": weight, "log10_p": log10_p}
