"""The two weights that the weight of some of a map's neurons is the product of."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from svr_widget.engine.compression.pruning.choice import Kept, parameters_of_a_neuron
from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.decompose.decomposition import of_group
from svr_widget.engine.maps.linear_map import LinearMap


def two_weights(linear: LinearMap, neurons: Decomposition, kept: Kept) -> tuple[Tensor, Tensor]:
    """The weights of two maps whose composition is that of the kept neurons, float64.

    By the SVR the first has the kernel, ``[r, in/groups, *kernel]`` and ``[out, r/groups, 1...]``;
    by the co-SVR the second, ``[r, in/groups, 1...]`` and ``[out, r/groups, *kernel]``. Each
    carries the square root of the singular values. Groups that keep fewer neurons than others are
    filled with zeros.
    """
    parts = [of_group(neurons, kept, group) for group in range(linear.groups)]
    width = max(len(S) for _, S, _ in parts)
    ones = (1,) * len(linear.kernel)
    first_kernel, second_kernel = (
        (linear.kernel, ones) if neurons.method == "svr" else (ones, linear.kernel)
    )
    first, second = [], []
    for U, S, V in parts:
        missing = (0, width - len(S))
        root = S.sqrt()
        reading = torch.nn.functional.pad(V * root, missing).movedim(-1, 0)
        writing = torch.nn.functional.pad(U * root, missing).movedim(-1, 1)
        first.append(reading.reshape(width, -1, *first_kernel))
        second.append(writing.reshape(-1, width, *second_kernel))
    return torch.cat(first), torch.cat(second)


def parameters_of_two(linear: LinearMap, neurons: Decomposition, kept: Kept) -> int:
    """The entries of those two weights."""
    widest = int(np.bincount(neurons.groups.numpy()[kept], minlength=1).max())
    return widest * parameters_of_a_neuron(linear, neurons)


def projection(vectors: Tensor, kept: Kept) -> Tensor:
    """Onto the span of the kept columns, float64 ``[channels, channels]``."""
    chosen = vectors.flatten(0, -2)[:, torch.from_numpy(kept)].double()
    return chosen @ chosen.T
