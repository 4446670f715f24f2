"""One weight in canonical form, whatever layer it came from, and where a model keeps its maps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.parameter import is_lazy

from svr_widget.engine.errors import (
    NoMapsError,
    SVRError,
    UnsupportedLayerError,
    nearest_name,
)
from svr_widget.engine.links import Layout
from svr_widget.engine.weights import effective_weight, floating

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.LocalResponseNorm)
# What a map may hold besides its weight: the parts that its effective weight is computed from.
_WEIGHT_PARTS = {"weight", "bias", "weight_orig", "weight_g", "weight_v"}


@dataclass(frozen=True, eq=False)
class LinearMap:
    """One linear map of a network in canonical form (paper, sections 2.2 and 4.2).

    Attributes:
        name: the qualified name of its module.
        kind: ``"linear"``, ``"convolution"``, ``"transposed convolution"`` or ``"embedding"``.
        weight: a copy ``[out, in/groups, *kernel]``, contiguous, on the CPU; float64 where the
            layer's weight is, else float32.
        groups: the map is the direct sum of this many maps of equal shape.
        depth: column of the map in the link graph.
        tied_to: an earlier map that uses the same parameter; ``weight`` is then a view of its
            weight, transposed where this map uses it so (an embedding and its output head).
        input_layout: where the module reads flattened channels x positions: which flat feature
            is which entry of ``weight``'s input side.
        output_layout: the same for a module whose output is unflattened.
    """

    name: str
    kind: str
    weight: Tensor
    groups: int = 1
    depth: int = 0
    tied_to: str | None = None
    input_layout: Layout | None = None
    output_layout: Layout | None = None

    @property
    def out_channels(self) -> int:
        """Output channels of all groups together."""
        return int(self.weight.shape[0])

    @property
    def in_channels(self) -> int:
        """Input channels of all groups together."""
        return int(self.weight.shape[1]) * self.groups

    @property
    def kernel(self) -> tuple[int, ...]:
        """The shape of the kernel; ``()`` for a plain linear map."""
        return tuple(self.weight.shape[2:])

    @property
    def positions(self) -> int:
        """``z``, the number of kernel positions; 1 for a plain linear map."""
        return math.prod(self.kernel)

    def neurons(self, method: str = "svr") -> int:
        """The number of spectral neurons, null ones included."""
        out_side, in_side = self.out_channels // self.groups, int(self.weight.shape[1])
        if method == "cosvr":
            return self.groups * min(out_side * self.positions, in_side)
        return self.groups * min(out_side, in_side * self.positions)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.weight.shape))
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        return f"LinearMap({self.name!r}, {self.kind}, {shape}{groups}, depth={self.depth})"


@dataclass(frozen=True)
class MapKind:
    """How one kind of layer becomes a canonical weight.

    Attributes:
        kind: the noun for it.
        matches: whether a module is of this kind.
        canonical: from the module's effective weight to ``[out, in/groups, *kernel]``.
    """

    kind: str
    matches: Callable[[nn.Module], bool]
    canonical: Callable[[Tensor, nn.Module], Tensor]


def _is_transformers_conv1d(module: nn.Module) -> bool:
    return any(
        base.__name__ == "Conv1D" and base.__module__ == "transformers.pytorch_utils"
        for base in type(module).__mro__
    )


def _transposed_convolution(weight: Tensor, module: nn.Module) -> Tensor:
    groups, kernel = _groups(module), weight.shape[2:]
    split = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], *kernel)
    return split.transpose(1, 2).reshape(groups * weight.shape[1], split.shape[1], *kernel)


def _is(*types: type[nn.Module]) -> Callable[[nn.Module], bool]:
    return lambda module: isinstance(module, types)


KINDS = (
    MapKind("linear", _is(nn.Linear), lambda weight, _: weight),
    MapKind("transposed convolution", _is(_ConvTransposeNd), _transposed_convolution),
    MapKind("convolution", _is(nn.Conv1d, nn.Conv2d, nn.Conv3d), lambda weight, _: weight),
    MapKind("embedding", _is(nn.Embedding), lambda weight, _: weight.T),
    MapKind("linear", _is_transformers_conv1d, lambda weight, _: weight.T),
)


def map_kind(module: nn.Module) -> MapKind | None:
    """The kind of map that a module is, or None."""
    return next((kind for kind in KINDS if kind.matches(module)), None)


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
            return model if map_kind(model) is None else nn.Sequential(model)


def find_map_modules(
    model: nn.Module,
    include: str | Iterable[str] | None = None,
    exclude: str | Iterable[str] | None = None,
) -> dict[str, nn.Module]:
    """The modules of a model that are linear maps, by qualified name, in order of definition.

    Args:
        model: the model; see ``unwrap`` for wrapped ones.
        include: globs over qualified names; a glob that matches a module takes everything beneath.
        exclude: likewise; also matches single parameters (``"encoder.position"``).

    Raises:
        UnsupportedLayerError: a module holds weights of two or more dimensions and is neither a
            known map nor a normalisation.
        NoMapsError: nothing is left.
        SVRError: a glob matches nothing.
    """
    selection = Selection(include, exclude)
    found: dict[str, nn.Module] = {}
    inside: list[str] = []
    for name, module in model.named_modules():
        if any(name.startswith(f"{parent}.") for parent in inside):
            continue
        chosen = selection(name)
        if map_kind(module) is not None:
            inside.append(name)
            if chosen:
                _check_own_weights(name, module)
                found[name] = module
        elif chosen and not isinstance(module, _NORMS):
            _check_not_a_map(name, module, selection)
    selection.check(name for name, _ in (*model.named_modules(), *model.named_parameters()))
    if not found:
        types = sorted({type(module).__name__ for module in model.modules()})
        raise NoMapsError(
            f"{type(model).__name__} has no linear map to decompose (found only "
            f"{', '.join(types)}{selection.described()}); it needs a Linear, convolution or "
            "embedding layer"
        )
    return found


class Selection:
    """Which names ``include`` and ``exclude`` globs choose; remembers which globs ever matched."""

    def __init__(
        self, include: str | Iterable[str] | None, exclude: str | Iterable[str] | None
    ) -> None:
        self.include, self.exclude = _globs(include), _globs(exclude)

    def __call__(self, name: str) -> bool:
        """Whether a module, parameter or map of this name is chosen."""
        wanted = not self.include or _matches(name, self.include)
        return wanted and not _matches(name, self.exclude)

    def check(self, names: Iterable[str]) -> None:
        """Raise ``SVRError`` for a glob that matches none of the names."""
        known = [name for name in names if name]
        for keyword, globs in (("include", self.include), ("exclude", self.exclude)):
            for glob in globs:
                if not any(fnmatchcase(name, glob) for name in known):
                    raise SVRError(f"{keyword}={glob!r} matches no name{nearest_name(glob, known)}")

    def described(self) -> str:
        """The globs as part of a sentence, empty where there are none."""
        parts = [("include", self.include), ("exclude", self.exclude)]
        return "".join(f"; {word}={list(globs)}" for word, globs in parts if globs)


def _globs(globs: str | Iterable[str] | None) -> tuple[str, ...]:
    if globs is None:
        return ()
    return (globs,) if isinstance(globs, str) else tuple(globs)


def _matches(name: str, globs: Sequence[str]) -> bool:
    """Whether a glob matches the name or one of the modules that it lies in."""
    parts = name.split(".")
    ancestry = [".".join(parts[: n + 1]) for n in range(len(parts))]
    return any(fnmatchcase(ancestor, glob) for ancestor in ancestry for glob in globs)


def _check_own_weights(name: str, module: nn.Module) -> None:
    """Refuse a map whose subclass computes with further weights (an adapter, for instance)."""
    for own, parameter in module.named_parameters():
        if own in _WEIGHT_PARTS or own.startswith("parametrizations."):
            continue
        if _extent(parameter) >= 2:
            raise UnsupportedLayerError(
                f"{name!r} ({type(module).__name__}) holds the further weight {own!r} of shape "
                f"{tuple(parameter.shape)}, so its effective weight is not known; merge it into "
                f"the weight, or leave the layer out with exclude={name!r}"
            )


def _check_not_a_map(name: str, module: nn.Module, selection: Selection) -> None:
    layer = f"{name or 'the model'!s} ({type(module).__name__})"
    for own, parameter in module.named_parameters(recurse=False):
        qualified = f"{name}.{own}" if name else own
        if selection(qualified) and (is_lazy(parameter) or _extent(parameter) >= 2):
            shape = "not yet known" if is_lazy(parameter) else str(tuple(parameter.shape))
            raise UnsupportedLayerError(
                f"{layer} holds the weight {own!r} (shape {shape}), and no linear-map form of this "
                f"layer is known; leave it out with exclude={name or qualified!r}, or exclude="
                f"{qualified!r} if this parameter is no linear map (an additive constant)"
            )
    if callable(getattr(module, "weight", None)):
        raise UnsupportedLayerError(
            f"{layer} packs its weight (a quantised layer); load the model before quantisation, or "
            f"leave the layer out with exclude={name!r}"
        )


def _extent(parameter: Tensor) -> int:
    """Dimensions of a parameter that are more than 1 long: two make a matrix."""
    return 0 if is_lazy(parameter) else sum(size > 1 for size in parameter.shape)


def linear_map(
    name: str,
    module: nn.Module,
    input_layout: Layout | None = None,
    output_layout: Layout | None = None,
    depth: int = 0,
) -> LinearMap:
    """A module's effective weight in canonical form; the module is not modified.

    Args:
        name: its qualified name.
        module: a module for which ``map_kind`` is not None.
        input_layout: for a linear map that reads flattened channels x positions: it becomes a
            convolution ``[out, channels, *kernel]``.
        output_layout: for one whose output is unflattened: it becomes a transposed convolution
            ``[channels, in, *kernel]``.
        depth: column of the map in the link graph.

    Raises:
        UnsupportedLayerError: no weight that could be read (meta device, lazy, not floating
            point), or both layouts at once.
        NonFiniteWeightsError: NaN or infinite entries.
    """
    kind = map_kind(module)
    if kind is None:
        raise UnsupportedLayerError(f"{name!r} ({type(module).__name__}) is not a linear map")
    with torch.no_grad():
        weight = floating(name, effective_weight(name, module))
        weight = kind.canonical(weight, module)
        return map_of(name, kind.kind, weight, _groups(module), input_layout, output_layout, depth)


def map_of(
    name: str,
    kind: str,
    weight: Tensor,
    groups: int = 1,
    input_layout: Layout | None = None,
    output_layout: Layout | None = None,
    depth: int = 0,
) -> LinearMap:
    """A ``LinearMap`` that owns a copy of a canonical weight, read through its layouts."""
    if input_layout is not None and output_layout is not None:
        raise UnsupportedLayerError(
            f"{name!r} reads flattened {_grid(input_layout)} and writes flattened "
            f"{_grid(output_layout)}; a map with a kernel on both sides has no SVR: leave it out "
            f"with exclude={name!r}"
        )
    if input_layout is not None:
        channels = input_layout.index.shape[0]
        weight = weight[:, input_layout.index].reshape(-1, channels, *input_layout.kernel)
        kind = "convolution"
    elif output_layout is not None:
        by_channel = weight[output_layout.index].transpose(1, 2)
        weight = by_channel.reshape(*by_channel.shape[:2], *output_layout.kernel)
        kind = "transposed convolution"
    owned = torch.empty(weight.shape, dtype=weight.dtype).copy_(weight)
    return LinearMap(
        name,
        kind,
        owned,
        groups,
        depth,
        input_layout=input_layout,
        output_layout=output_layout,
    )


def _grid(layout: Layout) -> str:
    return "x".join(map(str, (layout.index.shape[0], *layout.kernel)))


def _groups(module: nn.Module) -> int:
    return module.groups if isinstance(module, _ConvNd) else 1
