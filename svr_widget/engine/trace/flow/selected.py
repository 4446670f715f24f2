"""Some of a tensor's positions, or its features in another order."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from svr_widget.engine.trace.flow import labels
from svr_widget.engine.trace.flow.flow import Carrier, Flow


def taken(flow: Flow, positions: Tensor) -> Flow:
    """A flow at some positions of its first dimension."""
    shape = (len(positions), *flow.shape[1:])

    def chosen(label: Tensor) -> Tensor:
        stored = labels.core(label)
        stored = stored if stored.shape[0] == 1 else stored.index_select(0, positions)
        return labels.canonical(stored.expand(shape))

    carriers = tuple(replace(c, label=chosen(c.label)) for c in flow.carriers)
    place = flow.place and replace(flow.place, ids=chosen(flow.place.ids))
    inlet = flow.inlet and replace(flow.inlet, label=chosen(flow.inlet.label))
    return replace(
        flow, shape=shape, carriers=carriers, place=place, inlet=inlet, index=(), value=None
    )


def rearranged(flow: Flow, dim: int, places: Tensor) -> Flow:
    """A flow whose features along a dimension are those at ``places``, none where that is NONE."""
    dim %= len(flow.shape)
    shape = (*flow.shape[:dim], len(places), *flow.shape[dim + 1 :])
    known = places.clamp(min=0)
    absent = (places == labels.NONE).view([-1 if d == dim else 1 for d in range(len(shape))])

    def moved(label: Tensor) -> Tensor:
        stored = labels.core(label)
        if stored.shape[dim] > 1:
            stored = stored.index_select(dim, known)
        return stored.expand([len(places) if d == dim else n for d, n in enumerate(stored.shape)])

    def chosen(carrier: Carrier) -> Carrier:
        label = torch.where(absent, labels.NONE, moved(carrier.label))
        return replace(carrier, label=labels.canonical(label.expand(shape)))

    place = flow.place and replace(
        flow.place, ids=labels.canonical(moved(flow.place.ids).expand(shape))
    )
    inlet = flow.inlet and chosen(flow.inlet)
    carriers = tuple(map(chosen, flow.carriers))
    return replace(
        flow, shape=shape, carriers=carriers, place=place, inlet=inlet, index=(), value=None
    )
