"""Which linear maps a model holds, and which of them are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

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
from svr_widget.engine.maps.layer_kinds import Layer, layer_of, parts_of
from svr_widget.engine.maps.parts import OTHER_WAY, OwnParameter, Part

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)

Globs = str | Iterable[str] | None


def excluded_modules(model: nn.Module, exclude: Globs) -> tuple[str, ...]:
    """The qualified names of the outermost modules with weights that globs leave out."""
    left_out: list[str] = []
    for path, module in model.named_modules():
        within = any(path.startswith(f"{above}.") for above in left_out)
        if within or not path or not matches(path, globs(exclude)):
            continue
        if any(_extent(parameter) >= 2 for parameter in module.parameters()):
            left_out.append(path)
    return tuple(left_out)


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


class Found(NamedTuple):
    """What a model's parameters are.

    Attributes:
        parts: the linear maps of known layers by name, in order of definition.
        own: parameters of two or more dimensions that belong to no known layer, by qualified name:
            maps where the modules' own code multiplies channels with them.
        chosen: whether a map is wanted, given its name and that of its parameter.
    """

    parts: dict[str, Part]
    own: dict[str, OwnParameter]
    chosen: Callable[..., bool]

    def check(self) -> None:
        """Raise ``UnsupportedLayerError`` where only running the model tells what a layer does."""
        for own in self.own.values():
            if layer_of(own.module) is not None:
                raise _further(own.path, own.module, own.name, own.value)


def find_parts(model: nn.Module, include: Globs = None, exclude: Globs = None) -> Found:
    """The linear maps of a model's layers, and the parameters that may be further ones.

    Args:
        model: the model; see ``unwrap`` for wrapped ones.
        include: globs over qualified names; a glob that matches a module takes everything beneath.
        exclude: likewise; also matches single parameters (``"encoder.position"``).

    Raises:
        UnsupportedLayerError: a map's weight has no values or is computed in an unknown way, or a
            layer is packed or compiled.
        NoMapsError: nothing is left.
        SVRError: a glob matches nothing.
    """
    selection = Selection(include, exclude)
    found: dict[str, Part] = {}
    names = [name for name, _ in (*model.named_modules(), *model.named_parameters())]
    own: dict[str, OwnParameter] = {}
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
            names += (f"{_join(path, part.parameter)}{OTHER_WAY}" for part in parts)
            chosen = [part for part in parts if selection(part.name, _join(path, part.parameter))]
            for part in chosen:
                part.check()
            if chosen:
                for further in _further_weights(path, module, layer, parts):
                    own[further.qualified] = further
            found |= {part.name: part for part in chosen}
        elif not isinstance(module, _NORMS):
            for parameter in _own_parameters(path, module, selection):
                own[parameter.qualified] = parameter
    own = _each_once(own, found.values())
    selection.check([*names, *(name for each in own.values() for name in _called(each))])
    if not found and not own:
        types = sorted({type(module).__name__ for module in model.modules()})
        raise NoMapsError(
            f"{type(model).__name__} has no linear map to decompose (found only "
            f"{', '.join(types)}{selection.described()}); it needs a Linear, convolution, "
            "embedding, attention or recurrent layer"
        )
    return Found(found, own, selection)


def _owns(layer: Layer, beneath: str) -> bool:
    """Whether what lies beneath a layer's module belongs to the layer's own maps."""
    return bool(beneath) and beneath.split(".")[0] not in layer.children


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class Selection:
    """Which names ``include`` and ``exclude`` globs choose; remembers which globs ever matched."""

    def __init__(self, include: Globs, exclude: Globs) -> None:
        self.include, self.exclude = globs(include), globs(exclude)

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


def globs(given: Globs) -> tuple[str, ...]:
    """Globs as a tuple, however they are given."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def matches(name: str, globs: Sequence[str]) -> bool:
    """Whether a glob matches the name or one of the modules that it lies in.

    Brackets stand for themselves (``"attn.in_proj[q]"``) or for a choice of characters.
    """
    steps = name.split(".")
    ancestry = [".".join(steps[: n + 1]) for n in range(len(steps))] + [name.partition("[")[0]]
    patterns = {pattern for glob in globs for pattern in (glob, glob.replace("[", "[[]"))}
    return any(fnmatchcase(ancestor, glob) for ancestor in ancestry for glob in patterns)


def _further_weights(
    path: str, module: nn.Module, layer: Layer, parts: Sequence[Part]
) -> Iterator[OwnParameter]:
    """The parameters that a subclass of a known layer computes with beside the layer's own.

    Raises:
        UnsupportedLayerError: a module beneath it has them.
    """
    known = frozenset[str]().union(*(part.tensors | part.absorbed for part in parts))
    for own, parameter in module.named_parameters():
        if own in known or own.split(".")[0] in {"parametrizations", *layer.children}:
            continue
        if _extent(parameter) < 2:
            continue
        if "." not in own:
            yield OwnParameter(module, path, own)
            continue
        raise _further(path, module, own, parameter)


def _further(path: str, module: nn.Module, own: str, parameter: Tensor) -> UnsupportedLayerError:
    return UnsupportedLayerError(
        f"{path!r} ({type(module).__name__}) holds the further weight {own!r} of shape "
        f"{tuple(parameter.shape)}, so its effective weight is not known; merge it into the "
        f"weight, or leave the layer out with exclude={path!r}"
    )


def _own_parameters(path: str, module: nn.Module, selection: Selection) -> Iterator[OwnParameter]:
    """The parameters of an unknown layer that may be linear maps."""
    layer = f"{path or 'the model'!s} ({type(module).__name__})"
    scripted = isinstance(module, torch.jit.ScriptModule)
    if scripted and not any(_extent(parameter) >= 2 for parameter in module.parameters()):
        return
    if scripted and not selection(path):
        return
    if scripted:
        raise UnsupportedLayerError(
            f"{layer} is compiled to TorchScript, which does not tell its layers; give the model "
            "as it was before it was scripted or traced"
        )
    for name, parameter in module.named_parameters(recurse=False):
        own = OwnParameter(module, path, name)
        names = _called(own)
        if not any(selection(each, own.qualified) for each in names):
            continue
        if is_lazy(parameter):
            raise UnsupportedLayerError(
                f"{layer} holds the weight {name!r}, which is lazy and has no shape yet; run the "
                f"model once, or leave the layer out with exclude={path or own.qualified!r}"
            )
        if _extent(parameter) >= 2:
            yield own
    for name in _packed(module) if selection(path) else ():
        raise UnsupportedLayerError(
            f"{layer} packs its weight into {name!r} in a form that is not known here; load the "
            f"model without quantisation, or leave the layer out with exclude={path!r}"
        )


def _each_once(own: dict[str, OwnParameter], parts: Iterable[Part]) -> dict[str, OwnParameter]:
    """Tensors under their first names, without those that belong to a known layer as well."""
    seen = {id(part.held) for part in parts}
    kept = {}
    for name, parameter in own.items():
        if id(parameter.value) not in seen:
            kept[name] = parameter
            seen.add(id(parameter.value))
    return kept


def _called(own: OwnParameter) -> list[str]:
    """What maps of a parameter may be called; that of all of it first."""
    names = [own.called()]
    if not is_lazy(own.value) and own.value.ndim > 2:
        names += (own.called(f"[{at}]") for at in range(own.value.shape[0]))
    return names


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
