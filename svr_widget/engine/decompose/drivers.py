"""Three ways to the SVD of a matrix, and the choice between them by what the matrix needs.

``gram``    the Gram matrix of the short side in float64: as good as a float32 SVD in a fraction
            of its time, while no singular value falls below 1e-5 of the largest, or few do: they
            are found in what the others leave, down to 1e-9.
``lapack``  divide and conquer in float64: an error of a few ``eps * S[0]`` in every value.
``jacobi``  one-sided Jacobi after two pivoted triangular factorisations: small singular values
            keep their *relative* accuracy where rows or columns differ in scale, which is what
            near-kernels are made of (paper, section 5.2).

NumPy and SciPy may each bring a BLAS of their own, whose idle threads go on spinning for a while
on the cores that the other's now want: two cores took sixteen times as long for small matrices as
one. So all that is done for every map is NumPy's, as the products of adjacencies are; SciPy's are
the rare pivoted factorisations.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Array = NDArray[Any]
"""A float32 or float64 array."""

EPSILON = float(np.finfo(np.float64).eps)

# Below this ratio to S[0] an eigenvalue of the Gram matrix has lost too many digits: the relative
# error of its singular value, about eps * (S[0] / s)^2, passes 1e-6.
GRAM_FLOOR = 1e-5
# Below this ratio the long side's vectors A^T u / s are formed in float64. Above it a product in
# float32 leaves ||V^T V - I|| a quarter of what a float32 SVD does (8.5e-6 against 3.7e-5 on
# 512 x 4608 with singular values down to 0.03 S[0]).
SINGLE_FLOOR = 0.01
# Entries in this range are multiplied and summed in float32 without overflow or underflow.
SINGLE_RANGE = (1e-18, 1e18)
# Below this ratio the error of divide and conquer, a few eps * S[0], passes 1e-6 of the value.
LAPACK_FLOOR = 1e-9
# Jacobi beats divide and conquer by the spread of the sizes of rows or columns, and only by that.
LITTLE_SPREAD = 1e-3
# Below this condition number, in Frobenius norms, a triangular factor by way of the Gram matrix is
# right to eps times its square, 2e-8, which is less than what rounds a float32 weight.
CHOLESKY_CONDITION = 1e4
# Where one falls below that floor, neurons below this ratio are refined, if they are that few.
REFINED_BELOW = 1e-4
REFINED_SHARE = 0.25
# Entries that are turned to float64 at once: 2 MB, where a large weight as a whole takes gigabytes.
PART = 1 << 18


@dataclass(frozen=True)
class Factors:
    """Thin SVDs ``U diag(S) V^T`` of a stack of ``g`` matrices ``[m, n]``, ``M = min(m, n)``.

    Attributes:
        U: ``[g, m, M]``, V: ``[g, n, M]``, float32 where every matrix allowed it, else float64.
        S: float64 ``[g, M]``, decreasing within each matrix.
        error: float64 ``[g, M]``, the rounding error of the driver in each singular value.
        null: bool ``[g, M]``, the singular values that are zero to the driver's accuracy.
        drivers: the drivers that were used, most used first.
    """

    U: Array
    S: NDArray[np.float64]
    V: Array
    error: NDArray[np.float64]
    null: NDArray[np.bool_]
    drivers: tuple[str, ...]


@dataclass(frozen=True)
class _Single:
    """The thin SVD of one matrix."""

    U: Array
    S: NDArray[np.float64]
    V: Array
    error: NDArray[np.float64]
    null: NDArray[np.bool_]
    driver: str

    @property
    def transposed(self) -> _Single:
        return replace(self, U=self.V, V=self.U)


def factorise(stack: Array) -> Factors:
    """The thin SVDs of finite float32 or float64 matrices ``[g, m, n]``.

    float32 matrices go through their Gram matrices together; those that this does not suit, and
    float64 ones, go one by one through a driver that does.
    """
    count, rows, columns = stack.shape
    rank = min(rows, columns)
    U, V = (np.zeros((count, size, rank), stack.dtype) for size in (rows, columns))
    S, error = np.zeros((count, rank)), np.zeros((count, rank))
    null = np.zeros((count, rank), np.bool_)
    done = np.zeros(count, np.bool_)
    drivers = {"gram": 0}
    if stack.dtype == np.float32 and rank > 0:
        if rows <= columns:
            U, S, V, error, done = gram(stack)
        else:
            V, S, U, error, done = gram(stack.swapaxes(1, 2))
        drivers["gram"] = int(done.sum())
    if not done.all():
        U, V = U.astype(np.float64), V.astype(np.float64)
    for index in np.flatnonzero(~done):
        one = one_matrix(stack[index], tried=stack.dtype == np.float32)
        U[index], S[index], V[index] = one.U, one.S, one.V
        error[index], null[index] = one.error, one.null
        drivers[one.driver] = drivers.get(one.driver, 0) + 1
    used = sorted((name for name in drivers if drivers[name]), key=lambda name: -drivers[name])
    return Factors(U, S, V, error, null, tuple(used))


def in_parts(stack: Array, least: int = 1) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Some rows at a time of ``[g, m, n]`` in float64, at least so many; few stay in a cache."""
    count, rows, columns = stack.shape
    few = max(PART // max(count * columns, 1), least)
    for first in range(0, rows, few):
        part = slice(first, min(first + few, rows))
        yield part, stack[:, part].astype(np.float64, copy=False)


def gram(
    wide: Array,
) -> tuple[Array, NDArray[np.float64], Array, NDArray[np.float64], NDArray[np.bool_]]:
    """Factors of float32 matrices ``[g, m, n]``, ``m <= n``, by their Gram matrices.

    Returns:
        U ``[g, m, m]`` and V ``[g, n, m]`` in float32, S and the rounding error in it ``[g, m]``,
        and bool ``[g]``: whether the matrix is well enough conditioned; where False, the factors
        are not to be used.
    """
    count, rows, columns = wide.shape
    long = wide.swapaxes(1, 2)
    squares = np.zeros((count, rows, rows))
    for _, part in in_parts(long, rows):
        squares += part.swapaxes(1, 2) @ part  # NumPy sees the square of one: half the operations
    eigenvalues, left = np.linalg.eigh(squares)
    del squares
    left = left[:, :, ::-1]
    S = np.sqrt(np.maximum(eigenvalues[:, ::-1], 0.0))
    sizes = np.where(S > 0, S, 1.0)
    error = EPSILON * S[:, :1] ** 2 / sizes
    done = (S[:, 0] > 0) & (S[:, -1] >= GRAM_FLOOR * S[:, 0])
    right = np.zeros((count, columns, rows), np.float32)
    few = np.count_nonzero(REFINED_BELOW * S[:, :1] > S, axis=1) <= REFINED_SHARE * rows
    if not (done | few).any():  # nobody wants V
        return left.astype(np.float32), S, right, error, done
    peak = max(float(wide.max()), -float(wide.min()))
    strong = 0
    if SINGLE_RANGE[0] < peak < SINGLE_RANGE[1]:
        weakest = SINGLE_FLOOR * S[:, :1]
        strong = int(np.count_nonzero(weakest <= S, axis=1).min())
    if strong:
        scaled = np.empty((count, rows, strong), np.float32)
        np.divide(left[..., :strong], sizes[:, None, :strong], out=scaled, casting="same_kind")
        np.matmul(long, scaled, out=right[..., :strong])
    if strong < rows:
        exact = left[..., strong:] / sizes[:, None, strong:]
        for these, part in in_parts(long, rows):
            right[:, these, strong:] = part @ exact
    for index in np.flatnonzero(~done):
        done[index] = _refine(wide[index], left[index], S[index], right[index], error[index])
    return left.astype(np.float32), S, right, error, done


def _refine(
    wide: Array,
    left: NDArray[np.float64],
    S: NDArray[np.float64],
    right: Array,
    error: NDArray[np.float64],
) -> bool:
    """Find the weak neurons of one matrix in what the strong ones leave of it; all in place.

    The Gram matrix has lost the weak values and their ``V``, but it knows the space of their ``U``
    to ``eps * (S[0] / s)^2`` for each strong ``s``, less than a rounding in float32. So ``A^T U``
    of that space is small; what it has of the strong ``V`` comes of that error, and is taken out.
    The SVD of the rest has each value to a few ``eps * S[0]``, as one in float64 of the whole.

    Returns:
        Whether that is enough: there are few weak ones, and none is nearly null.
    """
    first = int(np.count_nonzero(REFINED_BELOW * S[0] <= S))
    if not 0 < len(S) - first <= REFINED_SHARE * len(S):
        return False
    weak = left[:, first:]
    small = np.concatenate([part[0] @ weak for _, part in in_parts(wide.T[None], len(S))])
    known = right[None, :, :first]
    common = sum(part[0].T @ small[these] for these, part in in_parts(known, len(S)))
    for these, part in in_parts(known, len(S)):
        small[these] -= part[0] @ common
    one = lapack(small.T)
    left[:, first:], right[:, first:] = weak @ one.U, one.V
    # At the border two values may lie closer to each other than the error of either.
    S[first:], error[first:] = np.minimum(one.S, S[first - 1]), EPSILON * S[0]
    return bool(one.S[-1] >= LAPACK_FLOOR * S[0])


def one_matrix(matrix: Array, *, tried: bool = False) -> _Single:
    """The SVD of one matrix by an accurate driver; ``tried`` where its Gram matrix did not do.

    Rows and columns that are exactly zero are set aside first: they give exact null neurons, whose
    output representation is the zero row itself.
    """
    rows, columns = (np.asarray(matrix.any(axis=axis)) for axis in (1, 0))
    if not rows.any():
        none, empty = np.zeros(0), np.zeros((0, 0))
        core = _Single(empty, none, empty, none, none > 0, "zero")
    elif rows.all() and columns.all():
        return _accurate(matrix, tried)
    else:
        core = _accurate(np.ascontiguousarray(matrix[np.ix_(rows, columns)]), False)
    rank = min(matrix.shape)
    padding = (0, rank - len(core.S))
    return _Single(
        _complete(core.U, rows, rank),
        np.pad(core.S, padding),
        _complete(core.V, columns, rank),
        np.pad(core.error, padding),
        np.pad(core.null, padding, constant_values=True),
        core.driver,
    )


def _accurate(matrix: Array, tried: bool) -> _Single:
    if matrix.shape[0] > matrix.shape[1]:
        return _accurate(matrix.T, tried).transposed
    if matrix.dtype == np.float32 and not tried:  # what it did not do for may be zero rows only
        U, S, V, error, done = gram(matrix[None])
        if done.all():
            return _Single(U[0], S[0], V[0], error[0], S[0] < 0, "gram")
    wide = matrix.astype(np.float64)
    size = np.abs(wide)
    row_spread = _spread(size.max(axis=1))
    if row_spread < LAPACK_FLOOR:  # a singular value below that is certain
        return jacobi(wide)
    factors = lapack(wide)
    spread = min(row_spread, _spread(size.max(axis=0)))
    if factors.S[-1] < LAPACK_FLOOR * factors.S[0] and spread < LITTLE_SPREAD:
        return jacobi(wide)
    return factors


def _spread(sizes: NDArray[np.float64]) -> float:
    return float(sizes.min() / sizes.max())


def lapack(wide: NDArray[np.float64]) -> _Single:
    """By divide and conquer in float64 on ``[m, n]``, ``m <= n``."""
    right, S, left = np.linalg.svd(wide.T, full_matrices=False)  # by gesdd
    error = np.full_like(S, EPSILON * S[0])
    return _Single(left.T, S, right, error, max(wide.shape) * error > S, "lapack")


def jacobi(wide: NDArray[np.float64]) -> _Single:
    """By one-sided Jacobi in float64 on ``[m, n]``, ``m <= n``, after a pivoted factorisation.

    The columns are sorted by size and the rows pivoted, so that the factorisation is stable row by
    row and column by column. A row that depends on larger ones to working precision leaves an
    exact zero on the diagonal: an exact null neuron, told apart from one that is merely tiny.
    """
    order = np.argsort(-np.abs(wide).max(axis=0), kind="stable")
    basis, upper, pivots = scipy.linalg.qr(
        wide.T[order], mode="economic", pivoting=True, check_finite=False
    )
    diagonal = np.abs(np.diagonal(upper))
    dependent = diagonal <= EPSILON * max(wide.shape) * np.abs(upper).max(axis=0)
    upper[dependent, dependent] = 0.0
    # joba 2: accurate for D1 C D2 with any diagonal D1, D2; jobr 0: keep even the tiniest columns.
    values, rotated, turned, work, _, info = scipy.linalg.lapack.dgejsv(
        np.asfortranarray(upper.T), joba=2, jobu=0, jobv=0, jobr=0, jobt=0, jobp=0
    )
    if info != 0:
        raise np.linalg.LinAlgError(f"one-sided Jacobi did not converge (dgejsv info {info})")
    left, right = np.empty_like(rotated), np.empty_like(basis)
    left[pivots] = rotated
    right[order] = basis @ turned
    S = values * (work[0] / work[1])
    null = np.arange(len(S)) >= len(S) - np.count_nonzero(dependent)
    S[null] = 0.0
    return _Single(left, S, right, EPSILON * S, null, "jacobi")


def _complete(vectors: Array, present: Array, total: int) -> Array:
    """Extend orthonormal columns on the ``present`` rows to ``total`` orthonormal columns.

    The zero rows' own unit vectors come first; then any orthonormal complement will do.
    """
    known = vectors.shape[1]
    complete = np.zeros((len(present), total), vectors.dtype)
    if known:
        complete[present, :known] = vectors
    absent = np.flatnonzero(~present)[: total - known]
    have = known + len(absent)
    complete[absent, np.arange(known, have)] = 1.0
    if have < total:
        span = vectors.astype(np.float64)
        others = np.random.default_rng(0).standard_normal((len(span), total - have))
        for _ in range(2):  # twice is enough: what is left of the span is then rounding
            others = np.linalg.qr(others - span @ (span.T @ others))[0]
        complete[present, have:] = others
    return complete


def factorise_product(left: Array, right: Array) -> Factors:
    """The thin SVDs of ``left [g, m, d] @ right [g, d, n]`` with ``min(m, d, n)`` values each.

    ``left = Q R`` and ``right^T = P T`` with orthonormal columns, so ``Q`` and ``P`` carry the
    singular vectors of the small core ``R T^T``. All in float64: at most ``4 (m + n) d^2``
    operations and a decomposition of ``d x d``, where the product alone has ``m n`` entries.
    """
    single = left.dtype == right.dtype == np.float32
    Q, P = [_triangular(each) for each in left], [_triangular(each.T) for each in right]
    cores = [one_matrix(one.R @ other.R.T) for one, other in zip(Q, P, strict=True)]
    U = np.stack([one.carry(core.U) for one, core in zip(Q, cores, strict=True)])
    V = np.stack([one.carry(core.V) for one, core in zip(P, cores, strict=True)])
    S = np.stack([core.S for core in cores])
    # Rounding in the core is relative to its factors, which may be far larger than the product.
    pairs = [
        (one.size * other.size, one.error + other.error) for one, other in zip(Q, P, strict=True)
    ]
    sizes, relative = np.array(pairs).T[:, :, None]
    error = EPSILON * sizes + relative * S
    null = max(left.shape[1], right.shape[2]) * EPSILON * sizes >= S
    if single and (S[:, -1] >= GRAM_FLOOR * S[:, 0]).all():
        U, V = U.astype(np.float32), V.astype(np.float32)
    return Factors(U, S, V, error, null, ("thin",))


@dataclass(frozen=True)
class _Triangular:
    """A matrix ``[m, d]`` as ``rows @ turn @ R``, where ``rows @ turn`` has orthonormal columns.

    ``error`` is that of ``R`` relative to itself, to which each singular value of a product with
    it is off relative to *itself*; 0 where it is a few roundings.
    """

    rows: Array
    turn: Array
    R: Array
    error: float

    @property
    def size(self) -> float:
        return float(np.linalg.norm(self.R))

    def carry(self, vectors: Array) -> Array:
        """Orthonormal vectors among the rows of ``R``, as vectors among those of the matrix."""
        return np.asarray(self.rows @ (self.turn @ vectors))


def _triangular(matrix: Array) -> _Triangular:
    """By Cholesky's factorisation of its Gram matrix where float32 needs no more, else by QR."""
    exact = matrix.astype(np.float64)
    if matrix.dtype == np.float32 and matrix.shape[0] >= matrix.shape[1]:
        with suppress(np.linalg.LinAlgError):  # it is singular to working precision
            R = np.linalg.cholesky(exact.T @ exact).T
            inverse = np.linalg.inv(R)
            condition = float(np.linalg.norm(R) * np.linalg.norm(inverse))
            if condition < CHOLESKY_CONDITION:
                return _Triangular(exact, inverse, R, EPSILON * condition**2)
    Q, R = np.linalg.qr(exact)
    return _Triangular(Q, np.eye(len(R)), R, 0.0)
