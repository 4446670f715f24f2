"""The matrices of adapters (LoRA): ``A`` and ``B`` of a layer are one map, ``B A``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from svr_widget.engine.errors import SVRError, UnsupportedLayerError, listed
from svr_widget.engine.maps.names import bare
from svr_widget.engine.maps.stored import LowRank, StoredTensor

_PAIR = re.compile(
    r"(?P<module>.+?)[._](?P<side>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_down|lora_up"
    r"|lora\.down|lora\.up)(?:\.(?P<adapter>(?!(?:weight|bias)$)\w+))?(?:\.weight)?"
)
_FIRST = ("lora_A", "lora_embedding_A", "lora_down", "lora.down")
"""What reads a layer's input; the others write its output."""

_BEYOND = re.compile(
    r"(?:.+[._])?(?:lora_magnitude_vector|dora_scale|lora_mid|lora_E|hada_[wt]\d|lokr_[wt]\d|glora_"
    r"|vera_(?:A|B|lambda)|randlora_|oft_[rR]|oft_blocks|boft_R|ia3_l)(?:\b|_).*"
)
"""Parts of adapters that are more than ``B A``, or another thing."""


class Merged(NamedTuple):
    """Weights of which the matrices of adapters have become maps.

    Attributes:
        weights: by name; ``B A`` by the name of the layer that it adds to.
        notes: which factor stands before them.
    """

    weights: dict[str, Tensor]
    notes: tuple[str, ...]


def merged(weights: Mapping[str, Tensor], config: Mapping[str, Any] | None = None) -> Merged:
    """Put ``A [r, in]`` and ``B [out, r]`` of each layer together.

    Args:
        weights: by name.
        config: what ``adapter_config.json`` says, where there is one beside the file.

    Raises:
        SVRError: a matrix without the other, or of another rank.
        UnsupportedLayerError: an adapter that is more than ``B A``.
    """
    more = [name for name in weights if _BEYOND.fullmatch(name)]
    says = config or {}
    kind = str(says.get("peft_type", "LORA"))
    if more or says.get("use_dora") or kind != "LORA":
        other = f"{kind} in adapter_config.json" if kind != "LORA" else "use_dora there"
        some = listed([repr(name) for name in more], shown=2) or other
        raise UnsupportedLayerError(
            f"the adapter is no product of two matrices alone ({some}), so that its map is not "
            "known without the layer; merge it into the model, and give SVR that"
        )
    pairs = _pairs(weights)
    if not pairs:
        return Merged(dict(weights), ())
    made: dict[str, tuple[str, Tensor]] = {}
    gone: set[str] = set()
    bases = {bare(name) for name in weights}
    factors: dict[str, float] = {}
    told = True
    for module, (first, second) in pairs.items():
        A, B, name = weights[first], weights[second], bare(module)
        if A.ndim < 2 or B.ndim < 2 or A.shape[0] != B.shape[1] or math.prod(B.shape[2:]) != 1:
            raise SVRError(
                f"{first!r} {_shape(A)} and {second!r} {_shape(B)} are no A [r, in] and "
                "B [out, r] of one layer"
            )
        alphas = _alphas(module, weights)
        alpha = float(weights[alphas[0]]) if alphas else _configured(name, config)
        factors[name] = _factor(alpha, A.shape[0], config)
        told = told and alpha is not None
        gone |= {first, second, *alphas}
        called = f"{name}[B A]" if f"{name}.weight" in bases else f"{name}.weight"
        made[first] = called, _product(A, B, factors[name])
    found: dict[str, Tensor] = {}
    for name, each in weights.items():  # whose order may be that of a chain
        if name in made:
            called, product = made[name]
            found[called] = product
        elif name not in gone:
            found[name] = each
    return Merged(found, (_note(factors, told),))


def _pairs(weights: Mapping[str, Tensor]) -> dict[str, tuple[str, str]]:
    """The names of ``A`` and ``B`` of each layer, by the layer's own.

    Raises:
        SVRError: one of them is missing.
    """
    sides: dict[str, dict[bool, str]] = {}
    several = len({m["adapter"] for name in weights if (m := _PAIR.fullmatch(name))}) > 1
    for name in weights:
        match = _PAIR.fullmatch(name)
        if match is None:
            continue
        adapter = f"[{match['adapter']}]" if several and match["adapter"] else ""
        module = match["module"] + adapter
        sides.setdefault(module, {})[match["side"] in _FIRST] = name
    alone = [name for held in sides.values() if len(held) == 1 for name in held.values()]
    if alone:
        raise SVRError(
            f"of adapters there is one matrix without the other: {listed([repr(n) for n in alone])}"
        )
    return {module: (held[True], held[False]) for module, held in sides.items()}


def _product(A: Tensor, B: Tensor, factor: float) -> StoredTensor:
    """``factor B A``, as a product where it is one of two matrices."""
    dtype = torch.float64 if torch.float64 in (A.dtype, B.dtype) else torch.float32
    scaled = StoredTensor(
        torch.empty(B.shape[:2], dtype=dtype, device="meta"),
        lambda: B.to(dtype).flatten(1) * factor,
    )
    if A.ndim == 2:
        first = torch.empty(A.shape, dtype=dtype, device="meta")
        return LowRank(scaled, StoredTensor(first, lambda: A.to(dtype)))
    form = torch.empty(len(B), *A.shape[1:], dtype=dtype, device="meta")
    return StoredTensor(
        form, lambda: torch.einsum("or,ri...->oi...", scaled.read().double(), A.double()).to(dtype)
    )


def _alphas(module: str, weights: Mapping[str, Tensor]) -> list[str]:
    name = f"{module}.alpha"
    return [name] if name in weights and weights[name].numel() == 1 else []


def _configured(name: str, config: Mapping[str, Any] | None) -> float | None:
    """The alpha of a layer in peft's configuration: that of a pattern which matches its name."""
    if config is None or config.get("lora_alpha") is None:
        return None
    for pattern, alpha in (config.get("alpha_pattern") or {}).items():
        if re.fullmatch(rf"(.*\.)?({pattern})", name):
            return float(alpha)
    return float(config["lora_alpha"])


def _factor(alpha: float | None, rank: int, config: Mapping[str, Any] | None) -> float:
    """What stands before a layer's ``B A``."""
    if alpha is None:
        return 1.0
    return alpha / (math.sqrt(rank) if (config or {}).get("use_rslora") else rank)


def _note(factors: Mapping[str, float], told: bool) -> str:
    some = listed([repr(name) for name in factors], shown=2)
    count = f"{len(factors):,} product{'s' if len(factors) > 1 else ''} B A of adapters ({some})"
    if not told:
        return (
            f"{count} without a factor, for no adapter_config.json or alpha says it: singular "
            "values are those of B A itself"
        )
    kinds = sorted({f"{factor:g}" for factor in factors.values()})
    return f"{count} times {listed(kinds)}, as alpha and rank say"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
