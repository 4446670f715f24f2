"""The weight that a layer computes with: parametrisations applied, finite, in floating point."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from svr_widget.engine.errors import NonFiniteWeightsError, UnsupportedLayerError


def effective_weight(name: str, module: nn.Module) -> Tensor:
    """The weight that the module computes with in evaluation, parametrisations applied."""
    if any(is_lazy(parameter) for parameter in module.parameters()):
        raise UnsupportedLayerError(
            f"{name!r} ({type(module).__name__}) is lazy and has no weight yet; run the model once "
            "on an example input first"
        )
    parametrised = getattr(module, "parametrizations", {})
    weight: object = None
    if "weight" in parametrised:
        # On a copy in evaluation mode: spectral norm moves its buffers when read in training.
        weight = copy.deepcopy(parametrised["weight"]).eval()()
    else:
        for hook in module._forward_pre_hooks.values():
            weight = _weight_of_hook(module, hook) if weight is None else weight
        weight = module.weight if weight is None else weight
    if not isinstance(weight, Tensor):
        raise UnsupportedLayerError(
            f"{name!r} ({type(module).__name__}) has no weight tensor; leave it out with "
            f"exclude={name!r}"
        )
    return weight


def _weight_of_hook(module: nn.Module, hook: object) -> object:
    """What a hook of ``torch.nn.utils`` would set as weight before the next forward pass."""
    if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == "weight":
        return hook.apply_mask(module)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    if isinstance(hook, SpectralNorm) and hook.name == "weight":
        return hook.compute_weight(module, do_power_iteration=False)
    if isinstance(hook, WeightNorm) and hook.name == "weight":
        return hook.compute_weight(module)
    return None


def floating(name: str, weight: Tensor) -> Tensor:
    """A finite dense weight in float32, or float64 where it is already.

    Raises:
        UnsupportedLayerError: it has no values (meta device), is not real floating point, or has
            fewer than two dimensions or no entries.
        NonFiniteWeightsError: NaN or infinite entries.
    """
    shape = tuple(weight.shape)
    if weight.is_meta:
        raise UnsupportedLayerError(
            f"{name!r} has a weight of shape {shape} on the meta device, without values; load the "
            "weights first"
        )
    if not weight.is_floating_point() or weight.is_quantized:
        raise UnsupportedLayerError(
            f"{name!r} has a weight of type {weight.dtype} and shape {shape}; convert it to real "
            f"floating point (dequantise it), or leave it out with exclude={name!r}"
        )
    if weight.ndim < 2 or weight.numel() == 0:
        raise UnsupportedLayerError(
            f"{name!r} has a weight of shape {shape}; a linear map needs [out, in, ...], none of "
            f"them 0; leave it out with exclude={name!r}"
        )
    weight = weight.detach().to_dense() if weight.layout != torch.strided else weight.detach()
    if weight.dtype != torch.float64:
        weight = weight.to(torch.float32)
    broken = weight.numel() - int(torch.isfinite(weight).sum())
    if broken:
        raise NonFiniteWeightsError(
            f"{name!r} has {broken} NaN or infinite of {weight.numel()} entries in its weight of "
            f"shape {shape}; the network diverged or the file is damaged"
        )
    return weight
