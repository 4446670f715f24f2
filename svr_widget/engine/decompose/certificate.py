"""How far a decomposition is from exact, measured on the decomposition itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.decompose.drivers import Array, Factors, in_parts

PROBES = 8


@dataclass(frozen=True)
class Certificate:
    """The measured error of a decomposition; norms are Frobenius norms over the whole map.

    Attributes:
        residual: ``||A - U S V^T|| / ||A||``; 0 for a map that is all zero.
        orthogonality_u: ``||U^T U - I||``.
        orthogonality_v: ``||V^T V - I||``.
        driver: ``"gram"``, ``"lapack"``, ``"jacobi"``; joined by ``+`` where groups differ;
            ``"thin"`` for a product of two matrices.
        probes: how many random vectors estimated the norms; None when they were formed in full.

    Examples:
        >>> svr["0"].certificate.residual < 1e-6
        True
    """

    residual: float
    orthogonality_u: float
    orthogonality_v: float
    driver: str
    probes: int | None


def certify(
    stack: Array | tuple[Array, Array], factors: Factors, *, exact: bool = False, seed: int = 0
) -> Certificate:
    """Measure the factors of the matrices ``[g, m, n]``, or of the products of two stacks of them.

    For a random vector ``x`` of independent standard normal entries ``E |Bx|^2 = |B|_F^2``: eight
    of them give each norm to about a quarter of itself, at the cost of reading each factor once.
    """
    weights = stack if isinstance(stack, tuple) else (stack,)
    count, _, columns = weights[-1].shape
    rank = factors.S.shape[1]
    # Division by the largest value keeps the squares of extreme weights in range.
    largest = float(factors.S.max(initial=0.0)) or 1.0
    U, S, V = factors.U, factors.S[:, None, :] / largest, factors.V
    if exact:
        weight = weights[0].astype(np.float64)
        for right in weights[1:]:
            weight = weight @ right.astype(np.float64)
        weight /= largest
        U, V = U.astype(np.float64), V.astype(np.float64)
        residual = float(np.linalg.norm(weight - (U * S) @ V.swapaxes(1, 2))) / _norm(weight)
        off_U = float(np.linalg.norm(U.swapaxes(1, 2) @ U - np.eye(rank)))
        off_V = float(np.linalg.norm(V.swapaxes(1, 2) @ V - np.eye(rank)))
        probes = None
    else:
        random = np.random.default_rng(seed)
        inputs = random.standard_normal((count, columns, PROBES))
        neurons = random.standard_normal((count, rank, PROBES))
        images = inputs
        for weight in reversed(weights):
            images = np.concatenate([part @ images for _, part in in_parts(weight)], axis=1)
        images /= largest
        activations, seen = np.zeros_like(neurons), np.zeros_like(neurons)
        for rows, part in in_parts(V):
            both = part.swapaxes(1, 2) @ np.concatenate([inputs[:, rows], part @ neurons], axis=2)
            activations += both[..., :PROBES]
            seen += both[..., PROBES:]
        off_V = _off(seen, neurons)
        modelled = np.concatenate([S.swapaxes(1, 2) * activations, neurons], axis=2)
        seen, gap = np.zeros_like(neurons), 0.0
        for rows, part in in_parts(U):
            both = part @ modelled
            gap = math.hypot(gap, np.linalg.norm(images[:, rows] - both[..., :PROBES]))
            seen += part.swapaxes(1, 2) @ both[..., PROBES:]
        off_U = _off(seen, neurons)
        residual = gap / _norm(images)
        probes = PROBES
    driver = "+".join(factors.drivers)
    return Certificate(residual, off_U, off_V, driver, probes)


def _off(images: NDArray[np.float64], neurons: NDArray[np.float64]) -> float:
    """How far from the identity a matrix is that gives random vectors these images."""
    return float(np.linalg.norm(images - neurons)) / math.sqrt(PROBES)


def _norm(array: NDArray[np.float64]) -> float:
    return float(np.linalg.norm(array)) or 1.0
