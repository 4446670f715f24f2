"""What the front end draws, in one container; ``js/src/wire/scene.ts`` reads it.

Edges travel once, sorted by weight within each link, within a budget. Beside them stands, for each
law and mode, a table of slider stops with the exact number of significant edges of every link, so
that the threshold moves without the kernel and its counts hold even for edges that were not sent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.environment.settings import with_own_settings
from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.graph.streaming.stream import COUNTED
from svr_widget.engine.graph.streaming.tally import Kept
from svr_widget.engine.maps.links import TestKey
from svr_widget.engine.significance.multiple_testing import MODES
from svr_widget.engine.significance.nulls import LOG_10, Kind
from svr_widget.engine.significance.stops import lay_out
from svr_widget.svr import SVR
from svr_widget.widget.wire.codec import Array, encode
from svr_widget.widget.wire.columns import about_columns
from svr_widget.widget.wire.contract import LAWS
from svr_widget.widget.wire.increments import pack_increments
from svr_widget.widget.wire.links import pack_links
from svr_widget.widget.wire.survival import survival_tables

REFINEMENTS = 5
CUTS = 257
"""Cuts that are tried at once: a graph of many links takes nearly as long for one."""


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
    sent = _edges_within(laws["exact"], max_edges)
    through, link_arrays = pack_links(svr, sent, laws)
    arrays = {**_neurons(svr), **link_arrays, **_edges(sent, laws)}
    stops = {(law, mode): lay_out(laws[law], mode) for law in LAWS for mode in MODES}
    for (law, mode), table in stops.items():
        prefix = f"stops_{law}_{mode}"
        arrays[f"{prefix}_level"] = table.level
        arrays[f"{prefix}_log10_p"] = table.log10_p
        arrays[f"{prefix}_significant"] = table.significant.astype(np.float64)
        if len(laws[law].keys) <= COUNTED:
            counts = laws[law].counts(table.log10_p * LOG_10)
            arrays[f"{prefix}_counts"] = pack_increments(counts)
        arrays[f"{prefix}_expected"] = table.expected
    if identity is not None:
        arrays["identity"] = identity.astype(np.int32)
    arrays.update(survival_tables(laws, {law: stops[law, "p"] for law in LAWS}))
    meta = {
        "model": svr.title,
        "method": svr.method,
        "norm": svr.norm if svr.has_norms else None,
        **about_columns(svr, [(len(svr[name]), svr[name].energy) for name in svr.columns]),
        "damaged": [{"name": name, "why": why} for name, why in svr.damaged.items()],
        "unlinked": svr.unlinked,
        "through": through,
        "tests": svr.significance().total,
        "modes": MODES,
        "laws": LAWS,
    }
    return encode(meta, arrays)


def _edges_within(tests: GraphTests, max_edges: int) -> Kept:
    """As many of the strongest edges as the budget leaves, key by key, in each strongest first."""
    entries = tests.edges(tests.weights(_cut_within(tests, max_edges))).entries
    return entries.chosen(np.argsort(entries.key, kind="stable"))


def _cut_within(tests: GraphTests, budget: int) -> float:
    """The natural log of the loosest cut whose edges all fit into the budget."""
    cuts, totals = tests.curve
    for _ in range(REFINEMENTS):
        fitting = int(np.searchsorted(totals, budget, side="right"))
        if fitting in (0, len(cuts)) or cuts[fitting] > tests.known_up_to:
            break
        between = np.linspace(cuts[fitting - 1], cuts[fitting], CUTS)
        cuts, totals = between, tests.totals(between)
    fitting = int(np.searchsorted(totals, budget, side="right"))
    return float(cuts[fitting - 1]) if fitting else -np.inf


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


def _edges(sent: Kept, laws: dict[Kind, GraphTests]) -> dict[str, Array]:
    arrays: dict[str, Array] = {
        "edge_m": sent.m.astype(np.uint32),
        "edge_n": sent.n.astype(np.uint32),
        "edge_weight": sent.weight.astype(np.float32),
    }
    for law, tests in laws.items():
        of_edge = tests.law_places[sent.key]
        log10_p = np.zeros(of_edge.size)
        for at in np.unique(of_edge):
            weights = sent.weight[of_edge == at].astype(np.float64)
            log10_p[of_edge == at] = tests.different_laws[at].log10_p(weights)
        arrays[f"log10_p_{law}"] = _shortened(log10_p)
    return arrays


def _shortened(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounded to 36 binary digits after the first: the rest does not compress, and tells nothing.

    Two that differ keep their order, or become equal.
    """
    bits = np.ascontiguousarray(values).view(np.int64)
    return ((bits + (1 << 15)) & ~np.int64((1 << 16) - 1)).view(np.float64)
