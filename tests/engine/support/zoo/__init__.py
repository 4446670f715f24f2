"""Small network definitions of the kinds that tracing has to understand."""

from __future__ import annotations

from torch import nn

from svr_widget.engine.maps.layer_kinds import parts_of
from svr_widget.engine.maps.parts import Part


def maps_of(model: nn.Module) -> dict[str, Part]:
    """Where a model keeps its linear maps, by name; whatever else it holds is ignored."""
    found = (parts_of(module, path) for path, module in model.named_modules())
    return {part.name: part for parts in found for part in parts}
