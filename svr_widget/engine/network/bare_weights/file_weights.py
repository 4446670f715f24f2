"""Weights that stay in their file, and are read each time that somebody computes with one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from svr_widget.engine.environment.mapped_files import MappedFiles
from svr_widget.engine.maps.linear_map import LinearMap, laid_out
from svr_widget.engine.maps.links import Layout
from svr_widget.engine.maps.stored import Handle, StoredTensor, in_memory
from svr_widget.engine.maps.weights import dense
from svr_widget.engine.network.bare_weights.orientation import Kept


class Place(NamedTuple):
    """A tensor in a safetensors file."""

    path: Path
    tensor: str


@dataclass(frozen=True, eq=False)
class FileWeight(Handle):
    """A weight of a file in canonical form.

    Attributes:
        name: of the map.
        kept: how the file keeps it.
        layout: how the map reads flattened channels, if it does.
        place: where another process finds it; None where only this one has it.
        held: the tensor, mapped from the file; None where the file is opened again.
        files: those that are mapped.
    """

    name: str
    kept: Kept
    layout: Layout | None
    place: Place | None
    held: Tensor | None = None
    files: MappedFiles | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether another process can read it."""
        return self.place is not None

    def values(self) -> Tensor:
        """The values.

        Raises:
            SVRError: the file was written to since it was mapped.
            OSError: there is none of that path.
        """
        if self.files is not None:
            self.files.check()
        held = self.held
        if held is None:
            assert self.place is not None
            with safe_open(self.place.path, framework="pt") as file:
                held = file.get_tensor(self.place.tensor)
        values, kind, *_ = self.kept.read(dense(self.name, in_memory(held)))
        return laid_out(self.name, kind, values, self.layout)[0]

    def __reduce__(self) -> tuple[Any, ...]:
        layout = self.layout and (self.layout.index.numpy(), self.layout.kernel)
        return _file_weight, (self.name, self.kept, layout, self.place)


def _file_weight(name: str, kept: Kept, layout: Any, place: Place) -> FileWeight:
    """What ``FileWeight.__reduce__`` describes."""
    known = layout and Layout(torch.from_numpy(layout[0].copy()), layout[1])
    return FileWeight(name, kept, known, place)


def left_in_file(linear: LinearMap, read: FileWeight) -> LinearMap:
    """A map whose weight, of which the form alone is known, is read by that."""
    return replace(linear, factors=(StoredTensor(linear.factors[0], read),))
