"""The cut itself: parameters, buffers and counts of a copy of the model made smaller."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from svr_widget.engine.compression.removal.channel_groups import Axis, Ints, Mask, Structure
from svr_widget.engine.compression.removal.emission import Emission
from svr_widget.engine.maps.parts import Part

_COUNTS = {
    "out": ("out_features", "out_channels", "embedding_dim", "nf"),
    "in": ("in_features", "in_channels", "nx"),
}


def bias_shift(part: Part, weight: Tensor, emission: Emission, gone: Tensor) -> Tensor:
    """What a map adds to its outputs for the constants that it reads in some of its features.

    Args:
        part: the map, not grouped.
        weight: the module's, ``[out, in, *kernel]``.
        emission: the constants.
        gone: bool ``[n]``, which of the emission's features count.

    Returns:
        float64 ``[out]``, exact wherever the whole kernel lies inside of what is read. The stride
        of a transposed convolution lets each output see a part of the kernel: the mean over them.
    """
    features, constant = emission.features[gone], emission.constant[gone]
    read = weight.detach().cpu().double()[:, features]
    shift = read.reshape(*read.shape[:2], -1).sum(2) @ constant
    if isinstance(part.module, _ConvTransposeNd):
        shift = shift / float(np.prod(part.module.stride))
    return shift


def pads_zeros(module: nn.Module) -> bool:
    """Whether what a map reads at the borders is in part zeros of its own."""
    if isinstance(module, _ConvTransposeNd):
        return module.kernel_size != module.stride
    if not isinstance(module, _ConvNd) or module.padding_mode != "zeros":
        return False
    padding = module.padding
    return padding == "same" if isinstance(padding, str) else any(padding)


def shift_bias(module: nn.Module, shift: Tensor) -> None:
    """Add to a module's bias; one that has none gets one, unless there is nothing to add."""
    bias, weight = module.bias, module.weight
    assert isinstance(weight, Tensor)
    if bias is None and bool((shift == 0).all()):
        return
    trained = weight.requires_grad
    if isinstance(bias, Tensor):
        trained, shift = bias.requires_grad, bias.detach().cpu().double() + shift
    value = shift.to(weight.device, weight.dtype)
    module.bias = nn.Parameter(value, requires_grad=trained)


def silenced(module: nn.Module, part: Part, features: Ints, shift: Tensor) -> Callable[[], None]:
    """Let a map of a copy no longer read some features, its bias standing for them, in place.

    So it computes what it will when they are cut, in the shape that it has.

    Args:
        module: the map's.
        part: the map, not grouped.
        features: int64 ``[n]``, what it no longer reads.
        shift: what is added to its bias.

    Returns:
        What puts it back.
    """
    weight, bias = module.weight, module.bias
    assert isinstance(weight, Tensor)
    values, dim = weight.detach(), 0 if part.kind.transposed else 1
    at = torch.from_numpy(features).to(values.device)
    before = values.index_select(dim, at)
    values.index_fill_(dim, at, 0)
    shift_bias(module, shift)

    def put_back() -> None:
        values.index_copy_(dim, at, before)
        module.bias = bias

    return put_back


def cut(model: nn.Module, structure: Structure, gone: Mask) -> None:
    """Take nodes out of a model of this structure, in place.

    Args:
        model: a copy of the structure's own model.
        structure: its channel groups.
        gone: bool ``[nodes]``.
    """
    for name, part in structure.network.parts.items():
        kept = {
            kind: torch.from_numpy(np.flatnonzero(~structure.mask(Axis(kind, name), gone)))
            for kind in ("out", "in")
        }
        _cut_map(model.get_submodule(part.path), part, kept)
    for axis in structure.places:
        if axis.kind == "stored":
            kept_places = np.flatnonzero(~structure.mask(axis, gone))
            _cut_stored(model, axis, torch.from_numpy(kept_places))


def _cut_map(module: nn.Module, part: Part, kept: Mapping[str, Tensor]) -> None:
    outputs, inputs = len(kept["out"]), len(kept["in"])
    if (outputs, inputs) == (part.outputs, part.inputs):
        return
    weight = module.weight
    assert isinstance(weight, Tensor)
    transposed = part.kind.transposed
    out_dim, in_dim = (1, 0) if transposed else (0, 1)
    if part.groups > 1:  # whole groups go: along one dimension they lie in a row
        groups = outputs * part.groups // part.outputs
        weight = _chosen(weight, 0, kept["in" if transposed else "out"])
        module.groups = groups  # type: ignore[assignment]  # a count, no module
    else:
        weight = _chosen(_chosen(weight, out_dim, kept["out"]), in_dim, kept["in"])
    _assign(module, "weight", weight)
    bias = getattr(module, "bias", None)
    if isinstance(bias, Tensor):
        _assign(module, "bias", _chosen(bias, 0, kept["out"]))
    for kind, count in (("out", outputs), ("in", inputs)):
        _count(module, _COUNTS[kind], count)


def _cut_stored(model: nn.Module, axis: Axis, kept: Tensor) -> None:
    path, _, name = axis.name.rpartition(".")
    module = model.get_submodule(path)
    value = getattr(module, name)
    if not isinstance(value, Tensor):
        _count(module, (name,), len(kept))
    elif value.shape[axis.dim] > len(kept):
        _assign(module, name, _chosen(value, axis.dim, kept))
        if isinstance(module, nn.PReLU):
            module.num_parameters = len(kept)


def _chosen(tensor: Tensor, dim: int, kept: Tensor) -> Tensor:
    if len(kept) == tensor.shape[dim]:
        return tensor
    return tensor.detach().index_select(dim, kept.to(tensor.device)).contiguous()


def _assign(module: nn.Module, name: str, value: Tensor) -> None:
    """Put a smaller tensor where a parameter or buffer was."""
    old = getattr(module, name)
    if value is old:
        return
    if isinstance(old, nn.Parameter):
        setattr(module, name, nn.Parameter(value, requires_grad=old.requires_grad))
    else:
        setattr(module, name, value)


def _count(module: nn.Module, names: Iterable[str], count: int) -> None:
    for name in names:
        if isinstance(getattr(module, name, None), int):
            setattr(module, name, count)
