"""Cutting spectral neurons out of a model: which ones, how they are written back, what it cost."""

from svr_widget.engine.pruning.choice import Ranks
from svr_widget.engine.pruning.curve import pruning_curve
from svr_widget.engine.pruning.prune import prune
from svr_widget.engine.pruning.report import Evaluate, PruningReport

__all__ = ["Evaluate", "PruningReport", "Ranks", "prune", "pruning_curve"]
