"""Where a model keeps its linear maps: which output channels of which parameter of which module."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from svr_widget.engine.errors import UnsupportedLayerError
from svr_widget.engine.maps.weights import (
    WeightReader,
    check_readable,
    check_together,
    effective_weight,
    floating,
    named_tensors,
    tensors_behind,
)

Application = Literal["matrix", "convolution", "transposed convolution", "lookup"]


@dataclass(frozen=True)
class MapKind:
    """How a map is applied and how its parameter is kept.

    Attributes:
        noun: what to call it.
        application: a product with a matrix, a convolution, or a look-up of rows.
        transposed: the parameter is kept ``[in, out/groups, *kernel]``, where others are
            ``[out, in/groups, *kernel]``.
    """

    noun: str
    application: Application
    transposed: bool = False

    def canonical(self, weight: Tensor, groups: int) -> Tensor:
        """A parameter of this kind as ``[out, in/groups, *kernel]``."""
        if not self.transposed:
            return weight
        inputs, outputs, *kernel = weight.shape
        split = weight.reshape(groups, inputs // groups, outputs, *kernel).transpose(1, 2)
        return split.reshape(groups * outputs, inputs // groups, *kernel)

    def kept(self, weight: Tensor, groups: int) -> Tensor:
        """The inverse of ``canonical``, which is the same exchange of inputs and outputs."""
        return self.canonical(weight, groups)


LINEAR = MapKind("linear", "matrix")
LINEAR_TRANSPOSED = MapKind("linear", "matrix", transposed=True)
CONVOLUTION = MapKind("convolution", "convolution")
TRANSPOSED_CONVOLUTION = MapKind("transposed convolution", "transposed convolution", True)
EMBEDDING = MapKind("embedding", "lookup", transposed=True)

OTHER_WAY = "[T]"
"""What the name of a parameter gets for the map that it is when used the other way round."""


@dataclass(frozen=True)
class Matrix:
    """Which matrix of a parameter of any shape a map is.

    Attributes:
        at: for each dimension of the parameter the place along it, None where the matrix lies.
        outputs: the dimensions that are its output channels, flattened in this order.
        inputs: those that are its input channels.
    """

    at: tuple[int | None, ...]
    outputs: tuple[int, ...]
    inputs: tuple[int, ...]

    @property
    def swapped(self) -> Matrix:
        """The same entries, used the other way round."""
        return replace(self, outputs=self.inputs, inputs=self.outputs)

    @property
    def place(self) -> str:
        """Where it lies, as Python indexes it: ``"[3]"``; empty for all of a parameter."""
        along = [":" if at is None else str(at) for at in self.at]
        while along and along[-1] == ":":
            along.pop()
        return f"[{','.join(along)}]" if along else ""

    def of(self, parameter: Tensor) -> Tensor:
        """``[out, in]``, the matrix in a parameter."""
        view = self.view(parameter)
        shape = view.shape[: len(self.outputs)]
        return view.reshape(shape.numel(), -1)

    def write(self, parameter: Tensor, weight: Tensor) -> None:
        """Put ``[out, in]`` into a parameter."""
        view = self.view(parameter)
        view.copy_(weight.reshape(view.shape))

    def view(self, parameter: Tensor) -> Tensor:
        """``[*outputs, *inputs]``, in the parameter's own memory."""
        view = parameter[tuple(slice(None) if at is None else at for at in self.at)]
        left = [dim for dim, at in enumerate(self.at) if at is None]
        return view.permute([left.index(dim) for dim in (*self.outputs, *self.inputs)])


@dataclass(frozen=True, eq=False)
class OwnParameter:
    """A parameter of no known layer, with which a module's own code does what it likes.

    Attributes:
        module: the module that holds it.
        path: the module's qualified name.
        name: the parameter's name in it.
    """

    module: nn.Module
    path: str
    name: str

    @property
    def qualified(self) -> str:
        """Its qualified name."""
        return ".".join(filter(None, (self.path, self.name)))

    @property
    def value(self) -> Tensor:
        """The parameter itself."""
        held: Tensor = getattr(self.module, self.name)  # may be a stored one, which is no Parameter
        return held

    def called(self, place: str = "") -> str:
        """The name of a map of it: of all of it, or of the matrix at a place.

        All of a ``weight`` goes by its module's name, as that of a layer does.
        """
        whole = self.name == "weight" and not place and self.path
        return self.path if whole else f"{self.qualified}{place}"


@dataclass(frozen=True, eq=False)
class Part:
    """Output channels that one parameter of a module writes: one linear map.

    Most modules hold one map, all of their ``weight``, which goes by their name. Others pack
    several: the queries, keys and values of attention, the gates of a recurrent layer.

    Attributes:
        module: the module.
        path: its qualified name.
        parameter: the name of its parameter.
        kind: how it is applied and kept.
        inputs: how many channels it reads.
        rows: which of the output channels of the parameter are this map's.
        total: how many output channels the parameter writes.
        groups: the map is the direct sum of this many maps of equal shape.
        suffix: what the map's name adds to the module's: ``"in_proj[q]"``; empty for an only map.
        reader: from the map's name, the module and the parameter's name to the effective weight.
        absorbed: names of the module's further tensors that the effective weight accounts for.
        refusal: why the effective weight is not known, where it is not.
        matrix: which matrix of the parameter it is, where a module's own code multiplies with it.
    """

    module: nn.Module
    path: str
    parameter: str
    kind: MapKind
    inputs: int
    rows: range
    total: int
    groups: int = 1
    suffix: str = ""
    reader: WeightReader = field(default=effective_weight, repr=False)
    absorbed: frozenset[str] = frozenset()
    refusal: str = ""
    matrix: Matrix | None = None

    @property
    def name(self) -> str:
        """The map's name."""
        return ".".join(filter(None, (self.path, self.suffix)))

    @property
    def outputs(self) -> int:
        """How many channels it writes."""
        return len(self.rows)

    @property
    def kernel(self) -> tuple[int, ...]:
        """The extents of a convolution's kernel that are more than 1; ``()`` for a matrix."""
        own = () if self.held is None else self.held.shape[2:]
        sizes = getattr(self.holder, "kernel_size", own)
        convolves = self.kind.application not in ("matrix", "lookup")
        return tuple(n for n in sizes if n > 1) if convolves else ()

    @property
    def tensors(self) -> frozenset[str]:
        """The names in the module of the tensors that the parameter is or is computed from."""
        return tensors_behind(self.module, self.parameter)

    @property
    def holder(self) -> nn.Module:
        """The module that holds the parameter: the layer inside, where an adapter wraps it."""
        return self.module.get_submodule(self.parameter.rpartition(".")[0])

    @property
    def held(self) -> Tensor | None:
        """The parameter itself, ``None`` where it is computed or packed."""
        try:
            parameters = self.holder._parameters
        except AttributeError:  # there is no such module: it is no layer inside that it names
            return None
        return parameters.get(self.parameter.rpartition(".")[2])

    @property
    def is_matrix(self) -> bool:
        """Whether it is all of a matrix that its parameter is, of a layer or of an embedding."""
        held = self.held
        whole = held is not None and held.ndim == 2 and self.outputs == self.total
        return whole and self.kind in (LINEAR, EMBEDDING) and self.matrix is None

    @property
    def memory(self) -> tuple[object, ...] | None:
        """What is equal for two parts of the same rows of one parameter; ``None`` as ``held``."""
        held, rows = self.held, None if self.outputs == self.total else self.rows
        at = self.matrix and self.matrix.place
        return None if held is None else (id(held), rows, at or None)

    @property
    def versions(self) -> tuple[tuple[int, int], ...]:
        """What changes whenever a tensor that the weight is computed from is written to."""
        names = self.tensors
        behind = [tensor for name, tensor in named_tensors(self.module) if name in names]
        return tuple(
            (id(tensor), -1 if tensor.is_inference() else tensor._version) for tensor in behind
        )

    def check(self) -> None:
        """Raise ``UnsupportedLayerError`` where the weight cannot be read, before any work."""
        if self.refusal:
            raise UnsupportedLayerError(
                f"{self.name!r} ({type(self.module).__name__}) {self.refusal}, or leave the layer "
                f"out with exclude={self.name!r}"
            )
        tensors = self.tensors
        for name, tensor in self.module.named_parameters(remove_duplicate=False):
            if name in tensors:
                check_together(self.name, tensor)
                check_readable(self.name, tensor)

    def weight(self, computed: Tensor | None = None) -> Tensor:
        """The effective weight ``[out, in/groups, *kernel]``, float64 where it is, else float32.

        Args:
            computed: what the model was seen to compute with instead of the whole parameter.

        Raises:
            UnsupportedLayerError: there is no weight that could be read.
            NonFiniteWeightsError: NaN or infinite entries.
        """
        with torch.no_grad():
            weight = computed
            if weight is None:
                weight = self.reader(self.name, self.module, self.parameter)
            if self.matrix is not None:
                weight = self.matrix.of(weight)
            if self.outputs < self.total:
                weight = weight.narrow(int(self.kind.transposed), self.rows.start, self.outputs)
            weight = self.kind.canonical(floating(self.name, weight), self.groups)
        if tuple(weight.shape[:2]) != (self.outputs, self.inputs // self.groups):
            raise UnsupportedLayerError(
                f"{self.name!r} ({type(self.module).__name__}) reads {self.inputs} channels and "
                f"writes {self.outputs}, but its weight is {'x'.join(map(str, weight.shape))}; "
                f"leave it out with exclude={self.name!r}"
            )
        return weight

    def __str__(self) -> str:
        return f"{type(self.module).__name__} {self.outputs}x{self.inputs}"


def in_model(part: Part, model: nn.Module) -> Part:
    """The same part of a model of the same structure."""
    return replace(part, module=model.get_submodule(part.path))


def likely_parts(own: OwnParameter) -> tuple[Part, ...]:
    """What a parameter may be a map of, the likeliest first; empty where nothing tells."""
    shape, kinds = own.value.shape, {2: (LINEAR, LINEAR_TRANSPOSED)}
    guesses = kinds.get(len(shape), (CONVOLUTION,) if own.name == "weight" else ())
    return tuple(
        Part(own.module, own.path, own.name, kind, shape[not kind.transposed],
             range(shape[int(kind.transposed)]), shape[int(kind.transposed)])
        for kind in guesses
    )  # fmt: skip
