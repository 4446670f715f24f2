"""What is given, as tensors by name: the weights of a list, a mapping or a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svr_widget.engine.environment.mapped_files import MappedFiles
from svr_widget.engine.network.checkpoints.nesting import DEEPEST, find_weights
from svr_widget.engine.network.weight_files import read_weights


@dataclass(frozen=True, eq=False)
class BareWeights:
    """Weights as they were given.

    Attributes:
        called: what holds them, in words.
        named: by name.
        order: their order in words; of a list empty, for it is a chain as it is.
        known: whether their order is one that somebody chose.
        model: how the model is given instead, as Python.
        title: what to call the network.
        notes: what has to be said about them.
        files: those that they stay in, and are read from when they are needed; None where they are
            the caller's, and are copied.
        places: the safetensors file that each is in as it is, where it is in one.
    """

    called: str
    named: Mapping[str, Tensor]
    order: str = ""
    known: bool = True
    model: str = "SVR(model)"
    title: str = ""
    notes: tuple[str, ...] = ()
    files: MappedFiles | None = None
    places: Mapping[str, Path] = field(default_factory=dict)

    def with_weights(self, named: Mapping[str, Tensor], notes: tuple[str, ...]) -> BareWeights:
        """The same with other weights: those that are no tensors of a file have no place in one."""
        same = {own: path for own, path in self.places.items() if named.get(own) is self.named[own]}
        return replace(self, named=named, notes=notes, places=same)

    @property
    def is_list(self) -> bool:
        """Whether the caller said the order by giving one."""
        return not self.order


def of_list(weights: Sequence[object]) -> BareWeights:
    """The weights of a list.

    Raises:
        TypeError: one of them is no tensor or array.
    """
    named = {}
    for place, weight in enumerate(weights):
        tensor = _array(weight)
        if not isinstance(tensor, Tensor):
            kind = type(weight).__name__
            raise TypeError(f"weight {str(place)!r} is a {kind}, not a tensor or an array")
        named[str(place)] = tensor
    return BareWeights("the list", named)


def of_mapping(weights: Mapping[Any, object]) -> BareWeights:
    """The weights of a mapping, or of the one among others in it.

    Raises:
        NoMapsError: there are none.
        SVRError: there are several mappings of weights, and none has a usual name.
    """
    found = find_weights(_arrays(weights, DEEPEST))
    model = "SVR(model), or SVR(model, weights=path) where they are in a file"
    order = "the order of the mapping"
    return BareWeights("the mapping", found.weights, order, model=model, notes=found.notes)


def of_file(path: Path) -> BareWeights:
    """The weights of a file, or a folder with one; errors as in ``read_weights``."""
    title, weights, notes, ordered, places = read_weights(path)
    files = MappedFiles(path if path.exists() else path.expanduser())
    model = f"SVR(model), or SVR(model, weights={str(path)!r})"
    order = "the order of the file" if ordered else "the order of their names"
    return BareWeights(title, weights, order, ordered, model, title, notes, files, places)


def _array(value: object) -> object:
    """A tensor without its gradient of whatever holds numbers in dimensions; else the value."""
    if isinstance(value, Tensor):
        return value.detach()
    if isinstance(value, list | tuple) and _of_weights(value):
        return value  # several of them, and not one of their rows
    if isinstance(value, list | tuple) or hasattr(value, "__array__"):
        # Not so of texts, of objects, of rows of different lengths.
        with suppress(TypeError, ValueError, RuntimeError):
            array: np.ndarray[Any, Any] = np.array(value)
            return torch.from_numpy(array)
    return value


def _of_weights(value: Sequence[object]) -> bool:
    """Whether tensors or arrays of two dimensions or more are in a list."""
    return any(
        _of_weights(each) if isinstance(each, list | tuple) else getattr(each, "ndim", 0) > 1
        for each in value
    )


def _arrays(given: Mapping[Any, object], levels: int) -> dict[Any, object]:
    """A mapping, and those in it, with tensors for arrays."""
    return {
        key: _arrays(value, levels - 1) if isinstance(value, Mapping) and levels else _array(value)
        for key, value in given.items()
    }
