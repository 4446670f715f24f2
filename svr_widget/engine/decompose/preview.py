"""The leading singular values of a large map, long before its decomposition is there.

A block Krylov iteration: of a random block ``X`` the blocks ``X, H X, H^2 X, ...`` with
``H = A A^T`` on the short side, orthonormal in float64, the products with the weight in float32. A
few of them cost a small part of what ``H`` and its eigenvectors do, and hold the leading left
vectors. Of the product of two thin matrices there is no preview: it is decomposed as quickly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.decompose.decomposition import (
    Flattening,
    Normals,
    flatten,
    orthogonal_to,
)
from svr_widget.engine.decompose.drivers import Array

COUNT = 64
"""How many singular values are looked for."""
TOLERANCE = 0.01
"""A value is kept where its bound is at most this part of it."""
BLOCK = 72
"""Vectors of a block: more than values looked for, so that equal ones are found as often as they
are there. A product with so many takes hardly longer than one with half of them."""
LEAST_STEPS, MOST_STEPS = 4, 8
PART_OF_EXACT = 1 / 16
"""More than the least steps are taken while they are no more than this part of a decomposition."""
EPSILON = float(np.finfo(np.float32).eps)
"""Two products in float32 are off by half of it each times the root of the number of terms that
they sum, relative to the norms of what they multiply (Higham and Mary 2019), or less."""
RANGE = (1e-9, 1e9)
"""The largest entries whose squares are summed in float32 as they are; others are scaled."""


@dataclass(frozen=True, eq=False)
class Preview:
    """The leading singular values of a map, to within ``TOLERANCE`` of each.

    What the bounds promise: within ``bound[k]`` of ``S[k]`` lies a singular value of the map. It
    is measured (``||A A^T u - s^2 u||`` of a unit vector ``u``), with room for the rounding in
    float32 that is to be expected, so it holds whatever the spectrum is. And ``S[k]`` is no larger
    than the k-th largest singular value, but for that rounding, as Ritz values are.

    What they do not promise: that it *is* the k-th largest one. Nothing shows a direction that the
    random block has nothing of, or too little to be found in so few steps, and two values may be
    next to the same one. Of equal ones as many are found as there are, up to ``BLOCK``.

    Attributes:
        S: float64 ``[k]``, ``k`` at most ``COUNT``, from the largest down; fewer where the bounds
            of the others are larger, none for a map of zeros.
        bound: float64 ``[k]``, in the units of ``S``.
        rank: how many neurons the map has.
    """

    S: Tensor
    bound: Tensor
    rank: int

    def __len__(self) -> int:
        return len(self.S)


def preview(
    weight: Tensor,
    groups: int = 1,
    method: Flattening = "svr",
    count: int = COUNT,
    *,
    normals: Normals = (None, None),
    seed: int = 0,
) -> Preview:
    """The leading singular values of a canonical weight; arguments as ``decompose`` has them."""
    stack = flatten(orthogonal_to(weight, normals), groups, method)
    rank = min(stack.shape[1:])
    found = [_leading(matrix, min(count, rank), seed) for matrix in stack]
    # What a group has below its last known value is not known, so that nothing is missing above.
    known_to = max(
        (S[-1] if len(S) else math.inf for S, _ in found if len(S) < min(count, rank)), default=0.0
    )
    S, bound = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(-S, kind="stable")
    kept = order[S[order] >= known_to][:count]
    return Preview(torch.from_numpy(S[kept]), torch.from_numpy(bound[kept]), rank * groups)


def _leading(
    matrix: Array, count: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The leading singular values of a matrix that are known well enough, and their bounds."""
    wide, scale, cast = _in_single(matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T)
    S = bound = np.zeros(0)
    if scale == 0.0 or count == 0:
        return S, bound
    short = len(wide)
    random = np.random.default_rng(seed).standard_normal((short, min(BLOCK, short)))
    basis = images = np.zeros((short, 0))
    block = np.linalg.qr(random)[0]
    size = float(np.linalg.norm(wide))
    most = _most_steps(*wide.shape)
    for step in range(1, most + 1):
        basis = np.concatenate([basis, block], axis=1)
        image = wide @ (wide.T @ block.astype(np.float32))
        images = np.concatenate([images, image.astype(np.float64)], axis=1)
        left = short - basis.shape[1]
        # To look takes a part of a step: after every second one is enough.
        if (step >= LEAST_STEPS and (most - step) % 2 == 0) or left == 0:
            rounding = EPSILON * math.sqrt(wide.shape[1]) * size
            S, bound = _shown(basis, images, count, rounding, cast * size)
        if len(S) == count or left == 0:
            break
        block = _orthonormal(images[:, -block.shape[1] :][:, :left], basis)
    return S * scale, bound * scale


def _in_single(matrix: Array) -> tuple[Array, float, float]:
    """A matrix in float32 that can be squared, what to multiply it by, and how it was rounded.

    The last is relative to its norm; the second is 0 for a matrix of zeros.
    """
    peak = max(float(matrix.max(initial=0.0)), -float(matrix.min(initial=0.0)))
    if matrix.dtype == np.float32 and RANGE[0] < peak < RANGE[1]:
        return matrix, 1.0, 0.0
    return (matrix / (peak or 1.0)).astype(np.float32), peak, EPSILON / 2


def _most_steps(short: int, long: int) -> int:
    """How many steps a part of the decomposition takes: the Gram matrix and its eigenvectors."""
    exact = 3.0 * short**2 * long + 20.0 * short**3
    steps = PART_OF_EXACT * exact / (4.0 * short * long * BLOCK)
    return min(MOST_STEPS, max(LEAST_STEPS, int(steps)))


def _orthonormal(block: NDArray[np.float64], basis: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of what of the block's columns is orthogonal to the basis so far.

    Where nothing is left of them, any directions that are: those that rounding gives.
    """
    for _ in range(2):  # twice is enough: what is left of the basis is then rounding
        block = np.linalg.qr(block - basis @ (basis.T @ block))[0]
    return block


def _shown(
    basis: NDArray[np.float64],
    images: NDArray[np.float64],
    count: int,
    rounding: float,
    moved: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The leading Ritz values that are known well enough, as singular values, and their bounds.

    Args:
        basis: orthonormal vectors.
        images: of them under ``A A^T``.
        count: at most so many.
        rounding: how far off an image is, relative to the norm of ``A``.
        moved: how far a singular value was moved before.
    """
    inside = basis.T @ images
    squares, turned = np.linalg.eigh((inside + inside.T) / 2)
    squares, turned = squares[::-1][:count], turned[:, ::-1][:, :count]
    vectors = basis @ turned
    residual = np.linalg.norm(images @ turned - vectors * squares, axis=0)
    residual /= np.linalg.norm(vectors, axis=0)
    S = np.sqrt(np.maximum(squares, 0.0))
    residual += rounding * S[0]
    bound = S - np.sqrt(np.maximum(squares - residual, 0.0)) + moved
    enough = int(np.argmin(np.append((S > 0) & (bound <= TOLERANCE * S), False)))
    return S[:enough], bound[:enough]
