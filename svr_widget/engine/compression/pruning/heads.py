"""Cutting the products of attention heads, by one of the two matrices that they are of.

``W_O W_V P`` with the projection ``P`` onto the kept ``V`` is the truncated product, and so is
``P W_O W_V`` with that onto the kept ``U``. Values come first, so that their bias, which goes
through ``W_O``, adds what it did; where several heads share a matrix, as in grouped queries, the
other one is changed.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from svr_widget.engine.compression.pruning.choice import Kept
from svr_widget.engine.compression.pruning.truncation import projection
from svr_widget.engine.compression.pruning.writing import write
from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.errors import UnsupportedLayerError
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.parts import Part


def check_current_product(parts: Mapping[str, Part], linear: LinearMap) -> None:
    """Raise ``UnsupportedLayerError`` where the two matrices are not those of the map."""
    for side, factor in zip((0, 1), linear.factors, strict=True):
        if not torch.equal(_factor(parts, linear, side), factor):
            raise UnsupportedLayerError(
                f"{linear.name!r} is not of the weights that the model holds: it was changed "
                "since, and needs a new SVR"
            )


def write_product(
    parts: Mapping[str, Part],
    maps: Mapping[str, LinearMap],
    linear: LinearMap,
    neurons: Decomposition,
    kept: Kept,
) -> Tensor:
    """Cut a head to its kept neurons; returns the product afterwards, float64.

    Raises:
        UnsupportedLayerError: both matrices have other uses.
    """
    assert linear.product_of is not None
    assert linear.product_channels is not None
    side = next((side for side in (1, 0) if _alone(maps, linear, side)), None)
    if side is None:
        raise UnsupportedLayerError(
            f"{linear.name!r} shares both of its matrices, {' and '.join(linear.product_of)}, with "
            "other maps, so it cannot be cut alone; leave it whole with "
            f"ranks={{{linear.name!r}: slice(None), ...}}, or cut the matrices of "
            "SVR(model, attention='plain')"
        )
    part, channels = parts[linear.product_of[side]], linear.product_channels[side]
    factor = _factor(parts, linear, side).double()
    weight = part.weight().double().cpu().clone()
    flat = weight.flatten(1)
    if side:
        flat[channels] = factor @ projection(neurons.V, kept)
    elif _reads(linear):
        flat[:, channels] = projection(neurons.U, kept) @ factor
    else:
        flat[channels] = (projection(neurons.U, kept) @ factor).T
    write(part, flat.reshape(weight.shape))
    left, right = (_factor(parts, linear, each).double() for each in (0, 1))
    return left @ right


def _reads(linear: LinearMap) -> bool:
    """Whether the left matrix is an output map, whose inputs meet the values (OV)."""
    return linear.name.rpartition("[")[2].startswith("OV.")


def _factor(parts: Mapping[str, Part], linear: LinearMap, side: int) -> Tensor:
    """``[out, d]`` or ``[d, in]`` as the model holds it."""
    assert linear.product_of is not None
    assert linear.product_channels is not None
    weight = parts[linear.product_of[side]].weight().flatten(1).cpu()
    channels = linear.product_channels[side]
    if side:
        return weight[channels]
    return weight[:, channels] if _reads(linear) else weight[channels].T


def _alone(maps: Mapping[str, LinearMap], linear: LinearMap, side: int) -> bool:
    """Whether no other map is of the same channels of this matrix."""
    assert linear.product_of is not None
    assert linear.product_channels is not None
    name, mine = linear.product_of[side], set(linear.product_channels[side].tolist())
    if name in maps:
        return False
    for other in maps.values():
        if other is linear or other.product_of is None or other.product_channels is None:
            continue
        for each, channels in zip(other.product_of, other.product_channels, strict=True):
            if each == name and mine.intersection(channels.tolist()):
                return False
    return True
