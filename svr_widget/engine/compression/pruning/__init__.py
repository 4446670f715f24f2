"""Cutting spectral neurons out of a model: which ones, how they are written back, what it cost."""

from svr_widget.engine.compression.pruning.choice import Ranks
from svr_widget.engine.compression.pruning.prune import prune, pruning_curve
from svr_widget.engine.compression.pruning.report import Evaluate, PruningReport

__all__ = ["Evaluate", "PruningReport", "Ranks", "prune", "pruning_curve"]
