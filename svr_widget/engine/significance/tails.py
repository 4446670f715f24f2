"""Logarithms of survival functions, exact where the probability itself underflows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]

# Below 1e-270 scipy's incomplete functions lose digits to underflow inside; well above that a
# continued fraction of the logarithm takes over.
UNDERFLOW = 1e-200
_TINY = 1e-300
_MAX_TERMS = 100_000


def log_beta_sf(a: float, b: float, x: Floats, complement: Floats) -> Floats:
    """Natural log of ``P(X >= x)`` for ``X ~ Beta(a, b)``.

    Args:
        a: first shape parameter, > 0.
        b: second shape parameter, > 0.
        x: points in [0, 1].
        complement: ``1 - x`` as exactly as the caller knows it: near ``x = 1`` it carries the
            digits of the tail.

    Returns:
        log survival, shape of ``x``; ``-inf`` where ``complement`` is 0. Relative error about
        1e-14 where the probability is above 1e-200, and about 1e-12 below.
    """
    tail = special.betainc(b, a, complement)
    out = np.empty_like(tail)
    upper = tail < 0.5
    deep = (tail < UNDERFLOW) & (complement > 0)
    plain = upper & ~deep
    out[~upper] = np.log1p(-special.betainc(a, b, x[~upper]))
    with np.errstate(divide="ignore"):
        out[plain] = np.log(tail[plain])
    if deep.any():
        out[deep] = _log_beta_tail(a, b, x[deep], complement[deep])
    return out


def log_beta_cdf(a: float, b: float, x: Floats, complement: Floats) -> Floats:
    """Natural log of ``P(X <= x)`` for ``X ~ Beta(a, b)``; see ``log_beta_sf``."""
    return log_beta_sf(b, a, complement, x)


def log_gamma_sf(a: float, x: Floats) -> Floats:
    """Natural log of ``P(X >= x)`` for ``X ~ Gamma(a)`` with unit scale.

    Args:
        a: shape parameter, > 0 (half the degrees of freedom of a chi-squared law).
        x: points >= 0.
    """
    tail = special.gammaincc(a, x)
    out: Floats = np.empty_like(x)
    upper = tail < 0.5
    deep = tail < UNDERFLOW
    plain = upper & ~deep
    out[~upper] = np.log1p(-special.gammainc(a, x[~upper]))
    out[plain] = np.log(tail[plain])
    if deep.any():
        out[deep] = _log_gamma_tail(a, x[deep])
    return out


def _log_beta_tail(a: float, b: float, x: Floats, y: Floats) -> Floats:
    """Upper tail far beyond the mean, by the continued fraction DLMF 8.17.22 in ``y = 1 - x``."""

    def coefficients(j: int) -> tuple[Floats, float]:
        m, odd = divmod(j, 2)
        if odd:
            numerator = -(b + m) * (a + b + m) / ((b + 2 * m) * (b + 2 * m + 1)) * y
        else:
            numerator = m * (a - m) / ((b + 2 * m - 1) * (b + 2 * m)) * y
        return numerator, 1.0

    log_y = np.where(x < 0.5, np.log1p(-np.minimum(x, 0.5)), np.log(y))
    log_x = np.where(y < 0.5, np.log1p(-np.minimum(y, 0.5)), np.log(x))
    front = b * log_y + a * log_x - np.log(b) - special.betaln(a, b)
    out: Floats = front - np.log(_continued_fraction(np.ones_like(y), coefficients))
    return out


def _log_gamma_tail(a: float, x: Floats) -> Floats:
    """Upper tail far beyond the mean, by the continued fraction DLMF 8.9.2 (even part)."""

    def coefficients(j: int) -> tuple[float, Floats]:
        return j * (a - j), x + (2 * j + 1 - a)

    front = a * np.log(x) - x - special.gammaln(a)
    out: Floats = front - np.log(_continued_fraction(x + (1 - a), coefficients))
    return out


def _continued_fraction(
    first: Floats, coefficients: Callable[[int], tuple[Floats | float, Floats | float]]
) -> Floats:
    """``first + n1 / (d1 + n2 / (d2 + ...))`` by the modified Lentz algorithm.

    ``coefficients(j)`` gives ``(n_j, d_j)``.

    Raises:
        ArithmeticError: no convergence; the point is not far in the tail.
    """
    value = first.copy()
    c = first.copy()
    d = np.zeros_like(first)
    for j in range(1, _MAX_TERMS):
        numerator, denominator = coefficients(j)
        d = denominator + numerator * d
        d[d == 0] = _TINY
        c = denominator + numerator / c
        c[c == 0] = _TINY
        d = 1 / d
        factor = c * d
        value *= factor
        if np.abs(factor - 1).max() < 1e-15:
            return value
    raise ArithmeticError("the continued fraction of a tail did not converge")
