"""Layers with adapters, as the peft library wraps them: a base layer and low-rank matrices."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from svr_widget.engine.maps.weights import effective_weight, floating


def is_adapted(module: nn.Module) -> bool:
    """Whether a module wraps a base layer to adapt it."""
    wraps = isinstance(getattr(module, "base_layer", None), nn.Module)
    return wraps and (hasattr(module, "lora_A") or hasattr(module, "adapter_layer_names"))


def low_rank_matrices(module: nn.Module) -> frozenset[str]:
    """The names in the module of the matrices that its effective weight accounts for."""
    names = (name for name, _ in module.named_parameters(remove_duplicate=False))
    return frozenset(name for name in names if name.startswith(("lora_A.", "lora_B.")))


def refusal(module: nn.Module, plain: bool) -> str:
    """Why the effective weight of an adapted layer is not known; empty where it is.

    Args:
        module: the wrapper.
        plain: whether its base layer is one map in one group.
    """
    if not plain:
        return "adapts a layer whose map is not known here; merge the adapter into it"
    if _is_merged(module) and _is_disabled(module):
        return "would unmerge its adapter when it runs; enable the adapter, or unmerge it"
    for name in _active(module):
        matrices = [_of(module, kind, name) for kind in ("lora_A", "lora_B")]
        known = all(isinstance(matrix, nn.Linear | _ConvNd) for matrix in matrices)
        if not known or _of(module, "scaling", name) is None:
            return f"has the adapter {name!r}, which is no low-rank update; merge it into the layer"
        for kind in ("lora_variant", "use_dora", "lora_magnitude_vector"):
            if _of(module, kind, name):
                return (
                    f"has the adapter {name!r}, which does more than add a low-rank update "
                    f"({kind}); merge it into the layer"
                )
    return ""


def adapted_weight(name: str, module: nn.Module, parameter: str) -> Tensor:
    """The base layer's weight and every active update ``scaling B A`` that is not merged."""
    base = module.get_submodule("base_layer")
    weight = floating(name, effective_weight(name, base, parameter.removeprefix("base_layer.")))
    for adapter in _active(module):
        A, B = (_of(module, kind, adapter).weight.to(weight) for kind in ("lora_A", "lora_B"))
        # In float64, which no setting of the caller's rounds.
        update = torch.einsum("or,ri...->oi...", B.flatten(1).double(), A.double()).to(weight)
        update = update * _of(module, "scaling", adapter)
        weight = weight + (update if isinstance(base, nn.Linear | _ConvNd) else update.T)
    return weight


def _active(module: nn.Module) -> list[str]:
    """The adapters that take part when the module runs, besides those that are merged."""
    if _is_merged(module) or _is_disabled(module):
        return []
    active: Any = getattr(module, "active_adapters", None) or getattr(module, "active_adapter", ())
    names = [active] if isinstance(active, str) else list(active)
    known = [kind for kind in vars(module)["_modules"] if kind != "base_layer"]
    return [name for name in names if any(_of(module, kind, name) is not None for kind in known)]


def _is_merged(module: nn.Module) -> bool:
    return bool(getattr(module, "merged_adapters", ()))


def _is_disabled(module: nn.Module) -> bool:
    return bool(getattr(module, "disable_adapters", False))


def _of(module: nn.Module, kind: str, adapter: str) -> Any:
    """What the module keeps under ``kind`` for an adapter; None where it keeps nothing."""
    kept = getattr(module, kind, None)
    return kept[adapter] if kept is not None and adapter in kept else None
