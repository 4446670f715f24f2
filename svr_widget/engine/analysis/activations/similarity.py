"""Spectral images beside a reference image of the input, over a data set (paper, 5.1 and B.4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from svr_widget.engine.analysis.activations.activations import (
    Filters,
    Maps,
    Neurons,
    called,
    examples_of,
    is_one_batch,
    listed,
    one_example,
)
from svr_widget.engine.decompose import Flattening
from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.model.example_inputs import Example

Reference = Literal["sobel"] | Callable[[Any, tuple[int, int]], Any]

# Luma of ITU-R BT.601, as in PIL's convert("L"), torchvision's Grayscale and so the authors' code.
GREY = (0.299, 0.587, 0.114)
SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def similarity(
    graph: SpectralGraph,
    inputs: object,
    reference: Reference = "sobel",
    maps: Maps | None = None,
    neurons: Neurons | None = None,
    method: Flattening | None = None,
) -> pd.DataFrame:
    """``SVR.similarity``."""
    check_reference(reference)
    filters = Filters(graph, maps, neurons, method)
    filters.refuse(filters.unreadable)
    comparison, one = _Comparison(filters, reference), is_one_batch(graph, inputs)
    for example in [one_example(graph, inputs)] if one else examples_of(graph, inputs):
        comparison.add(example)
    return comparison.table()


def check_reference(reference: object) -> None:
    """Refuse what is neither ``"sobel"`` nor a function of inputs and size.

    Raises:
        SVRError: it is something else.
    """
    if not callable(reference) and reference != "sobel":
        raise SVRError(
            'reference must be "sobel" or a function of (inputs, size), not '
            f"{reference!r}{nearest_name(reference, ['sobel'])}"
        )


def reference_images(reference: Reference, example: Example, size: tuple[int, int]) -> Tensor:
    """What the spectral images of a batch are compared with, ``[batch, *size]``.

    Raises:
        SVRError: the inputs are no images for ``"sobel"``, or the function gave another shape.
    """
    if not callable(reference):
        return sobel(next(x for x in example.tensors() if isinstance(x, Tensor)), size)
    found = torch.as_tensor(reference(_as_given(example), size))
    if found.dim() != 3 or tuple(found.shape[1:]) != size:
        raise SVRError(
            f"reference gave {tuple(found.shape)}; it must give [batch, {size[0]}, {size[1]}]"
        )
    return found


def sobel(images: Tensor, size: tuple[int, int]) -> Tensor:
    """The Sobel magnitude of grey images that are average-pooled to a size (footnotes 14 and 15).

    Border pixels are repeated, so that the border itself is no edge.

    Args:
        images: ``[batch, 1 or 3, h, w]``, grey or red, green, blue.
        size: of the result.

    Returns:
        ``[batch, *size]``.

    Raises:
        SVRError: these are no such images.
    """
    if images.dim() != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise SVRError(
            f"the model's first input is {images.dtype} of shape {tuple(images.shape)}, but the "
            "Sobel filter takes floating-point images [batch, 1 or 3, h, w]; give reference= a "
            "function (inputs, size) -> [batch, h, w] instead"
        )
    pooled = functional.adaptive_avg_pool2d(images, size)
    if images.shape[1] == 3:
        weights = torch.tensor(GREY, dtype=pooled.dtype, device=pooled.device)
        pooled = torch.einsum("c,bchw->bhw", weights, pooled).unsqueeze(1)
    across = torch.tensor(SOBEL, dtype=pooled.dtype, device=pooled.device)
    bordered = functional.pad(pooled, (1, 1, 1, 1), mode="replicate")
    edges = functional.conv2d(bordered, torch.stack([across, across.T]).unsqueeze(1))
    return torch.hypot(edges[:, 0], edges[:, 1])


def cosines(images: Tensor, reference: Tensor) -> Tensor:
    """Cosine similarity of ``|images|`` and a reference.

    Args:
        images: ``[batch, M, h, w]``.
        reference: ``[batch, h, w]``.

    Returns:
        ``[batch, M]``; 0 where one of the two is zero everywhere.
    """
    sizes = images.abs().flatten(2)
    wanted = reference.to(images).flatten(1)
    norms = (
        torch.linalg.vector_norm(sizes, dim=2) * torch.linalg.vector_norm(wanted, dim=1)[:, None]
    )
    products = torch.bmm(sizes, wanted.unsqueeze(2)).squeeze(2)
    return torch.where(norms > 0, products / norms, torch.zeros_like(products))


class Moments:
    """Mean and standard deviation of a stream, updated batch by batch (Chan et al. 1983)."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = self._squares = torch.zeros((), dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Take in ``[batch, M]``."""
        values = values.double().cpu()
        n, mean = len(values), values.mean(0)
        if not n:
            return
        shift, total = mean - self.mean, self.n + n
        self._squares = (
            self._squares + (values - mean).square().sum(0) + shift.square() * (self.n * n / total)
        )
        self.mean = self.mean + shift * (n / total)
        self.n = total

    @property
    def sd(self) -> Tensor:
        """The sample standard deviation (``n - 1``); NaN for a single value."""
        if self.n < 2:
            return torch.full_like(self.mean, math.nan)
        return (self._squares / (self.n - 1)).sqrt()


class _Comparison:
    """Cosines of all maps, taken in batch by batch."""

    def __init__(self, filters: Filters, reference: Reference) -> None:
        self.filters = filters
        self._reference = reference
        self._moments: dict[tuple[str, int], Moments] = {}
        self._left_out: dict[str, str] = {}

    def add(self, example: Example) -> None:
        """Run one batch."""
        references: dict[tuple[int, int], Tensor] = {}

        def receive(name: str, call: int, arguments: tuple[Any, ...]) -> None:
            if self.filters.position_dims(name, arguments[0]) != 2:
                self._leave_out(name, "its activations are no two-dimensional images")
                return
            images = self.filters[name](*arguments)
            size = images.shape[2], images.shape[3]
            if min(size) < 2:
                self._leave_out(name, f"its images have {size[0]} x {size[1]} pixels")
                return
            if size not in references:
                references[size] = reference_images(self._reference, example, size)
            if len(images) != len(references[size]):
                said = f"{len(images)} images for {len(references[size])} inputs"
                self._leave_out(name, f"its first dimension is not the batch: {said}")
                return
            self._moments.setdefault((name, call), Moments()).add(cosines(images, references[size]))

        missing = self.filters.run(example, receive)
        self.filters.refuse(missing)
        self._left_out |= missing

    def _leave_out(self, name: str, reason: str) -> None:
        if self.filters.named:
            raise SVRError(f"map {name!r} cannot be compared: {reason}")
        self._left_out[name] = reason

    def table(self) -> pd.DataFrame:
        """A row a neuron; ``attrs["left_out"]`` says what was left out and why."""
        if not self._moments:
            reasons = listed(self._left_out) or "no batch"
            raise SVRError(f"no map has spectral images to compare ({reasons})")
        order = self.filters.names
        frames = [
            pd.DataFrame(
                {
                    "map": called(*key),
                    "neuron": self.filters.neurons(key[0]),
                    "mean": moments.mean.numpy(),
                    "sd": moments.sd.numpy(),
                    "n": moments.n,
                }
            )
            for key, moments in sorted(
                self._moments.items(), key=lambda item: (order.index(item[0][0]), item[0][1])
            )
        ]
        table = pd.concat(frames, ignore_index=True)
        table.attrs["left_out"] = dict(self._left_out)
        return table


def _as_given(example: Example) -> Any:
    """What the model is called with, as the caller would write it."""
    if len(example.args) == 1:
        return example.args[0]
    return example.args or dict(example.kwargs)
