"""A model's skeleton and a file of its weights, put together: ``SVR(model, weights="file")``.

The skeleton says what the layers are and how they are joined; its own values do not matter, and
it may lie on the meta device, where it takes no memory. The names of the file find their places by
the model's own way of loading them (``load_state_dict``), so that parametrisations, tied weights
and renamed layers come out as they do there. Nothing is copied: tensors of the model's precision
are mapped from the file, others are read, in that precision, whenever a map needs them.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from svr_widget.engine.environment.mapped_files import MappedFiles
from svr_widget.engine.errors import (
    NoMapsError,
    SVRError,
    UnsupportedLayerError,
    WidthMismatchError,
    listed,
)
from svr_widget.engine.maps.layer_kinds import parts_of
from svr_widget.engine.maps.names import bare, paired
from svr_widget.engine.maps.stored import StoredTensor, has_values, in_memory
from svr_widget.engine.maps.weights import named_tensors
from svr_widget.engine.model.find_maps import Globs, globs, matches, unwrap
from svr_widget.engine.model.tensors import put
from svr_widget.engine.network.bare_weights.given import of_mapping
from svr_widget.engine.network.checkpoints.configuration import configuration
from svr_widget.engine.network.checkpoints.skeletons import (
    Skeleton,
    as_its_library_loads,
    skeleton,
)
from svr_widget.engine.network.checkpoints.together import Together, numbers
from svr_widget.engine.network.checkpoints.weight_norm import as_kept_by
from svr_widget.engine.network.weight_files import read_weights


class Filled(NamedTuple):
    """A model with the weights of a file.

    Attributes:
        model: of the skeleton's modules, but not the skeleton, which is not touched.
        without: the maps that the file holds no weight of.
        notes: what is missing and what is left over.
        files: where the weights stay; None for a mapping.
    """

    model: nn.Module
    without: tuple[str, ...]
    notes: tuple[str, ...]
    files: MappedFiles | None = None


def filled(
    model: nn.Module, weights: str | os.PathLike[str] | Mapping[str, object], exclude: Globs
) -> Filled:
    """A model with the weights of a file, or of a mapping.

    Raises:
        TypeError: they are neither.
    """
    if isinstance(weights, Mapping):
        given = of_mapping(weights)
        found = _numbers(given.named, exclude)
        made = fill(unwrap(model), found.weights, given.called, exclude)
        return made._replace(notes=(*given.notes, *found.notes, *made.notes))
    if not isinstance(weights, str | os.PathLike):
        raise TypeError(
            "weights= takes the path of a file or folder, or a mapping from names to tensors, not "
            f"{type(weights).__name__}"
        )
    files = MappedFiles(Path(weights))
    file = read_weights(Path(weights))
    found = _numbers(file.weights, exclude, Path(weights))
    made = fill(unwrap(model), found.weights, file.title, exclude)
    return made._replace(notes=(*file.notes, *found.notes, *made.notes), files=files)


def _numbers(weights: Mapping[str, Tensor], exclude: Globs, path: Path | None = None) -> Together:
    """Weights of which codes have become dense numbers; those of excluded names are gone."""

    def wanted(name: str) -> bool:
        return not matches(bare(name), globs(exclude))

    found = numbers(weights, wanted, path)
    kept = {
        name: _dense(each) for name, each in found.weights.items() if wanted(name) or each.ndim < 2
    }
    return Together(kept, found.notes)


def _dense(weight: Tensor) -> Tensor:
    """A weight that a model can hold: quantised and sparse ones are made so when they are read."""
    if weight.is_quantized:
        form = torch.empty(weight.shape, dtype=torch.float32, device="meta")
        return StoredTensor(form, weight.dequantize)
    if weight.layout != torch.strided:
        form = torch.empty(weight.shape, dtype=weight.dtype, device="meta")
        return StoredTensor(form, weight.to_dense)
    return weight


def described(path: Path) -> Skeleton:
    """The model that the configuration in a folder of weights describes."""
    try:
        if not path.is_dir() or configuration(path, "config.json") is None:
            return Skeleton(None)
    except OSError:  # which reading it tells
        return Skeleton(None)
    return skeleton(path, read_weights(path).weights)


def fill(
    skeleton: nn.Module, weights: Mapping[str, Tensor], title: str, exclude: Globs = None
) -> Filled:
    """A model like the skeleton that holds these weights.

    Args:
        skeleton: the model, inside its wrappers.
        weights: by name; wrappers may have added to the names.
        title: what to call the weights.
        exclude: globs over names that are left out, whose shapes may differ.

    Raises:
        SVRError: the names fit in several ways; the skeleton cannot be copied or loaded.
        WidthMismatchError: shapes that differ, all of them.
        UnsupportedLayerError: weights that are codes without scales, or complex.
        NoMapsError: not one map of the model has its weight there, or the names have nothing in
            common.
    """
    model = _empty_copy(skeleton)
    weights = as_kept_by(as_its_library_loads(model, weights), _state(model))
    names = _check_shapes(model, _names(model, weights, title), weights, title, exclude)
    before = _by_tensor(model)
    given = {own: weights[other] for own, other in names.items()}
    absent, unused = _load(model, given, title)
    apart = _tie(model, before)
    on_meta = {name for name, tensor in named_tensors(model) if not has_values(tensor)}
    without = _without_weights(model, on_meta, weights, title)
    buffers = {name for name, _ in model.named_buffers()}  # which may have the skeleton's values
    missing = sorted(name for name in absent if name in on_meta | buffers)
    left_out = ""
    if without:
        left_out = f"; left out for that: {listed([repr(name) for name in without], shown=2)}"
    notes = [
        *_told(missing, "the model", title, left_out),
        *_told([names[own] for own in unused], title, "the model"),
    ]
    if apart:
        some = listed([repr(name) for name in apart], shown=2)
        notes.append(f"one tensor in the model, and different ones in {title}, as here: {some}")
    return Filled(model, without, tuple(notes))


def _told(names: Sequence[str], here: str, there: str, then: str = "") -> Iterator[str]:
    """One sentence that says how many tensors there are, and two of them."""
    if names:
        some = listed([repr(name) for name in names], shown=2)
        plural = f"{len(names):,} tensors of {here} are" if len(names) > 1 else f"1 of {here} is"
        yield f"{plural} not in {there}: {some}{then}"


def _empty_copy(skeleton: nn.Module) -> nn.Module:
    """A copy whose parameters are on the meta device; its buffers are on the CPU, or there too."""
    memo: dict[int, Any] = {}
    for parameter in skeleton.parameters():
        if not is_lazy(parameter):
            form = torch.empty_like(parameter, device="meta")
            memo[id(parameter)] = nn.Parameter(form, parameter.requires_grad)
    for module in skeleton.modules():  # what was computed from them cannot be copied
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach()
    try:
        model = copy.deepcopy(skeleton, memo)
    except Exception as error:  # whatever the classes of its modules raise
        raise SVRError(
            f"{type(skeleton).__name__} cannot be copied ({error}), as is needed to fill it from "
            "a file; load the file into it, and give the model without weights="
        ) from error
    for module in model.modules():
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.device.type not in ("cpu", "meta"):
                put(module, name, buffer.cpu())
    return model


def _names(model: nn.Module, weights: Mapping[str, Tensor], title: str) -> dict[str, str]:
    """The names of the file by what the model calls them.

    Names that it does not know come last, as it would call them: its own way of loading may know
    them, as those of an earlier version of a layer.
    """
    own = {name: tuple(tensor.shape) for name, tensor in _state(model).items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    pairing = paired(own, theirs)
    if pairing.undecided:
        first, second, *_ = (repr(prefix) for prefix in pairing.undecided)
        raise SVRError(
            f"the weights in {title} fit {type(model).__name__} under {first} as well as under "
            f"{second}: read them into a mapping, and give SVR(model, weights={{name: value for "
            f"name, value in mapping.items() if name.startswith({first})}})"
        )
    if not pairing.pairs:
        raise NoMapsError(
            f"{type(model).__name__} and {title} have no name in common: the model has "
            f"{listed([repr(name) for name in own], shown=3)}, {title} "
            f"{listed([repr(name) for name in theirs], shown=3) or 'none'}; give the model that "
            "they belong to, or a mapping with the names of this one"
        )
    used, (mine, other) = set(pairing.pairs.values()), pairing.added
    found = dict(pairing.pairs)
    for name in theirs:
        if name not in used:
            called = mine + bare(name).removeprefix(other)
            found[name if called in own or called in found else called] = name
    return found


def _state(model: nn.Module) -> dict[str, Tensor]:
    """What is kept of a model, by name; layers may keep texts and numbers besides."""
    held = model.state_dict(keep_vars=True)
    return {name: tensor for name, tensor in held.items() if isinstance(tensor, Tensor)}


def _check_shapes(
    model: nn.Module,
    names: Mapping[str, str],
    weights: Mapping[str, Tensor],
    title: str,
    exclude: Globs,
) -> dict[str, str]:
    """The names of what the model can hold: what is excluded may be of another shape."""
    own = _state(model)
    differing = {
        name: f"{name!r} {_shape(own[name])} is {_shape(weights[other])} there"
        for name, other in names.items()
        if name in own and own[name].shape != weights[other].shape
        if not is_lazy(own[name])
    }
    misfits = {name: told for name, told in differing.items() if not matches(name, globs(exclude))}
    fitting = {name: other for name, other in names.items() if name not in differing}
    for name, other in fitting.items():
        if name in own and weights[other].is_complex() and not own[name].is_complex():
            raise UnsupportedLayerError(
                f"{other!r} of {title} is complex, and the model is real; give the real form of "
                f"it, or leave the layer out with exclude={bare(other).removesuffix('.weight')!r}"
            )
        codes = not (weights[other].is_floating_point() or weights[other].is_complex())
        if name in own and own[name].is_floating_point() and codes:
            raise UnsupportedLayerError(
                f"{other!r} of {title} is of type {weights[other].dtype}: codes and no numbers, "
                "with no scale beside them; give the weights as they were before they were "
                f"quantised, or leave the layer out with exclude={bare(other)!r}"
            )
    if misfits:
        modules = list(dict.fromkeys(name.rpartition(".")[0] or name for name in misfits))
        rest = f", or leave out what differs with exclude={modules}" if len(modules) < 4 else ""
        raise WidthMismatchError(
            f"{title} is of another {type(model).__name__}: "
            f"{listed(list(misfits.values()), shown=12)}; make the model with the sizes of the "
            f"file{rest}"
        )
    return fitting


def _load(
    model: nn.Module, weights: Mapping[str, Tensor], title: str
) -> tuple[list[str], list[str]]:
    """Put the weights where ``load_state_dict`` puts them.

    Returns:
        The names of the model that it did not find, and those of the file that it did not use.
    """
    own, buffers = _state(model), {name for name, _ in model.named_buffers()}
    stand_ins: dict[int, Tensor] = {}
    given: dict[str, Tensor] = {}
    for name, weight in weights.items():
        dtype = own[name].dtype if name in own else None
        if dtype in (None, weight.dtype) and not isinstance(weight, StoredTensor):
            given[name] = weight
        elif weight.ndim < 2 or name in buffers:  # small, and needed for the links
            given[name] = weight.to(dtype)
        else:
            given[name] = torch.empty(weight.shape, dtype=dtype or weight.dtype, device="meta")
            stand_ins[given[name].untyped_storage()._cdata] = _stored(given[name], weight)
    try:
        absent, unused = model.load_state_dict(given, strict=False, assign=True)
    except Exception as error:  # whatever the model's own way of loading raises
        raise SVRError(
            f"{type(model).__name__} could not take the weights of {title} ({error!r}); load them "
            "into it by its own library, and give the model without weights="
        ) from error
    for module in model.modules():
        for name, tensor in (*module._parameters.items(), *module._buffers.items()):
            if tensor is not None and tensor.is_meta:
                stored = stand_ins.get(tensor.untyped_storage()._cdata)
                if stored is not None:
                    put(module, name, stored)
    return absent, unused


def _stored(form: Tensor, weight: Tensor) -> StoredTensor:
    return StoredTensor(form, lambda: weight.to(form.dtype))


def _by_tensor(model: nn.Module) -> list[list[tuple[nn.Module, str]]]:
    """Where the model holds each of its parameters; tied ones have several places."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                places.setdefault(id(parameter), []).append((module, name))
    return list(places.values())


def _tie(model: nn.Module, places: Iterable[Sequence[tuple[nn.Module, str]]]) -> list[str]:
    """Let parameters that were one be one again: a file holds it under one of its names.

    Returns:
        The names of those that are not, for the file holds different ones.
    """
    apart: list[str] = []
    paths = {module: path for path, module in model.named_modules()}
    for tied in places:
        held = [module._parameters.get(name) for module, name in tied]
        filled = [each for each in held if each is not None and has_values(each)]
        if len(filled) > 1 and not _one(filled):
            apart += (f"{paths[module]}.{name}".lstrip(".") for module, name in tied)
            continue
        for module, name in tied if filled and len(tied) > 1 else ():
            put(module, name, filled[-1])
    return apart


def _one(tensors: Sequence[Tensor]) -> bool:
    """Whether all of them are equal; reads them one by one where that has to be looked at."""
    first = in_memory(tensors[0])
    return all(each is tensors[0] or torch.equal(first, in_memory(each)) for each in tensors[1:])


def _without_weights(
    model: nn.Module, on_meta: set[str], weights: Mapping[str, Tensor], title: str
) -> tuple[str, ...]:
    """The maps that the file holds no weight of.

    Raises:
        NoMapsError: that is all of them.
    """
    parts = [part for path, module in model.named_modules() for part in parts_of(module, path)]
    without = [
        part.name
        for part in parts
        if not part.tensors  # packed, in a form that only its own library fills
        or any(
            f"{part.path}.{name}".removeprefix(".") in on_meta
            for name in part.tensors | part.absorbed
        )
    ]
    if without and len(without) == len(parts):
        raise NoMapsError(
            f"{title} holds the weight of no map of {type(model).__name__} "
            f"({listed([repr(name) for name in without])}): it has "
            f"{listed([repr(name) for name in weights])}"
        )
    return tuple(without)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "()"
