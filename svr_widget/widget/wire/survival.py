"""Small tables for the survival curve of a link's entries against chance.

How many entries of a link have a p-value of at most ``p`` stands in the slider's stops already.
What they lack is the weight at which the law of chance has that p-value: here for some of the
stops of mode ``"p"``, once for each law, however many links follow it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.significance.nulls import LOG_10, Kind
from svr_widget.engine.significance.stops import Stops
from svr_widget.widget.wire.codec import Array

POINTS = 96
FEWEST_POINTS = 24
BYTES = 96_000


def survival_tables(
    tests: Mapping[Kind, GraphTests], stops: Mapping[Kind, Stops]
) -> dict[str, Array]:
    """For each kind of law the chosen stops, strict to loose, and the weights at their cuts.

    Args:
        tests: the tests under each kind of law.
        stops: those of mode ``"p"``.

    Returns:
        ``survival_stop_<kind>`` uint32 ``[k]`` and ``survival_weight_<kind>`` float32
        ``[laws, k]``: infinite where chance gives no entry such a p-value.
    """
    arrays: dict[str, Array] = {}
    for kind, significance in tests.items():
        laws = significance.different_laws
        affordable = BYTES // (len(tests) * 4 * max(len(laws), 1))
        points = min(POINTS, max(FEWEST_POINTS, affordable))
        last = len(stops[kind].level) - 1
        chosen = np.unique(np.linspace(0, last, points).round().astype(np.uint32))
        log_p = stops[kind].log10_p[chosen] * LOG_10
        weights = np.array([law.isf_log(log_p) for law in laws], np.float32)
        arrays[f"survival_stop_{kind}"] = chosen
        arrays[f"survival_weight_{kind}"] = weights.reshape(len(laws), len(chosen))
    return arrays
