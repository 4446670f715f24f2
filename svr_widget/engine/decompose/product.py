"""The SVD of a product of two thin matrices by way of its small core."""

from __future__ import annotations

import numpy as np

from svr_widget.engine.decompose.drivers import (
    EPSILON,
    GRAM_FLOOR,
    Array,
    Factors,
    one_matrix,
)


def factorise_product(left: Array, right: Array) -> Factors:
    """The thin SVDs of ``left [g, m, d] @ right [g, d, n]`` with ``min(m, d, n)`` values each.

    ``left = Q R`` and ``right^T = P T`` with orthonormal columns, so ``Q`` and ``P`` carry the
    singular vectors of the small core ``R T^T``. All in float64: ``4 (m + n) d^2`` operations and
    a decomposition of ``d x d``, where the product alone has ``m n`` entries.
    """
    single = left.dtype == right.dtype == np.float32
    Q, R = np.linalg.qr(left.astype(np.float64))
    P, T = np.linalg.qr(right.swapaxes(1, 2).astype(np.float64))
    cores = [one_matrix(core) for core in R @ T.swapaxes(1, 2)]
    U = Q @ np.stack([core.U for core in cores])
    V = P @ np.stack([core.V for core in cores])
    S = np.stack([core.S for core in cores])
    # Rounding in the core is relative to its factors, which may be far larger than the product.
    sizes = np.linalg.norm(R, axis=(1, 2)) * np.linalg.norm(T, axis=(1, 2))
    error = np.broadcast_to(EPSILON * sizes[:, None], S.shape).copy()
    null = max(left.shape[1], right.shape[2]) * error >= S
    if single and (S[:, -1] >= GRAM_FLOOR * S[:, 0]).all():
        U, V = U.astype(np.float32), V.astype(np.float32)
    return Factors(U, S, V, error, null, ("thin",))
