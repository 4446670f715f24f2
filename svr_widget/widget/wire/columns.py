"""What the page is told of columns and of the modules that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from svr_widget.engine.graph.folding import Module, label_of, modules_of
from svr_widget.engine.maps.labels import Labels, labels_of
from svr_widget.svr import SVR


def about_columns(svr: SVR, shown: Sequence[tuple[int, float]]) -> dict[str, Any]:
    """The columns, the modules, and what the names of most columns begin with.

    Args:
        svr: the graph.
        shown: of each column how many neurons are shown, and the sum of squares of all its
            singular values.
    """
    labels = labels_of({name: svr.maps[column.map] for name, column in svr.columns.items()})
    modules = modules_of(list(svr.columns))
    return {
        "shared": labels.shared,
        "maps": _describe_maps(svr, shown, labels, modules),
        "modules": _describe_modules(modules, labels),
    }


def _describe_maps(
    svr: SVR,
    shown: Sequence[tuple[int, float]],
    labels: Labels,
    modules: tuple[Module, ...],
) -> list[dict[str, Any]]:
    innermost = {at: place for place, module in enumerate(modules) for at in module.columns}
    described, start = [], 0
    for at, (name, (map_name, flattening)) in enumerate(svr.columns.items()):
        linear, (neurons, energy) = svr.maps[map_name], shown[at]
        described.append(
            {
                "name": name,
                "label": labels.of[name],
                "map": map_name,
                "kind": linear.kind,
                "depth": linear.depth,
                "module": innermost.get(at),
                "out": linear.out_channels,
                "in": linear.in_channels,
                "kernel": linear.kernel,
                "neurons": neurons,
                "rank": linear.neurons(flattening),
                "start": start,
                "energy": energy,
            }
        )
        start += neurons
    return described


def _describe_modules(modules: tuple[Module, ...], labels: Labels) -> list[dict[str, Any]]:
    """The modules that hold several columns; a column says which is the innermost of its own."""
    return [
        {
            "name": module.name,
            "label": label_of(module, labels),
            "parent": module.parent,
            "folded": module.folded,
        }
        for module in modules
    ]
