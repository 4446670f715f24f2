"""Singular values in long arithmetic."""

from __future__ import annotations

from itertools import combinations_with_replacement

import mpmath
import numpy as np


def true_singular_values(matrix, digits=60):
    """Singular values to full relative accuracy, by an eigendecomposition in long arithmetic."""
    matrix = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    with mpmath.workdps(digits):
        rows = [[mpmath.mpf(float(x)) for x in row] for row in matrix]
        gram = mpmath.matrix(len(rows))
        for i, j in combinations_with_replacement(range(len(rows)), 2):
            gram[i, j] = gram[j, i] = mpmath.fdot(rows[i], rows[j])
        values = mpmath.eigsy(gram, eigvals_only=True)
        return np.array(sorted((float(mpmath.sqrt(abs(v))) for v in values), reverse=True))
