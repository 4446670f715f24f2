"""The law of one adjacency entry when the spectral neurons are random (paper, 2.4 and 4.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from svr_widget.engine.significance.inversion import Inverse
from svr_widget.engine.significance.product_law import LAST_LOGIT, ProductLaw, product_law
from svr_widget.engine.significance.tails import Floats, log_beta_sf, log_gamma_sf

Kind = Literal["exact", "chi2"]
LOG_10 = math.log(10.0)
# An entry of exactly 1 is a rounded one: it is read as the largest double below 1.
LARGEST = 1.0 - 2.0**-53
_LAST_LOG = 50.0  # chi2 entries have no bound; log p is below -1e20 there for any shape


@dataclass(frozen=True)
class NullLaw:
    """Law of an adjacency entry between two independent, uniformly random unit vectors.

    The exact law (beyond the paper) is the product of two independent factors: the squared norm
    that the plain vector, of length ``p``, has in the ``s`` shared channels,
    ``Beta(s/2, (p-s)/2)``, and the squared norm of the projection of the vector that carries the
    kernel, of length ``d``, onto ``z`` dimensions, ``Beta(z/2, (d-z)/2)``. A factor whose second
    parameter is 0 is the constant 1.

    On an SVR link ``p`` is the length of the producer's ``U`` column and ``d`` that of the
    consumer's flattened ``V`` column (``z`` positions of ``q`` channels: ``z q``); a co-SVR link
    swaps the two sides; a cross link has ``z = 1``.

    Laws are hashable and equal by value; what is costly to build is built once in a process.

    Where a layer norm confines vectors to a hyperplane of their channels, its dimension counts in
    place of that of the whole space, and a producer whose vectors are single channels reaches it
    only in part: entries are then at most ``reach``.

    Attributes:
        shared: ``(s, p)``.
        kernel: ``(z, d)``.
        kind: ``"exact"``, or ``"chi2"`` for the paper's large-``c`` approximation
            ``mean / z * chi2(z)`` (theorems 2.1 and 4.1).
        reach: the largest entry there can be.

    Raises:
        ValueError: not ``1 <= s <= p``, ``1 <= z <= d``, or an unknown kind.
    """

    shared: tuple[int, int]
    kernel: tuple[int, int]
    kind: Kind = "exact"
    reach: float = 1.0

    def __post_init__(self) -> None:
        for name in ("shared", "kernel"):
            part, whole = getattr(self, name)
            if not 1 <= part <= whole:
                raise ValueError(f"{name} = {part, whole}: the part must lie in 1 ... the whole")
        if self.kind not in ("exact", "chi2"):
            raise ValueError(f"kind = {self.kind!r}: a null law is 'exact' or 'chi2'")

    @property
    def mean(self) -> float:
        """Expected entry, ``s/p * z/d`` (``s / (p q)`` where ``d = z q``) times ``reach``."""
        return self.reach * (self.shared[0] / self.shared[1]) * (self.kernel[0] / self.kernel[1])

    @property
    def constant(self) -> bool:
        """Whether every entry is ``reach`` whatever the vectors are, which tells nothing: p = 1."""
        return self.shared[0] == self.shared[1] and self.kernel[0] == self.kernel[1]

    def logsf(self, a: ArrayLike) -> Floats:
        """Natural log of the p-value ``P(A >= a)`` of each entry, in float64.

        Entries at or below 0 give 0; entries at or above ``reach`` (rounding takes them there) give
        the finite value of the largest double below 1 in its place. Relative error below 1e-9 for
        one factor, 1e-8 for two, down to p = 1e-300 and beyond.

        Args:
            a: entries, of any shape.
        """
        entries = np.asarray(a, dtype=np.float64)
        if self.constant:
            return np.zeros_like(entries)
        flat = entries.ravel()
        if self.kind == "chi2":
            log_p = log_gamma_sf(self.kernel[0] / 2, np.maximum(flat, 0.0) / self._scale)
        else:
            x = np.clip(flat / self.reach, 0.0, LARGEST)
            factor = self._factor
            if isinstance(factor, ProductLaw):
                log_p = factor.logsf(special.logit(x))
            else:
                log_p = log_beta_sf(*factor, x, 1.0 - x)
        return (log_p + 0.0).reshape(entries.shape)  # + 0.0: never -0.0

    def log10_p(self, a: ArrayLike) -> Floats:
        """``logsf`` in decimal logarithms."""
        return self.logsf(a) / LOG_10

    def isf(self, p: ArrayLike) -> Floats:
        """The entry whose p-value is ``p``, for ``p`` in (0, 1]."""
        return self.isf_log(np.log(np.asarray(p, dtype=np.float64)))

    def isf_log(self, log_p: ArrayLike) -> Floats:
        """The entry whose p-value is ``exp(log_p)``: the inverse of ``logsf``.

        Relative error about 1e-13. ``log_p = 0`` gives 0. Beyond the p-value of the largest
        double below 1, where no entry lies, the exact law gives ``inf``; a constant law gives
        ``inf`` below p = 1.

        Raises:
            ValueError: a ``log_p`` is positive or NaN.
        """
        wanted = np.asarray(log_p, dtype=np.float64)
        target = wanted.ravel()
        if not (target <= 0).all():
            raise ValueError("the logarithm of a p-value must be <= 0")
        out = np.where(target == 0, 0.0, np.inf)
        inside = (target < 0) & (target > -np.inf)
        if inside.any() and not self.constant:
            out[inside] = self._entry(_inverse(self)(target[inside]))
        return out.reshape(wanted.shape)

    # Along a coordinate that gives both ends of the support room: logit, or log where there is
    # no upper end.

    def _entry(self, coordinate: Floats) -> Floats:
        if self.kind == "chi2":
            return np.exp(coordinate)
        return np.where(coordinate == np.inf, np.inf, self.reach * special.expit(coordinate))

    def _log_at(self, coordinate: Floats) -> Floats:
        """``logsf`` at ``_entry(coordinate)``, with the digits of ``1 - entry`` kept."""
        if self.kind == "chi2":
            return log_gamma_sf(self.kernel[0] / 2, np.exp(coordinate) / self._scale)
        factor = self._factor
        if isinstance(factor, ProductLaw):
            return factor.logsf(coordinate)
        return log_beta_sf(*factor, special.expit(coordinate), special.expit(-coordinate))

    @property
    def _scale(self) -> float:
        """The paper's law is this times twice a Gamma(z/2) of unit scale."""
        return 2 * self.mean / self.kernel[0]

    @property
    def _factor(self) -> tuple[float, float] | ProductLaw:
        """Parameters of the one factor that is not constant, or the law of the product of two."""
        factors = [
            (part / 2, (whole - part) / 2)
            for part, whole in (self.shared, self.kernel)
            if part < whole
        ]
        return factors[0] if len(factors) == 1 else product_law(*factors[0], *factors[1])


@lru_cache(maxsize=1024)
def _inverse(law: NullLaw) -> Inverse:
    """Inverse of ``logsf`` along the coordinate, over all entries a double can tell from 0."""
    high = _LAST_LOG if law.kind == "chi2" else LAST_LOGIT
    return Inverse(law._log_at, -700.0, high)
