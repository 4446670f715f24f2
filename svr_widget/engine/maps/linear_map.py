"""One weight in canonical form, whatever layer it came from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from svr_widget.engine.environment.settings import matrix_product
from svr_widget.engine.errors import SVRError, UnsupportedLayerError
from svr_widget.engine.maps.links import Layout
from svr_widget.engine.maps.parts import Part
from svr_widget.engine.maps.stored import LowRank, StoredTensor, in_memory


@dataclass(frozen=True, eq=False)
class LinearMap:
    """One linear map of a network in canonical form (paper, sections 2.2 and 4.2).

    Attributes:
        name: the qualified name of its module, with a suffix where that holds several maps
            (``"attn.in_proj[q]"``); that of the attention and the head for a product.
        kind: ``"linear"``, ``"convolution"``, ``"transposed convolution"``, ``"embedding"`` or
            ``"attention"``, the product of two matrices of an attention head.
        factors: the weight ``[out, in/groups, *kernel]``; or for a product two matrices
            ``[out, d]`` and ``[d, in]`` whose product it is, parts of the copies of the two whole
            ones. Copies, on the CPU; float64 where the layer's weight is, else float32. Those of a
            model that a file fills stay in the file, and are read whenever something is computed
            with them. Large copies (4 MB) are let go once all neurons of the map are known, and
            then read from the model or, where that has changed, formed of the neurons: for a
            product two other matrices with the same product.
        groups: the map is the direct sum of this many maps of equal shape.
        depth: column of the map in the link graph.
        tied_to: an earlier map that uses the same parameter; the weight is then a view of its
            weight, transposed where this map uses it so (an embedding and its output head).
        input_layout: where the module reads flattened channels x positions: which flat feature
            is which entry of ``weight``'s input side.
        output_layout: the same for a module whose output is unflattened.
        product_of: the names of the two matrices that a product is of, those of a head: the output
            and the value map (OV), or the query and the key map (QK).
        product_channels: int64 ``[d]`` and ``[d]``, the channels of those two that meet: inputs
            of the output and outputs of the value map (OV), or outputs of both (QK).
        remark: what has to be said about the map, such as rotary positions.
        norms: what was folded into the weight, as ``Link.through`` names it.
        normals: float64 vectors over the output and the input channels that the weight is
            orthogonal to because a layer norm is folded into it; None for none. Its output or
            input representations have a dimension less then.

    Examples:
        >>> svr.maps["0"]
        LinearMap('0', linear, 16x20, depth=0)
        >>> svr.maps["0"].weight.shape, svr.maps["0"].neurons()
        (torch.Size([16, 20]), 16)
    """

    name: str
    kind: str
    factors: tuple[Tensor, ...]
    groups: int = 1
    depth: int = 0
    tied_to: str | None = None
    input_layout: Layout | None = None
    output_layout: Layout | None = None
    product_of: tuple[str, str] | None = None
    product_channels: tuple[Tensor, Tensor] | None = None
    remark: str = ""
    norms: tuple[str, ...] = ()
    normals: tuple[Tensor | None, Tensor | None] = (None, None)

    @property
    def folded(self) -> bool:
        """Whether the weight differs from the layer's by norms."""
        return bool(self.norms) or any(normal is not None for normal in self.normals)

    @property
    def weight(self) -> Tensor:
        """``[out, in/groups, *kernel]``; that of a product is formed anew at each access.

        Raises:
            SVRError: the map was loaded from a file without weights.
        """
        self.check_known()
        factors = [in_memory(factor) for factor in self.factors]
        return factors[0] if len(factors) == 1 else matrix_product(*factors)

    def check_known(self) -> None:
        """Raise ``SVRError`` where the entries of the weight are not known, only its shape."""
        if any(factor.is_meta for factor in self.factors):
            raise SVRError(
                f"the weight of {self.name!r} is needed and was not saved; make the SVR from the "
                "model, or save it with weights=True"
            )

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight."""
        return (self.factors[0].shape[0], *self.factors[-1].shape[1:])

    @property
    def reader(self) -> str:
        """The map whose input the neurons' ``V`` reads: itself, the value or the key map."""
        return self.name if self.product_of is None else self.product_of[1]

    @property
    def out_channels(self) -> int:
        """Output channels of all groups together."""
        return self.shape[0]

    @property
    def in_channels(self) -> int:
        """Input channels of all groups together."""
        return self.shape[1] * self.groups

    @property
    def kernel(self) -> tuple[int, ...]:
        """The shape of the kernel; ``()`` for a plain linear map."""
        return self.shape[2:]

    @property
    def positions(self) -> int:
        """``z``, the number of kernel positions; 1 for a plain linear map."""
        return math.prod(self.kernel)

    def neurons(self, method: str = "svr") -> int:
        """The number of spectral neurons, null ones included; at most ``d`` for a product."""
        out_side, in_side = self.out_channels // self.groups, self.shape[1]
        out_side -= self.normals[0] is not None
        in_side -= self.normals[1] is not None
        if method == "cosvr":
            out_side *= self.positions
        else:
            in_side *= self.positions
        inner = [factor.shape[1] for factor in self.factors[:-1]]
        return self.groups * min(out_side, in_side, *inner)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        groups = f", groups={self.groups}" if self.groups > 1 else ""
        return f"LinearMap({self.name!r}, {self.kind}, {shape}{groups}, depth={self.depth})"


def linear_map(
    part: Part,
    input_layout: Layout | None = None,
    output_layout: Layout | None = None,
    depth: int = 0,
    computed: Tensor | None = None,
) -> LinearMap:
    """A part's effective weight in canonical form; its module is not modified.

    Args:
        part: where the map is kept.
        input_layout: for a linear map that reads flattened channels x positions: it becomes a
            convolution ``[out, channels, *kernel]``.
        output_layout: for one whose output is unflattened: it becomes a transposed convolution
            ``[channels, in, *kernel]``.
        depth: column of the map in the link graph.
        computed: what the model was seen to compute with instead of the whole parameter.

    Raises:
        UnsupportedLayerError: no weight that could be read (meta device, lazy, not floating
            point), or both layouts at once.
        NonFiniteWeightsError: NaN or infinite entries.
        SVRError: the weight was written to whenever it was read.
    """
    for _ in range(_READINGS):
        before, weight = part.versions, part.weight(computed)
        made = map_of(
            part.name, part.kind.noun, weight, part.groups, input_layout, output_layout, depth
        )
        if part.versions == before:
            return made
    raise SVRError(
        f"the weight of {part.name!r} was written to each of the {_READINGS} times that it was "
        "read; stop the training meanwhile, or let SVRRecorder.step() read it within the loop"
    )


def stored_map(read: Callable[[], LinearMap]) -> LinearMap:
    """A map whose weight is not kept but read again whenever it is needed.

    It is read once here, so that what cannot be used is refused at once.
    """
    made = read()

    def stored(place: int) -> StoredTensor:
        factor = made.factors[place]
        if isinstance(factor, StoredTensor):
            return factor
        return StoredTensor(factor.to("meta"), lambda: read().factors[place])

    return replace(made, factors=tuple(map(stored, range(len(made.factors)))))


_READINGS = 20
"""A weight that a training step changed while it was copied is half old and half new."""


def map_of(
    name: str,
    kind: str,
    weight: Tensor,
    groups: int = 1,
    input_layout: Layout | None = None,
    output_layout: Layout | None = None,
    depth: int = 0,
) -> LinearMap:
    """A ``LinearMap`` that owns a copy of a canonical weight, read through its layouts.

    Of one on the meta device, which has a form and no values, there is nothing to copy.
    """
    weight, kind = laid_out(name, kind, weight, input_layout, output_layout)
    matrices = weight.factors if isinstance(weight, LowRank) else (weight,)
    owned = (
        each if each.is_meta else torch.empty(each.shape, dtype=each.dtype).copy_(each)
        for each in matrices
    )
    return LinearMap(
        name,
        kind,
        tuple(owned),
        groups,
        depth,
        input_layout=input_layout,
        output_layout=output_layout,
    )


def laid_out(
    name: str,
    kind: str,
    weight: Tensor,
    input_layout: Layout | None = None,
    output_layout: Layout | None = None,
) -> tuple[Tensor, str]:
    """A weight read through its layouts, and its kind then; the same memory where there are none.

    Raises:
        UnsupportedLayerError: both layouts at once.
    """
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
    return weight, kind


def _grid(layout: Layout) -> str:
    return "x".join(map(str, (layout.index.shape[0], *layout.kernel)))
