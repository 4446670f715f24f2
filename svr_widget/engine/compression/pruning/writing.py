"""Putting another weight in the place of a map's, in a copy of its model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from svr_widget.engine.errors import UnsupportedLayerError
from svr_widget.engine.maps.linear_map import LinearMap, map_of
from svr_widget.engine.maps.parts import Part

ROUNDINGS = 16


def layer_weight(part: Part, linear: LinearMap, weight: Tensor) -> Tensor:
    """A map's weight as its layer applies it: flattened channels x positions in their places."""
    if linear.input_layout is not None:
        own = weight.new_zeros(part.outputs, part.inputs)
        own[:, linear.input_layout.index.flatten()] = weight.flatten(1)
        return own
    if linear.output_layout is not None:
        own = weight.new_zeros(part.outputs, part.inputs)
        by_channel = weight.flatten(2).transpose(1, 2)
        own[linear.output_layout.index.flatten()] = by_channel.flatten(0, 1)
        return own
    return weight


def check_current(part: Part, linear: LinearMap) -> None:
    """Raise ``UnsupportedLayerError`` where the layer's weight is not the one of the map."""
    now = map_of(
        linear.name,
        linear.kind,
        part.weight(),
        linear.groups,
        linear.input_layout,
        linear.output_layout,
    )
    if not torch.equal(now.weight, linear.weight):
        raise UnsupportedLayerError(
            f"{linear.name!r} does not hold the weight that this SVR is of: the model was changed "
            "since, and needs a new SVR, or the weight is computed as it runs, and cannot be cut"
        )


def write(part: Part, weight: Tensor) -> Tensor:
    """Make ``[out, in/groups, *kernel]`` the effective weight of a part, as far as it rounds.

    Returns:
        The effective weight afterwards.

    Raises:
        UnsupportedLayerError: the layer computes its weight from others, or keeps codes.
    """
    before = part.weight()
    with torch.no_grad():
        if part.held is not None:
            _write_held(part, weight, before)
        elif part.parameter in getattr(part.module, "parametrizations", {}):
            _write_parametrised(part, weight)
        else:
            raise _refusal(part, "computes or packs its weight (weight norm, masks, quantisation)")
    written = part.weight()
    rounding = torch.finfo(torch.float32 if part.held is None else part.held.dtype).eps
    size = float(before.double().norm())
    if float((written.double().cpu() - weight).norm()) > ROUNDINGS * rounding * size:
        raise _refusal(part, "computes its weight so that it cannot be given this one")
    return written


def _write_held(part: Part, weight: Tensor, before: Tensor) -> None:
    held = part.held
    assert held is not None
    plain = type(held) in (Tensor, nn.Parameter) and held.layout == torch.strided
    if not plain or not held.is_floating_point():
        raise _refusal(part, f"keeps its weight as {type(held).__name__} of type {held.dtype}")
    if part.matrix is not None:
        part.matrix.write(held, weight)
        return
    own = _rows(part, held)
    if "base_layer" in part.parameter.split("."):  # beside it an adapter adds its own update
        change = part.kind.kept(weight.cpu() - before.double().cpu(), part.groups)
        own.add_(change.to(own))
    else:
        own.copy_(part.kind.kept(weight, part.groups))


def _write_parametrised(part: Part, weight: Tensor) -> None:
    whole = getattr(part.module, part.parameter).clone()
    _rows(part, whole).copy_(part.kind.kept(weight, part.groups))
    try:
        setattr(part.module, part.parameter, whole)
    except Exception as error:  # whatever the parametrisation raises, NotImplementedError mostly
        raise _refusal(part, f"is parametrised without a way back ({error})") from error


def _rows(part: Part, parameter: Tensor) -> Tensor:
    """The part's own share of a parameter that several share."""
    if part.outputs == part.total:
        return parameter
    return parameter.narrow(int(part.kind.transposed), part.rows.start, part.outputs)


def _refusal(part: Part, why: str) -> UnsupportedLayerError:
    return UnsupportedLayerError(
        f"{part.name!r} ({type(part.module).__name__}) {why}, so it cannot be cut; make its weight "
        f"a plain parameter first, or leave it whole with ranks={{{part.name!r}: slice(None), ...}}"
    )
