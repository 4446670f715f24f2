"""Factorisations on another device than the CPU: the same ways, for the matrices that they suit.

What they do not suit, matrices of small singular values and what does not fit into the device's
memory, comes back undone: the CPU's drivers do it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.decompose.drivers import EPSILON, GRAM_FLOOR, Array, Factors
from svr_widget.engine.errors import SVRError

Made = TypeVar("Made")
CPU = torch.device("cpu")


def known_device(device: str | torch.device | None) -> torch.device:
    """A device by its name; the CPU for None.

    Raises:
        SVRError: there is none of that name here, or it has no float64.
    """
    try:
        found = torch.device("cpu" if device is None else device)
    except (RuntimeError, TypeError) as error:
        raise SVRError(
            f"device={device!r} is no device of PyTorch's: {_first_line(error)}"
        ) from None
    if found.type == "cpu":
        return found
    if found.type == "meta":
        raise SVRError("device='meta' holds no numbers; leave device= out, or name a real device")
    try:
        there = torch.ones(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        raise SVRError(
            f"device={str(found)!r} cannot be used here: {_first_line(error)}; leave device= out "
            "to compute on the CPU"
        ) from None
    try:
        there.double()
    except (RuntimeError, TypeError) as error:
        raise SVRError(
            f"device={str(found)!r} has no float64, which singular values and the thresholds of "
            f"small p need: {_first_line(error)}; leave device= out to compute on the CPU"
        ) from None
    return found


def _first_line(error: BaseException) -> str:
    """What it says first; PyTorch goes on with all the devices that there might be."""
    line = str(error).strip().split("\n", 1)[0].split(". ", 1)[0]
    return line.rstrip(".") or type(error).__name__


def unless_full(made: Callable[[], Made]) -> Made | None:
    """What is made; None where the device has no memory left for it."""
    try:
        return made()
    except torch.OutOfMemoryError:
        torch.cuda.empty_cache()
        return None


def factorise_on(stack: Array, device: torch.device) -> Factors | None:
    """The thin SVDs of float32 matrices ``[g, m, n]`` by their Gram matrices in float64.

    None where one of them is not well enough conditioned, where they are in float64 themselves,
    or the device is too small.
    """
    if stack.dtype != np.float32 or 0 in stack.shape:
        return None
    return unless_full(lambda: _by_gram(torch.from_numpy(stack).to(device)))


def _by_gram(stack: Tensor) -> Factors | None:
    wide = stack if stack.shape[1] <= stack.shape[2] else stack.mT
    exact = wide.double()
    eigenvalues, left = torch.linalg.eigh(exact @ exact.mT)
    S, left = eigenvalues.flip(1).clamp(min=0).sqrt(), left.flip(2)
    if not bool(((S[:, 0] > 0) & (S[:, -1] >= GRAM_FLOOR * S[:, 0])).all()):
        return None
    right = exact.mT @ (left / S[:, None])
    U, V = (left, right) if wide is stack else (right, left)
    values = S.cpu().numpy()
    return Factors(
        U.float().cpu().numpy(),
        values,
        V.float().cpu().numpy(),
        EPSILON * values[:, :1] ** 2 / values,
        np.zeros(values.shape, np.bool_),
        ("gram",),
    )


def factorise_product_on(left: Array, right: Array, device: torch.device) -> Factors | None:
    """The thin SVDs of ``left [g, m, d] @ right [g, d, n]``, as ``factorise_product`` has them.

    None where the cores are not well enough conditioned, or the device is too small.
    """
    if not left.dtype == right.dtype == np.float32 or 0 in (*left.shape, *right.shape):
        return None
    return unless_full(
        lambda: _by_cores(*(torch.from_numpy(each).to(device).double() for each in (left, right)))
    )


def _by_cores(left: Tensor, right: Tensor) -> Factors | None:
    Q, R = torch.linalg.qr(left)
    P, T = torch.linalg.qr(right.mT)
    core = R @ T.mT
    if core.shape[1] != core.shape[2]:
        return None
    eigenvalues, turned = torch.linalg.eigh(core @ core.mT)
    S, turned = eigenvalues.flip(1).clamp(min=0).sqrt(), turned.flip(2)
    if not bool(((S[:, 0] > 0) & (S[:, -1] >= GRAM_FLOOR * S[:, 0])).all()):
        return None
    U, V = Q @ turned, P @ (core.mT @ (turned / S[:, None]))
    values = S.cpu().numpy()
    sizes = (torch.linalg.matrix_norm(R) * torch.linalg.matrix_norm(T)).cpu().numpy()[:, None]
    error: NDArray[np.float64] = EPSILON * sizes + EPSILON * values[:, :1] ** 2 / values
    null = max(left.shape[1], right.shape[2]) * EPSILON * sizes >= values
    return Factors(U.float().cpu().numpy(), values, V.float().cpu().numpy(), error, null, ("thin",))
