"""Weights kept as codes, with the scales that make numbers of them.

Known forms: float8 or int8 codes times one scale, one a row (or any axis), or one a block, as
``x.weight`` beside ``x.weight_scale``, ``x.weight_scale_inv`` (which multiplies, whatever its name
says), ``x.scale`` and the like, int8 less a zero point; and int8 of bitsandbytes, ``x.SCB``. What
is packed (GPTQ, AWQ, 4 bits of bitsandbytes, MXFP4, NVFP4) is refused by name. Float8 without any
scale is a plain cast: the codes are the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from svr_widget.engine.errors import UnsupportedLayerError, listed
from svr_widget.engine.maps.stored import StoredTensor

FLOAT8 = frozenset(
    {torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz}
)
_CODES = FLOAT8 | {torch.int8, torch.uint8}

BLOCK = 128
"""The side of a block with one scale, as DeepSeek and those after it quantise."""

_SCALES = (
    *("{weight}_scale", "{weight}_scale_inv", "{weight}.scale", "{base}.scale"),
    *("{base}.scale_weight", "{base}.weight_scale", "{base}.weight_scale_inv"),
)
_ZEROS = ("{weight}_zero_point", "{base}.zero_point")
_BITSANDBYTES, _FORMAT = "{base}.SCB", "{base}.weight_format"

_PACKED = {
    "qweight": "packs several codes into each integer (GPTQ or AWQ)",
    "weight_packed": "packs several codes into each integer (compressed-tensors)",
    "absmax": "is packed to 4 bits or less (bitsandbytes)",
    "quant_map": "is packed to 4 bits or less (bitsandbytes)",
    "weight_scale_2": "is packed to 4 bits (NVFP4)",
    "_blocks": "is packed to 4 bits (MXFP4)",
    "W_q": "packs several codes into each integer (HQQ)",
}
"""What the names of packed weights end with, and what to say of them."""

_TOLD_BY_NAME = ("absmax", "quant_map", "weight_scale_2")
"""Those of numbers; the others are integers."""

_ASIDE = re.compile(
    r"(?:^|[._])(?:(?:input|output|act|[qkv]|kv|prob|attn|logit)_scale|scale_input)(?:_inv)?$"
)
"""Scales of activations and of outputs, which are of no weight."""

_CALLED_SCALE = re.compile("scale|absmax|amax|scb", re.IGNORECASE)

_NAMED = 8
"""So many layers that can be left out are named one by one; more by the ends of their names."""

_USUAL_SIDES = (16, 32, 64, 256, 512)
"""Sides of blocks that others use; where several fit, nothing tells which it is."""


class Dequantised(NamedTuple):
    """Weights of which codes have become numbers.

    Attributes:
        weights: by name; those that were codes are stored, and dequantised when they are read.
        notes: what has to be said about them.
    """

    weights: dict[str, Tensor]
    notes: tuple[str, ...]


def belongs_to_codes(name: str, beside: Mapping[str, object]) -> bool:
    """Whether integers are a weight in another form, or what such a weight is read with."""
    if any(name.endswith(end) for end in _PACKED) or name.endswith(("_zero_point", ".zero_point")):
        return True
    if name.rpartition(".")[2] in ("weight", "qzeros", "blocks"):
        return True
    if name.endswith("_data") and f"{name.removesuffix('_data')}_scale" in beside:
        return True
    if any(_called(form, name) in beside for form in (*_SCALES, _BITSANDBYTES)):
        return True
    return _is_scale(name, beside) and not _ASIDE.search(name)


def dequantised(
    weights: Mapping[str, Tensor],
    block: Sequence[int] | None = None,
    wanted: Callable[[str], bool] = lambda _: True,
) -> Dequantised:
    """Put codes and their scales together.

    Args:
        weights: by name.
        block: the sides of a block with one scale, where the file's configuration tells them.
        wanted: whether a weight of that name takes part; others stay as they are.

    Raises:
        UnsupportedLayerError: codes in a form that is not known here; all are named.
    """
    packed = _refuse_packed(weights, wanted)
    found = {
        name: each
        for name, each in weights.items()
        if name.rpartition(".")[0] not in packed or not _with_codes(name)
    }
    scaled = _scaled(weights)
    called_scale = [n for n in weights if _CALLED_SCALE.search(n) and not _ASIDE.search(n)]
    unknown: dict[str, str] = {}
    plain: list[str] = []
    for name, codes in weights.items():
        if codes.ndim < 2 or _is_scale(name, weights):
            continue
        if codes.dtype not in _CODES and not _codes_in_floats(name, codes, weights):
            continue
        if not wanted(name):
            continue
        scales = [other for other in _named(_SCALES, name, weights) if other != name]
        bitsandbytes = _named((_BITSANDBYTES,), name, weights)
        zeros = _named(_ZEROS, name, weights)
        if not scales and not bitsandbytes:
            other = scaled.get(name.rpartition(".")[0]) or scaled.get(name)
            if other := other or (
                _elsewhere(name, called_scale) if codes.dtype in FLOAT8 else None
            ):
                unknown[name] = f"has scales in another form ({other!r})"
            elif codes.dtype in FLOAT8:
                plain.append(name)
            continue
        try:
            found[name] = _together(name, codes, weights, scales, bitsandbytes, zeros, block)
        except _UnknownFormError as error:
            unknown[name] = str(error)
        for other in (*scales, *bitsandbytes, *zeros, *_named((_FORMAT,), name, weights)):
            found.pop(other, None)
    if unknown:
        some = "; ".join(f"{name!r} {why}" for name, why in list(unknown.items())[:2])
        raise _refusal(list(unknown), some)
    notes: tuple[str, ...] = ()
    if plain:
        some = listed([repr(name) for name in plain], shown=2)
        notes = (
            f"float8 without scales, taken as the numbers that they are: {len(plain):,} "
            f"weight{'s' if len(plain) > 1 else ''}, {some}",
        )
    return Dequantised(found, notes)


class _UnknownFormError(Exception):
    """Codes and scales do not fit in any way that is known."""


def _refuse_packed(weights: Mapping[str, Tensor], wanted: Callable[[str], bool]) -> set[str]:
    """The modules whose packed weights are left out.

    Raises:
        UnsupportedLayerError: one is not left out; all are named.
    """
    packed: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name, tensor in weights.items():
        end = next((end for end in _PACKED if name.endswith(end)), None)
        if end is None or (end not in _TOLD_BY_NAME and tensor.is_floating_point()):
            continue
        module = name.rpartition(".")[0].removesuffix(".weight")
        layer = name if end == "_blocks" or not module else module
        if wanted(layer):
            held = refused if wanted(name) else packed
            held.setdefault(layer, f"{name!r} {_PACKED[end]}")
    if refused:
        raise _refusal(list(refused), next(iter(refused.values())))
    return set(packed)


def _codes_in_floats(name: str, weight: Tensor, weights: Mapping[str, Tensor]) -> bool:
    """Whether it has whole numbers alone in a type of numbers, and scales for them beside."""
    numbers = weight.is_floating_point() and weight.layout == torch.strided
    if not numbers or not any(f"{name}{end}" in weights for end in ("_scale", "_scale_inv")):
        return False
    return torch.equal(weight, weight.round())


def _with_codes(name: str) -> bool:
    """Whether it is what packed codes are read with, by its name."""
    return bool(re.search("scale|zero|absmax|quant|blocks|W_q|packed", name.rpartition(".")[2]))


def _refusal(names: list[str], why: str) -> UnsupportedLayerError:
    some = listed([repr(name) for name in names], shown=2)
    many = f"{len(names):,} weights are" if len(names) > 1 else "1 weight is"
    layers = list(dict.fromkeys(re.sub(r"\._?weight.*$", "", name) for name in names))
    if len(layers) > _NAMED:
        layers = list(dict.fromkeys(f"*{name.rpartition('.')[2]}" for name in layers))
    return UnsupportedLayerError(
        f"{many} kept as codes in a form that is not known here ({why}): {some}; give the weights "
        "as they were before they were quantised, or load the model by the library that quantised "
        "it, dequantise it there, and give SVR the model; or leave them out with "
        f"exclude={(layers[0] if len(layers) == 1 else layers)!r}"
    )


def _together(
    name: str,
    codes: Tensor,
    weights: Mapping[str, Tensor],
    scales: Sequence[str],
    bitsandbytes: Sequence[str],
    zeros: Sequence[str],
    block: Sequence[int] | None,
) -> StoredTensor:
    """Codes and their scale as one weight, which is computed when it is read.

    Raises:
        _UnknownFormError: how they fit is not known.
    """
    if len(scales) + len(bitsandbytes) != 1:
        raise _UnknownFormError(f"has several scales ({', '.join((*scales, *bitsandbytes))})")
    scale = weights[(*scales, *bitsandbytes)[0]]
    if not scale.is_floating_point():
        raise _UnknownFormError(f"has scales of type {scale.dtype}")
    if codes.dtype == torch.uint8 and not zeros:
        raise _UnknownFormError("has unsigned codes without a zero point")
    divisor = 1.0
    if bitsandbytes:
        kept = [int(weights[other]) for other in _named((_FORMAT,), name, weights)]
        if codes.dtype != torch.int8 or any(kept) or scale.shape != codes.shape[:1]:
            raise _UnknownFormError("is int8 of bitsandbytes in another order than by rows")
        divisor = 127.0
    spread = _spreading(codes, scale, block)
    less = None
    if zeros:
        zero = weights[zeros[0]]
        less = zero, _spreading(codes, zero, block)

    def read() -> Tensor:
        numbers = codes.to(torch.float32)
        if less is not None:
            zero, over = less
            numbers = numbers - over(zero.to(torch.float32))
        return numbers * (spread(scale.to(torch.float32)) / divisor)

    return StoredTensor(torch.empty(codes.shape, dtype=torch.float32, device="meta"), read)


def _spreading(
    codes: Tensor, scale: Tensor, block: Sequence[int] | None
) -> Callable[[Tensor], Tensor]:
    """What makes a scale of the codes' own shape, or of one that broadcasts to it.

    Raises:
        _UnknownFormError: which codes a scale is for cannot be told.
    """
    shape = tuple(codes.shape)
    if scale.numel() == 1:
        return lambda held: held.reshape(())
    if scale.ndim == 1 and len(scale) == shape[0]:
        return lambda held: held.reshape(-1, *[1] * (len(shape) - 1))
    words = f"of shape {shape} with scales of shape {tuple(scale.shape)}"
    if scale.ndim != len(shape):
        raise _UnknownFormError(f"has codes {words}")
    sides = [
        _side(size, count, given)
        for size, count, given in zip(shape, scale.shape, _given(block, len(shape)), strict=True)
    ]
    if any(side is None for side in sides):
        raise _UnknownFormError(f"has codes {words}")

    def spread(held: Tensor) -> Tensor:
        for dim, (side, size) in enumerate(zip(sides, shape, strict=True)):
            if side is not None and 1 < side < size:
                held = held.repeat_interleave(side, dim).narrow(dim, 0, size)
        return held

    return spread


def _given(block: Sequence[int] | None, dims: int) -> list[int | None]:
    """The sides of a block along each dimension, where they are told: of the last ones."""
    sides: list[int | None] = list(block or ())
    return [*[None] * (dims - len(sides)), *sides[-dims:]]


def _side(size: int, count: int, given: int | None) -> int | None:
    """How many codes along a dimension share a scale, of which there are so many."""
    if count in (1, size):
        return size // count
    if given:
        return given if count == -(-size // given) else None
    if count == -(-size // BLOCK):
        return BLOCK
    sides = {side for side in _USUAL_SIDES if count == -(-size // side)}
    if size % count == 0:
        sides.add(size // count)
    return sides.pop() if len(sides) == 1 else None


def _is_scale(name: str, weights: Mapping[str, object]) -> bool:
    """Whether it is a scale itself, of whatever type, or of activations."""
    owners = (name.removesuffix(end) for end in ("_scale", "_scale_inv", "_zero_point", ".scale"))
    own = any(owner != name and owner in weights for owner in owners)
    return own or bool(_ASIDE.search(name))


def _scaled(weights: Iterable[str]) -> dict[str, str]:
    """Which modules have something beside their weight that is called a scale, of any spelling."""
    parted = ((name, *name.rpartition(".")) for name in weights)
    return {
        module: name
        for name, module, _, last in parted
        if _CALLED_SCALE.search(last) and not _ASIDE.search(last)
    }


def _elsewhere(name: str, called_scale: Iterable[str]) -> str | None:
    """What is called a scale of this weight, though it is not kept beside it."""
    layer = re.escape(name.removesuffix(".weight")).replace(r"\.", "[._]")
    of_layer = re.compile(rf"(?:^|[._]){layer}(?:[._]|$)")
    rests = ((other, of_layer.sub("", other)) for other in called_scale if other != name)
    return next((o for o, rest in rests if o != rest and _CALLED_SCALE.search(rest)), None)


def _called(form: str, name: str) -> str:
    return form.format(weight=name, base=name.removesuffix(".weight"))


def _named(forms: Sequence[str], name: str, weights: Mapping[str, Tensor]) -> list[str]:
    """What of these stands beside a weight, each once."""
    names: Iterator[str] = (_called(form, name) for form in forms)
    return [other for other in dict.fromkeys(names) if other in weights]
