"""The weight that a layer computes with: parametrisations applied, finite, in floating point."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from svr_widget.engine.errors import NonFiniteWeightsError, UnsupportedLayerError
from svr_widget.engine.maps.stored import LowRank, in_memory

WeightReader = Callable[[str, nn.Module, str], Tensor]
"""From a map's name, its module and the name of a parameter to the weight that is computed with."""


def effective_weight(name: str, module: nn.Module, parameter: str = "weight") -> Tensor:
    """The weight that the module computes with in evaluation, parametrisations applied."""
    parametrised = getattr(module, "parametrizations", {})
    weight: object = None
    if parameter in parametrised:
        # On a copy in evaluation mode: spectral norm moves its buffers when read in training.
        weight = copy.deepcopy(parametrised[parameter]).eval()()
    else:
        for hook in module._forward_pre_hooks.values():
            weight = _weight_of_hook(module, hook, parameter) if weight is None else weight
        weight = getattr(module, parameter) if weight is None else weight
    if not isinstance(weight, Tensor):
        raise UnsupportedLayerError(
            f"{name!r} ({type(module).__name__}) has no weight tensor; leave it out with "
            f"exclude={name!r}"
        )
    return in_memory(weight)


def bounded_rows(name: str, module: nn.Module, parameter: str) -> Tensor:
    """The rows of an embedding as it rescales each that is longer than its ``max_norm``."""
    assert isinstance(module, nn.Embedding | nn.EmbeddingBag)
    assert module.max_norm is not None
    weight = effective_weight(name, module, parameter)
    longest, order = module.max_norm, module.norm_type
    lengths = torch.linalg.vector_norm(weight, order, dim=1, keepdim=True)
    # The small number is PyTorch's own (embedding_renorm_).
    return torch.where(lengths > longest, weight * (longest / (lengths + 1e-7)), weight)


def packed_weight(_: str, module: nn.Module, parameter: str) -> Tensor:
    """The weight of a quantised layer of ``torch.ao``, which packs it."""
    weight = getattr(module, parameter)()
    assert isinstance(weight, Tensor)
    return weight


def named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Every parameter and buffer by each of its names."""
    yield from module.named_parameters(remove_duplicate=False)
    yield from module.named_buffers(remove_duplicate=False)


def tensors_behind(module: nn.Module, parameter: str) -> frozenset[str]:
    """The names in a module of the tensors that a parameter is, or is computed from."""
    path, _, name = parameter.rpartition(".")
    inside = f"{path}." if path else ""
    own = {parameter, *(f"{parameter}_{part}" for part in ("orig", "mask", "g", "v", "u"))}
    computed = f"{inside}parametrizations.{name}."
    names = (name for name, _ in named_tensors(module))
    return frozenset(name for name in names if name in own or name.startswith(computed))


def _weight_of_hook(module: nn.Module, hook: object, parameter: str) -> object:
    """What a hook of ``torch.nn.utils`` would set as weight before the next forward pass."""
    if isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == parameter:
        return hook.apply_mask(module)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    if isinstance(hook, SpectralNorm) and hook.name == parameter:
        return hook.compute_weight(module, do_power_iteration=False)
    if isinstance(hook, WeightNorm) and hook.name == parameter:
        return hook.compute_weight(module)
    return None


def check_readable(name: str, weight: Tensor) -> None:
    """Raise ``UnsupportedLayerError`` for a weight that has no real values, or none yet."""
    if is_lazy(weight):
        raise UnsupportedLayerError(
            f"{name!r} is lazy and has no weight yet; run the model once on an example input first"
        )
    shape = tuple(weight.shape)
    if weight.is_meta:
        raise UnsupportedLayerError(
            f"{name!r} has a weight of shape {shape} on the meta device, without values; give the "
            "file that holds them, SVR(model, weights=path), or load it first (a model that is "
            "offloaded to CPU or disk: without device_map)"
        )
    if weight.is_complex():
        raise UnsupportedLayerError(
            f"{name!r} has a weight of type {weight.dtype} and shape {shape}, and only real ones "
            f"have neurons; give SVR a real form of it, or leave it out with exclude={name!r}"
        )
    if not (weight.is_floating_point() or weight.is_quantized):
        raise UnsupportedLayerError(
            f"{name!r} has a weight of type {weight.dtype} and shape {shape}, which are codes and "
            "not numbers; dequantise it to floating point or load the model without quantisation, "
            f"or leave the layer out with exclude={name!r}"
        )


def check_together(name: str, weight: Tensor) -> None:
    """Raise ``UnsupportedLayerError`` for a weight of a model whose processes share it out."""
    if hasattr(weight, "full_tensor"):  # a DTensor; to import its class takes a second
        raise UnsupportedLayerError(
            f"{name!r} is a DTensor of shape {tuple(weight.shape)}, of which each process holds a "
            "part; gather the weights on all processes first, and give them, or a model without "
            "shards that holds them: "
            "{name: t.full_tensor() for name, t in model.state_dict().items()}"
        )


def floating(name: str, weight: Tensor) -> Tensor:
    """A finite dense weight, dequantised, in float32 or in float64 where it is already.

    Raises:
        UnsupportedLayerError: it has no values (meta device), is not real floating point, lies on
            several processes, or has fewer than two dimensions or no entries.
        NonFiniteWeightsError: NaN or infinite entries.
    """
    if isinstance(weight, LowRank):
        return LowRank(*(floating(name, factor) for factor in weight.factors))
    check_readable(name, weight)
    weight = in_memory(weight)
    shape = tuple(weight.shape)
    if weight.ndim < 2 or weight.numel() == 0:
        raise UnsupportedLayerError(
            f"{name!r} has a weight of shape {shape}; a linear map needs [out, in, ...], none of "
            f"them 0; leave it out with exclude={name!r}"
        )
    weight = dense(name, weight.detach())
    if not all(map(torch.isfinite, torch.aminmax(weight))):  # which takes no memory, as a mask does
        broken = weight.numel() - int(torch.isfinite(weight).sum())
        raise NonFiniteWeightsError(
            f"{name!r} has {broken} NaN or infinite of {weight.numel()} entries in its weight of "
            f"shape {shape}; the network diverged or the file is damaged"
        )
    return weight


def dense(name: str, weight: Tensor) -> Tensor:
    """In strided float32, or in float64 where it is already, whatever form it is kept in."""
    weight = _whole(name, weight)
    try:
        if weight.is_quantized or type(weight).dequantize is not Tensor.dequantize:
            weight = weight.dequantize()
        if weight.layout != torch.strided:
            weight = weight.to_dense()
        return weight if weight.dtype == torch.float64 else weight.to(torch.float32)
    except NotImplementedError as error:
        said = str(error).partition("\n")[0]
        raise UnsupportedLayerError(
            f"{name!r} ({type(weight).__name__}, {weight.dtype}, {weight.layout}) is in a form "
            f"that torch makes no numbers of: {said}; convert it to floating point, or leave it "
            f"out with exclude={name!r}"
        ) from error


def _whole(name: str, weight: Tensor) -> Tensor:
    """A weight that is spread over processes, where this process has all of it."""
    spread = {base.__name__ for base in type(weight).__mro__} & {"DTensor", "ShardedTensor"}
    if not spread:
        return weight
    placed: Any = weight
    if "DTensor" in spread:
        alone = placed.device_mesh.size() == 1
        if alone or all(placement.is_replicate() for placement in placed.placements):
            local: Tensor = placed.to_local()
            return local
        advice = "gather it with weight.full_tensor(), which every process has to call"
    else:
        advice = "gather the state dict, as FSDP's FULL_STATE_DICT does"
    raise UnsupportedLayerError(
        f"{name!r} is a {spread.pop()} of shape {tuple(weight.shape)}, of which this process holds "
        f"only a part; {advice}, and give SVR what comes out"
    )
