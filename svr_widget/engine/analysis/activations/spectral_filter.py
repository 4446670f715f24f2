"""``V`` as a filter: from what a map reads to its spectral activations (paper, 2.2 and 4.1).

Convolutions keep their own stride, padding, dilation and groups. The dual, for the co-SVR, comes
before the kernel: ``V`` combines the channels at each position of the input by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.environment.settings import matrix_product
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.parts import Part

CONVOLVE: tuple[Callable[..., Tensor], ...] = (
    functional.conv1d,
    functional.conv2d,
    functional.conv3d,
)
CONVOLVE_TRANSPOSED: tuple[Callable[..., Tensor], ...] = (
    functional.conv_transpose1d,
    functional.conv_transpose2d,
    functional.conv_transpose3d,
)


class _Apply(Protocol):
    """From what is read (and what else the module is called with) and the filters to ``Y``."""

    def __call__(self, x: Tensor, filters: Tensor, *rest: Any) -> Tensor: ...


class SpectralFilter:
    """``Y = V^T X`` for chosen neurons of one map.

    With ``U`` and ``S`` of the same neurons the map's output is, without its bias, ``U diag(S) Y``;
    for a co-SVR the convolution of ``diag(S) Y`` with the filters ``U``.
    """

    def __init__(
        self, linear: LinearMap, part: Part, neurons: Decomposition, chosen: Tensor
    ) -> None:
        """Prepare the filters.

        Args:
            linear: the map.
            part: where the model keeps it, or the map that reads what it reads.
            neurons: the map's neurons, by either method.
            chosen: int64 ``[M]``, which of them.
        """
        module = part.holder
        if part.kind.application == "matrix":
            self._filters, self._apply = _matrix(linear, neurons, chosen)
        elif part.kind.application == "lookup":
            table = neurons.V[..., chosen].reshape(linear.in_channels, -1)
            bag = isinstance(module, nn.EmbeddingBag)
            self._filters, self._apply = table, _bag(module) if bag else _look_up
        else:
            transposed = part.kind.application == "transposed convolution"
            self._filters, self._apply = _convolution(module, transposed, neurons, chosen)
        self._placed = self._filters

    def __call__(self, x: Tensor, *rest: Any) -> Tensor:
        """The spectral activations ``[batch, M, *positions]``.

        Args:
            x: what the module reads; its first dimension is the batch.
            rest: what else the module is called with (the ``output_size`` of a transposed
                convolution).

        Returns:
            On the device of ``x``; float64 where ``x`` is, else float32.
        """
        x = x.dequantize() if x.is_quantized else x
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        if self._placed.device != x.device or self._placed.dtype != dtype:
            self._placed = self._filters.to(x.device, dtype)
        if x.is_floating_point():
            x = x.to(dtype)
        with torch.autocast(x.device.type, enabled=False):
            return self._apply(x, self._placed, *rest)


def position_dims(linear: LinearMap, part: Part, read_dims: int, method: str) -> int:
    """How many dimensions the positions of ``Y`` have, given those of what the module reads."""
    if isinstance(part.holder, nn.EmbeddingBag):
        return 0
    if part.kind.application == "lookup":
        return read_dims - 1
    if part.kind.application != "matrix":
        module: Any = part.holder
        return len(module.kernel_size)
    kept = linear.input_layout if method == "cosvr" else linear.output_layout
    return max(read_dims - 2, 0) + (len(kept.kernel) if kept else 0)


def _look_up(x: Tensor, filters: Tensor, *_: Any) -> Tensor:
    """Tokens stand for one-hot vectors, so that ``V^T x`` is a row of ``V``."""
    return functional.embedding(x, filters).movedim(-1, 1)


def _bag(module: Any) -> _Apply:
    """Sums or means of such rows, as the module takes them."""

    def apply(x: Tensor, filters: Tensor, offsets: Any = None, weights: Any = None) -> Tensor:
        return functional.embedding_bag(
            x,
            filters,
            offsets,
            mode=module.mode,
            per_sample_weights=None if weights is None else weights.to(filters),
            include_last_offset=module.include_last_offset,
            padding_idx=module.padding_idx,
        )

    return apply


def _matrix(linear: LinearMap, neurons: Decomposition, chosen: Tensor) -> tuple[Tensor, _Apply]:
    """A product over the last dimension of what is read; positions of a layout come last."""
    V, layout = neurons.V[..., chosen], linear.input_layout
    by_position = neurons.method == "cosvr" and layout is not None
    kernel: tuple[int, ...] = ()
    if layout is not None and not by_position:
        filters = V.new_empty(layout.index.numel(), len(chosen))
        filters[layout.index.flatten()] = V.flatten(0, -2)
    else:
        filters = V.flatten(1)
        shown = layout if neurons.method == "cosvr" else linear.output_layout
        kernel = () if shown is None else shown.kernel

    def apply(x: Tensor, filters: Tensor, *_: Any) -> Tensor:
        x = x if x.dim() > 1 else x.unsqueeze(0)
        lead = x.shape[:-1]
        if by_position and layout is not None:
            x = x[..., layout.index.to(x.device)].transpose(-1, -2)
        return matrix_product(x, filters).reshape(*lead, *kernel, len(chosen)).movedim(-1, 1)

    return filters, apply


def _convolution(
    module: Any, transposed: bool, neurons: Decomposition, chosen: Tensor
) -> tuple[Tensor, _Apply]:
    """The module's own convolution with ``V`` for a weight, over the groups that are chosen."""
    V, groups = neurons.V[..., chosen], neurons.groups[chosen]
    dims = len(module.kernel_size)
    if V.dim() == 2:
        V = V.reshape(V.shape[0], *(1,) * dims, V.shape[1])
    present, member = torch.unique(groups, return_inverse=True)
    count = torch.bincount(member)
    by_group, first = member.argsort(stable=True), count.cumsum(0) - count
    place = torch.empty_like(member)
    place[by_group] = torch.arange(len(member)) - first[member[by_group]]
    most = int(count.max())
    filters = V.new_zeros(len(present), most, *V.shape[:-1])
    filters[member, place] = V.movedim(-1, 0)
    if transposed and neurons.method == "svr":
        filters = filters.transpose(1, 2)
    slots = member * most + place
    in_order = torch.equal(slots, torch.arange(len(present) * most))
    convolve: Callable[..., Tensor] = _convolve_transposed if transposed else _convolve
    if neurons.method == "cosvr":
        convolve = _each_position

    def apply(x: Tensor, filters: Tensor, *rest: Any) -> Tensor:
        x = x if x.dim() > 1 + dims else x.unsqueeze(0)
        if len(present) < neurons.group_count:
            x = x.reshape(len(x), neurons.group_count, -1, *x.shape[2:])
            x = x[:, present.to(x.device)].flatten(1, 2)
        y = convolve(module, x, filters, len(present), *rest)
        return y if in_order else y[:, slots.to(y.device)]

    return filters.flatten(0, 1), apply


def _each_position(module: Any, x: Tensor, filters: Tensor, groups: int, *_: Any) -> Tensor:
    return CONVOLVE[len(module.kernel_size) - 1](x, filters, groups=groups)


def _convolve(module: Any, x: Tensor, filters: Tensor, groups: int, *_: Any) -> Tensor:
    padding: Any = module.padding
    if module.padding_mode != "zeros":
        # Modules of torch.ao have no such attribute, and no padding="same" either.
        margins = getattr(module, "_reversed_padding_repeated_twice", None)
        margins = margins or [n for n in reversed(padding) for _ in range(2)]
        x, padding = functional.pad(x, margins, mode=module.padding_mode), 0
    convolve = CONVOLVE[len(module.kernel_size) - 1]
    return convolve(x, filters, None, module.stride, padding, module.dilation, groups)


def _convolve_transposed(
    module: Any, x: Tensor, filters: Tensor, groups: int, size: Any = None
) -> Tensor:
    dims, margins = len(module.kernel_size), module.output_padding
    if size is not None:
        margins = module._output_padding(
            x,
            list(size)[-dims:],
            module.stride,
            module.padding,
            module.kernel_size,
            dims,
            module.dilation,
        )
    convolve = CONVOLVE_TRANSPOSED[dims - 1]
    return convolve(
        x, filters, None, module.stride, module.padding, margins, groups, module.dilation
    )
