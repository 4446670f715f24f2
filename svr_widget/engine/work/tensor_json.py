"""The engine's dataclasses as JSON beside named tensors, and back.

A tensor keeps its order of dimensions in memory, because the last bit of a matrix product depends
on it. One that is the same memory as another, tied weights and their transposes among them, is
written once and is the same memory again when it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from svr_widget.engine.decompose import Certificate, Decomposition
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import Layout, Link
from svr_widget.engine.maps.stored import StoredTensor

Json = Any

_CLASSES: dict[str, type] = {
    each.__name__: each for each in (LinearMap, Link, Layout, Decomposition, Certificate)
}
_KIND = "is"
_DTYPES = {str(dtype): dtype for dtype in (torch.float32, torch.float64)}


class Writer:
    """Turns values into JSON and collects their tensors.

    Attributes:
        tensors: by name, contiguous.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[object, str] = {}
        # Memory that is freed may be given to another tensor, which would pass for the first.
        self._kept: list[Tensor] = []

    def __call__(
        self, value: object, name: str, *, shapes_only: frozenset[str] = frozenset()
    ) -> Json:
        """A value as JSON.

        Args:
            value: a dataclass of the engine, a tensor, a tuple or list of such, or what JSON has.
            name: what its tensors are called, by their field: ``"map.3.weight"``.
            shapes_only: fields of a dataclass whose tensors are left out but for their shape.

        Raises:
            TypeError: a value of another type.
        """
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, tuple | list):
            return [self(each, f"{name}.{place}") for place, each in enumerate(value)]
        if isinstance(value, Tensor):
            return self._tensor(value, name)
        if is_dataclass(value) and type(value).__name__ in _CLASSES:
            record: dict[str, Json] = {_KIND: type(value).__name__}
            for field in fields(value):
                held = getattr(value, field.name)
                if field.name in shapes_only:
                    held = tuple(each.to("meta") for each in held)
                record[field.name] = self(held, f"{name}.{field.name}")
            return record
        raise TypeError(f"{name}: a {type(value).__name__} cannot be saved")

    def _tensor(self, tensor: Tensor, name: str) -> Json:
        order = order_of(tensor)
        stored = tensor.detach().permute(order)
        if tensor.is_meta:
            shape, dtype = list(stored.shape), str(tensor.dtype)
            return {_KIND: "shape", "of": shape, "dtype": dtype, "order": order}
        stored = stored.contiguous()
        self._kept += [tensor, stored]
        # One that is read whenever it is needed lies at another place each time.
        place = id(tensor.root) if isinstance(tensor, StoredTensor) else stored.data_ptr()
        key = place, tuple(stored.shape), stored.dtype
        if key not in self._names:
            self._names[key] = name
            self.tensors[name] = stored
        return {_KIND: "tensor", "name": self._names[key], "order": order}


def read(record: Json, tensor: Callable[[str], Tensor]) -> Any:
    """The value behind JSON; lists come back as tuples.

    Args:
        record: as ``Writer`` made it.
        tensor: gives the tensor of a name.

    Raises:
        KeyError, TypeError, ValueError: it is none that ``Writer`` makes.
    """
    if isinstance(record, list):
        return tuple(read(each, tensor) for each in record)
    if not isinstance(record, dict):
        return record
    held = dict(record)
    kind = held.pop(_KIND)
    if kind == "tensor":
        return ordered(tensor(held["name"]), held["order"])
    if kind == "shape":
        empty = torch.empty(held["of"], dtype=_DTYPES[held["dtype"]], device="meta")
        return ordered(empty, held["order"])
    return _CLASSES[kind](**{name: read(each, tensor) for name, each in held.items()})


def order_of(tensor: Tensor) -> list[int]:
    """The dimensions of a tensor as they follow each other in memory, the slowest first."""
    strides = torch.tensor(tensor.stride(), dtype=torch.int64)
    order: list[int] = strides.argsort(descending=True, stable=True).tolist()
    return order


def ordered(stored: Tensor, order: list[int]) -> Tensor:
    """The tensor whose dimensions were brought into this order."""
    return stored.permute([order.index(dim) for dim in range(len(order))])
