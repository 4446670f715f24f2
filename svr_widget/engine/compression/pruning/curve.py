"""How a network does with ever more of its spectral neurons."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from svr_widget.engine.compression.pruning.choice import choose
from svr_widget.engine.compression.pruning.cutting import check_prunable, cut
from svr_widget.engine.compression.pruning.report import Evaluate, score
from svr_widget.engine.errors import SVRError
from svr_widget.engine.graph.spectral_graph import SpectralGraph


def pruning_curve(
    graph: SpectralGraph, evaluate: Evaluate, neurons: Iterable[int] | None = None
) -> pd.DataFrame:
    """Scores by the number of neurons; see ``SVR.pruning_curve``."""
    check_prunable(graph)
    producers = {link.producer for link in graph.links.values()}
    names = [name for name in graph.maps if name in producers]
    if not names:
        raise SVRError(f"{graph.title} has no link, so no map is cut: use prune(ranks=...)")
    most = max(len(graph[name]) for name in names)
    counts = np.arange(most + 1) if neurons is None else np.unique(np.fromiter(neurons, np.int64))
    rows = []
    for count in counts.tolist():
        first, others = (
            cut(graph, choose(graph, dict.fromkeys(names, rank), None, None).kept)[0]
            for rank in (count, slice(count, None))
        )
        rows.append(
            {"neurons": count, "kept": score(evaluate, first), "cut": score(evaluate, others)}
        )
    return pd.DataFrame(rows)
