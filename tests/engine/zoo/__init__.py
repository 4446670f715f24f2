"""Small network definitions of the kinds that tracing has to understand."""

from __future__ import annotations

from torch import nn


def maps_of(model: nn.Module) -> dict[str, nn.Module]:
    """The modules that hold linear maps, by qualified name."""
    kinds = (nn.Linear, nn.modules.conv._ConvNd, nn.Embedding)
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, kinds) or type(module).__name__ == "Conv1D"
    }
