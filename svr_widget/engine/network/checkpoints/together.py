"""Tensors that belong together, read together: codes with scales, an adapter's A with its B."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from svr_widget.engine.network.checkpoints.configuration import configuration
from svr_widget.engine.network.checkpoints.low_rank import merged
from svr_widget.engine.network.checkpoints.scales import dequantised
from svr_widget.engine.network.checkpoints.weight_norm import merged_norms


class Together(NamedTuple):
    """Weights by name, each a whole one, and what has to be said about them."""

    weights: dict[str, Tensor]
    notes: tuple[str, ...]


def numbers(
    weights: Mapping[str, Tensor], wanted: Callable[[str], bool], path: Path | None = None
) -> Together:
    """Weights of which codes have become numbers, by their scales.

    Args:
        weights: by name.
        wanted: whether a weight of that name takes part.
        path: where they are from, if from a file, beside which ``config.json`` may stand.

    Raises:
        UnsupportedLayerError: codes in a form that is not known here.
    """
    config = (configuration(path, "config.json") if path else None) or {}
    told = config.get("quantization_config")
    block = told.get("weight_block_size") if isinstance(told, dict) else None
    return Together(*dequantised(weights, block, wanted))


def together(
    weights: Mapping[str, Tensor], wanted: Callable[[str], bool], path: Path | None = None
) -> Together:
    """The same for weights without a model.

    The matrices of adapters have become maps, directions and lengths of weight norm weights.

    Raises:
        UnsupportedLayerError: codes or an adapter in a form that is not known here.
        SVRError: of an adapter's two matrices there is one.
    """
    found = numbers(weights, wanted, path)
    config = configuration(path, "adapter_config.json") if path else None
    adapted = merged(merged_norms(found.weights), config)
    return Together(adapted.weights, (*found.notes, *adapted.notes))
