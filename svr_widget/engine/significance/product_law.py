"""The law of a product of two independent Beta variables: entries of partly shared links."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special
from scipy.interpolate import BSpline, make_interp_spline

from svr_widget.engine.significance.tails import Floats, log_beta_cdf, log_beta_sf

# The integrand is cut where it is exp(-30) = 1e-13 of its peak. It is analytic in a strip of
# half-width pi/2 around the real axis, so the trapezoidal rule converges geometrically.
_DROP = 30.0
# A density falls off along a logit as exp(-a |logit|) does: where a parameter is small, so far out
# that the nodes must be many to lie as close.
_NODES, _NODES_OF_STEEP = 256, 128
_STEEP = 4.0  # the parameters from which on a density falls steeply
# The normal score is smooth on the scale of 1 in logit(t), but for where a narrow factor ends: the
# grid starts with this spacing and is refined where the spline misses what lies between.
_SPACING = 0.4
_TOLERANCE = 1e-9  # relative error of the log probability
_FINEST = 1e-4
LAST_LOGIT = 36.75  # just beyond the logit of the largest double below 1


class ProductLaw:
    """``A = X Y`` with independent ``X ~ Beta(a1, b1)``, ``Y ~ Beta(a2, b2)``, all parameters > 0.

    ``P(A >= t)`` is the integral of X's density times Y's survival function at ``t / x``, done in
    log space on a grid of ``logit(t)``. X is the factor of the narrower density, so that the nodes
    lie close enough for both. Between grid points the *normal score* (the standard normal quantile
    of the same probability) is interpolated by a quintic spline: it is nearly straight in the bulk
    and in both tails, so that the relative error of the log survival function stays below 1e-8 down
    to 1e-300 and beyond, at the cost of one spline a point.
    """

    def __init__(self, a1: float, b1: float, a2: float, b2: float) -> None:
        (a1, b1), (a2, b2) = sorted([(a1, b1), (a2, b2)], key=lambda ab: 1 / ab[0] + 1 / ab[1])
        self.parameters = (a1, b1, a2, b2)
        self._nodes = _NODES_OF_STEEP if min(a1, b1) >= _STEEP else _NODES
        self._middle = float(special.logit(a1 / (a1 + b1) * a2 / (a2 + b2)))
        tried: Floats = self._middle - 2.0 * (1.2 ** np.arange(24.0) - 1)
        self._first = tried[(self._log_probability(tried, upper=False) > -37.0).sum()]
        self._score = self._interpolated()

    def _interpolated(self) -> BSpline:
        """The normal score between ``first`` and the last logit."""
        cells = 1 + int((LAST_LOGIT - self._first) / _SPACING)
        grid = np.linspace(self._first, LAST_LOGIT, cells + 1)
        scores = self.quadrature_score(grid)
        width = grid[1] - grid[0]
        unsure = (grid[:-1] + grid[1:]) / 2
        while len(unsure):
            found = special.log_ndtr(-make_interp_spline(grid, scores, k=5)(unsure))
            between = self.quadrature_score(unsure)
            missed = np.abs(found / special.log_ndtr(-between) - 1) > _TOLERANCE
            order = np.argsort(np.concatenate([grid, unsure]))
            grid = np.concatenate([grid, unsure])[order]
            scores = np.concatenate([scores, between])[order]
            width /= 2
            halves = [unsure[missed] - width / 2, unsure[missed] + width / 2]
            unsure = np.concatenate(halves) if width > _FINEST else unsure[:0]
        return make_interp_spline(grid, scores, k=5)

    def logsf(self, logits: Floats) -> Floats:
        """Natural log of ``P(A >= t)`` at ``logit(t)``; 0 where it is above ``-exp(-37)``."""
        score = self._score(np.clip(logits, self._first, LAST_LOGIT))
        out: Floats = special.log_ndtr(-score)
        out[logits < self._first] = 0.0
        return out

    def quadrature_score(self, logits: Floats) -> Floats:
        """The same as a normal score, without interpolation, from the side of the smaller tail."""
        below = logits < self._middle
        score = np.empty_like(logits)
        score[below] = special.ndtri_exp(self._log_probability(logits[below], upper=False))
        above = self._log_probability(logits[~below], upper=True)
        score[~below] = -special.ndtri_exp(np.minimum(above, 0.0))
        return score

    def _log_probability(self, logits: Floats, *, upper: bool) -> Floats:
        """Log of ``P(A >= t)`` or of ``P(A <= t)`` by quadrature."""
        t, rest = special.expit(logits)[:, None], special.expit(-logits)[:, None]
        a1, b1, a2, b2 = self.parameters
        log_tail = log_beta_sf if upper else log_beta_cdf
        log_norm = special.betaln(a1, b1)

        def log_integrand(xi: Floats) -> Floats:
            # x = (t + e^xi) / (1 + e^xi) maps the real line to (t, 1).
            right, left = special.expit(xi), special.expit(-xi)
            x = t * left + right
            log_left = special.log_expit(-xi)
            log_complement = np.log(rest) + log_left  # log(1 - x)
            log_width = np.log(rest) + special.log_expit(xi)  # log(x - t)
            log_density = (a1 - 1) * np.log(x) + (b1 - 1) * log_complement - log_norm
            tail = log_tail(a2, b2, t / x, np.exp(log_width) / x)
            return log_density + tail + log_width + log_left

        peak = _peak(log_integrand, np.full_like(t, -250.0), np.full_like(t, 250.0))
        level = log_integrand(peak) - _DROP
        low = _crossing(log_integrand, level, peak, -1.0)
        high = _crossing(log_integrand, level, peak, 1.0)
        nodes = low + (high - low) * np.linspace(0.0, 1.0, self._nodes)
        spacing = (high - low)[:, 0] / (self._nodes - 1)
        log_p: Floats = special.logsumexp(log_integrand(nodes), axis=1) + np.log(spacing)
        if upper:
            return log_p
        # X <= t implies A <= t: the part of X's range that the integral leaves out.
        total: Floats = np.logaddexp(log_p, log_beta_cdf(a1, b1, t, rest)[:, 0])
        return total


@lru_cache(maxsize=256)
def product_law(a1: float, b1: float, a2: float, b2: float) -> ProductLaw:
    """The ``ProductLaw`` of these parameters, built once in a process."""
    return ProductLaw(a1, b1, a2, b2)


def _peak(function: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Where a unimodal function is largest, row by row, by golden sections."""
    golden = (np.sqrt(5.0) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(30):  # to 5e-4: it need not be the peak but for where the integrand is cut
        to_right = at_left < at_right
        low, high = np.where(to_right, left, low), np.where(to_right, high, right)
        new = np.where(to_right, low + golden * (high - low), high - golden * (high - low))
        value = function(new)
        left, right = np.where(to_right, right, new), np.where(to_right, new, left)
        at_left, at_right = (
            np.where(to_right, at_right, value),
            np.where(to_right, value, at_left),
        )
    best: Floats = np.where(at_left < at_right, right, left)
    return best


def _crossing(
    function: Callable[[Floats], Floats], level: Floats, peak: Floats, direction: float
) -> Floats:
    """A point beyond ``peak`` where ``function`` has just fallen below ``level``, row by row."""
    near, far = np.zeros_like(peak), np.full_like(peak, 1e-3)
    while (above := function(peak + direction * far) > level).any():
        near, far = np.where(above, far, near), np.where(above, 2 * far, far)
    for _ in range(5):
        middle = (near + far) / 2
        above = function(peak + direction * middle) > level
        near, far = np.where(above, middle, near), np.where(above, far, middle)
    return peak + direction * far
