"""Which linear maps a model holds, and which of them are wanted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy

from svr_widget.engine.errors import (
    NoMapsError,
    SVRError,
    UnsupportedLayerError,
    nearest_name,
)
from svr_widget.engine.parts import Layer, Part, layer_of, parts_of

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)

Globs = str | Iterable[str] | None


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``.

    A model that is itself one map comes back as a ``Sequential`` that holds it, so that the map
    has a name.
    """
    while True:
        if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            nameless = any(not part.name for part in parts_of(model))
            return nn.Sequential(model) if nameless else model


def find_parts(model: nn.Module, include: Globs = None, exclude: Globs = None) -> dict[str, Part]:
    """The linear maps of a model by name, in order of definition.

    Args:
        model: the model; see ``unwrap`` for wrapped ones.
        include: globs over qualified names; a glob that matches a module takes everything beneath.
        exclude: likewise; also matches single parameters (``"encoder.position"``).

    Raises:
        UnsupportedLayerError: a module holds weights of two or more dimensions and is neither a
            known map nor a normalisation, or its weights have no values.
        NoMapsError: nothing is left.
        SVRError: a glob matches nothing.
    """
    selection = Selection(include, exclude)
    found: dict[str, Part] = {}
    names = [name for name, _ in (*model.named_modules(), *model.named_parameters())]
    inside: list[tuple[str, Layer]] = []
    for path, module in model.named_modules():
        if any(
            _owns(layer, path.removeprefix(above))
            for above, layer in inside
            if path.startswith(above)
        ):
            continue
        layer = layer_of(module)
        if layer is not None:
            inside.append((f"{path}." if path else "", layer))
            parts = parts_of(module, path)
            names += (part.name for part in parts)
            chosen = [part for part in parts if selection(part.name, _join(path, part.parameter))]
            for part in chosen:
                part.check()
            if chosen:
                _check_own_weights(path, module, layer, parts)
            found |= {part.name: part for part in chosen}
        elif selection(path) and not isinstance(module, _NORMS):
            _check_not_a_map(path, module, selection)
    selection.check(names)
    if not found:
        types = sorted({type(module).__name__ for module in model.modules()})
        raise NoMapsError(
            f"{type(model).__name__} has no linear map to decompose (found only "
            f"{', '.join(types)}{selection.described()}); it needs a Linear, convolution, "
            "embedding, attention or recurrent layer"
        )
    return found


def _owns(layer: Layer, beneath: str) -> bool:
    """Whether what lies beneath a layer's module belongs to the layer's own maps."""
    return bool(beneath) and beneath.split(".")[0] not in layer.children


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class Selection:
    """Which names ``include`` and ``exclude`` globs choose; remembers which globs ever matched."""

    def __init__(self, include: Globs, exclude: Globs) -> None:
        self.include, self.exclude = _globs(include), _globs(exclude)

    def __call__(self, *names: str) -> bool:
        """Whether a module, parameter or map of these names is chosen."""
        wanted = not self.include or any(matches(name, self.include) for name in names)
        return wanted and not any(matches(name, self.exclude) for name in names)

    def check(self, names: Iterable[str]) -> None:
        """Raise ``SVRError`` for a glob that matches none of the names."""
        known = [name for name in names if name]
        for keyword, globs in (("include", self.include), ("exclude", self.exclude)):
            for glob in globs:
                if not any(matches(name, (glob,)) for name in known):
                    raise SVRError(f"{keyword}={glob!r} matches no name{nearest_name(glob, known)}")

    def described(self) -> str:
        """The globs as part of a sentence, empty where there are none."""
        parts = [("include", self.include), ("exclude", self.exclude)]
        return "".join(f"; {word}={list(globs)}" for word, globs in parts if globs)


def _globs(globs: Globs) -> tuple[str, ...]:
    if globs is None:
        return ()
    return (globs,) if isinstance(globs, str) else tuple(globs)


def matches(name: str, globs: Sequence[str]) -> bool:
    """Whether a glob matches the name or one of the modules that it lies in.

    Brackets stand for themselves (``"attn.in_proj[q]"``) or for a choice of characters.
    """
    steps = name.split(".")
    ancestry = [".".join(steps[: n + 1]) for n in range(len(steps))] + [name.partition("[")[0]]
    patterns = {pattern for glob in globs for pattern in (glob, glob.replace("[", "[[]"))}
    return any(fnmatchcase(ancestor, glob) for ancestor in ancestry for glob in patterns)


def _check_own_weights(path: str, module: nn.Module, layer: Layer, parts: Sequence[Part]) -> None:
    """Refuse a map whose subclass computes with further weights (an adapter, for instance)."""
    known = frozenset[str]().union(*(part.tensors | part.absorbed for part in parts))
    for own, parameter in module.named_parameters():
        if own in known or own.split(".")[0] in {"parametrizations", *layer.children}:
            continue
        if _extent(parameter) >= 2:
            raise UnsupportedLayerError(
                f"{path!r} ({type(module).__name__}) holds the further weight {own!r} of shape "
                f"{tuple(parameter.shape)}, so its effective weight is not known; merge it into "
                f"the weight, or leave the layer out with exclude={path!r}"
            )


def _check_not_a_map(name: str, module: nn.Module, selection: Selection) -> None:
    layer = f"{name or 'the model'!s} ({type(module).__name__})"
    if isinstance(module, torch.jit.ScriptModule):
        raise UnsupportedLayerError(
            f"{layer} is compiled to TorchScript, which does not tell its layers; give the model "
            "as it was before it was scripted or traced"
        )
    for own, parameter in module.named_parameters(recurse=False):
        qualified = _join(name, own)
        if selection(qualified) and (is_lazy(parameter) or _extent(parameter) >= 2):
            shape = "not yet known" if is_lazy(parameter) else str(tuple(parameter.shape))
            raise UnsupportedLayerError(
                f"{layer} holds the weight {own!r} (shape {shape}), and no linear-map form of this "
                f"layer is known; leave it out with exclude={name or qualified!r}, or exclude="
                f"{qualified!r} if this parameter is no linear map (an additive constant)"
            )
    for own in _packed(module):
        raise UnsupportedLayerError(
            f"{layer} packs its weight into {own!r} in a form that is not known here; load the "
            f"model without quantisation, or leave the layer out with exclude={name!r}"
        )


def _packed(module: nn.Module) -> Iterator[str]:
    """Where a quantised layer keeps its weight: codes in a buffer, an object, behind a method."""
    for own, buffer in module.named_buffers(recurse=False):
        if "weight" in own and _extent(buffer) >= 2 and not buffer.is_floating_point():
            yield own
    yield from (own for own, value in vars(module).items() if isinstance(value, torch.ScriptObject))
    if callable(getattr(module, "weight", None)):
        yield "weight"


def _extent(parameter: Tensor) -> int:
    """Dimensions of a parameter that are more than 1 long: two make a matrix."""
    return 0 if is_lazy(parameter) else sum(size > 1 for size in parameter.shape)
