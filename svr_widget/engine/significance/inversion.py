"""Quantiles of a law whose log survival function is known: a table, then Newton's method."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special
from scipy.interpolate import CubicSpline

from svr_widget.engine.significance.tails import Floats

# The normal score is the standard normal quantile of the same probability. Along a logit or
# logarithmic coordinate it is smooth on the scale of 1 for every Beta, Gamma and product law.
_SPACING = 0.125
_LOWEST_SCORE = -8.2  # p = 1 - 1e-16


class Inverse:
    """The inverse of ``logsf``, which falls from 0 at ``low`` along the coordinate up to ``high``.

    Newton's method runs on normal scores, in which laws are nearly straight, from a start within
    one cell of the table; it ends at rounding error.
    """

    def __init__(self, logsf: Callable[[Floats], Floats], low: float, high: float) -> None:
        self._logsf = logsf
        near, far = high, low
        for _ in range(10):  # to the first coordinate whose p-value a double can tell from 1
            tried = np.linspace(far, near, 33)
            at = int((self._score(tried) < _LOWEST_SCORE).sum())
            far, near = tried[max(at - 1, 0)], tried[at]
        self._nodes = np.linspace(near, high, 2 + int((high - near) / _SPACING))
        self._scores = self._score(self._nodes)
        self._slope = CubicSpline(self._nodes, self._scores).derivative()

    def __call__(self, log_p: Floats) -> Floats:
        """Coordinates whose log p-value is ``log_p``: ``inf`` where that lies beyond ``high``.

        Above ``p = 1 - 1e-16`` the coordinate is that of the table's end.
        """
        score = -special.ndtri_exp(log_p)
        v = np.interp(score, self._scores, self._nodes)
        cell = np.clip(np.searchsorted(self._scores, score), 1, len(self._nodes) - 1)
        low, high = self._nodes[cell - 1], self._nodes[cell]
        for _ in range(10):
            new = np.clip(v - (self._score(v) - score) / self._slope(v), low, high)
            step = np.abs(new - v)
            v = new
            if not (step > 1e-11 * np.maximum(1.0, np.abs(v))).any():
                break
        v[score > self._scores[-1]] = np.inf
        return v

    def _score(self, coordinate: Floats) -> Floats:
        score: Floats = -special.ndtri_exp(self._logsf(coordinate))
        return score
