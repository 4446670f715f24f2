"""The weight of some of a map's neurons, and the two weights that it is the product of."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from svr_widget.engine.compression.pruning.choice import Kept, parameters_of_a_neuron
from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.maps.linear_map import LinearMap


def low_rank(linear: LinearMap, neurons: Decomposition, kept: Kept) -> Tensor:
    """``sum_k U_k S_k V_k^T`` over the kept neurons as ``[out, in/groups, *kernel]``, float64."""
    blocks = []
    for group in range(linear.groups):
        U, S, V = _of_group(neurons, kept, group)
        U, V = (each.reshape(len(each), each.shape[1:-1].numel(), len(S)) for each in (U, V))
        blocks.append(torch.einsum("oam,m,ibm->oiab", U, S, V))
    return torch.cat(blocks).reshape(linear.shape)


def two_weights(linear: LinearMap, neurons: Decomposition, kept: Kept) -> tuple[Tensor, Tensor]:
    """The weights of two maps whose composition is that of the kept neurons, float64.

    By the SVR the first has the kernel, ``[r, in/groups, *kernel]`` and ``[out, r/groups, 1...]``;
    by the co-SVR the second, ``[r, in/groups, 1...]`` and ``[out, r/groups, *kernel]``. Each
    carries the square root of the singular values. Groups that keep fewer neurons than others are
    filled with zeros.
    """
    parts = [_of_group(neurons, kept, group) for group in range(linear.groups)]
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


def _of_group(neurons: Decomposition, kept: Kept, group: int) -> tuple[Tensor, Tensor, Tensor]:
    """``U [out/groups, *kernel, r]``, ``S [r]``, ``V [in/groups, *kernel, r]``, float64."""
    mine = torch.from_numpy(kept[neurons.groups.numpy()[kept] == group].astype(np.int64))
    return neurons.U[..., mine].double(), neurons.S[mine], neurons.V[..., mine].double()
