"""Copies of a model, which work that changes one begins with."""

from __future__ import annotations

import copy

from torch import nn

from svr_widget.engine.errors import SVRError


def copied(model: nn.Module, so: str) -> nn.Module:
    """A deep copy of a model.

    Args:
        model: stays as it is.
        so: what does not happen without a copy, in words.

    Raises:
        SVRError: the model cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except Exception as error:  # whatever a model's own attributes raise
        raise SVRError(f"{type(model).__name__} cannot be copied, {so}: {error}") from error
