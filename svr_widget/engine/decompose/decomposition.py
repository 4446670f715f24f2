"""The spectral neurons of one linear map (paper, sections 2.2, 4.2 and 4.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svr_widget.engine.decompose.certificate import Certificate, certify
from svr_widget.engine.decompose.devices import CPU, factorise_on, factorise_product_on
from svr_widget.engine.decompose.drivers import Array, Factors, factorise, factorise_product
from svr_widget.engine.errors import SVRError, check_option

Flattening = Literal["svr", "cosvr"]
Normals = tuple[Tensor | None, Tensor | None]

# Two singular values closer than this many roundings (one of the weights' own precision relative to
# the value, plus the driver's error in it) leave their vectors free to rotate into one another.
CLUSTER_ROUNDINGS = 16
# Entries that are sums of products are off by a few roundings, not by half a one.
_ROUNDED_SUMS = 4


@dataclass(frozen=True, eq=False)
class Decomposition:
    """Spectral neurons of a map, by decreasing singular value; all tensors on the CPU.

    Attributes:
        U: output representations; SVR ``[out/groups, M]``, co-SVR ``[out/groups, *kernel, M]``.
            The component of largest magnitude of each neuron's ``U`` is positive.
        S: float64 ``[M]``, singular values.
        V: input representations; SVR ``[in/groups, *kernel, M]``, co-SVR ``[in/groups, M]``.
        null: bool ``[M]``; the singular value is zero to the driver's accuracy, so the vectors
            are arbitrary.
        clusters: int64 ``[M]``; neurons with one label have singular values too close for their
            vectors to be determined: only the space that they span means something.
        groups: int64 ``[M]``, the group of a grouped map that the neuron lives in.
        group_count: how many groups the map has; 1 for an ordinary one.
        certificate: the measured error of the whole decomposition, before any truncation.
        method: ``"svr"`` or ``"cosvr"``.
        rank: how many neurons the map has; more than ``len(S)`` where it was truncated.
        energy: the sum of squares of all ``rank`` singular values.
        confined: whether the columns of U and those of V lie in a hyperplane of their channels,
            because a layer norm is folded into the weight.
        rounding: how far an entry of the weight may lie from what it was rounded from, relative to
            itself; 0 where that is not known.

    Examples:
        >>> neurons = svr["0"]
        >>> neurons
        Decomposition(svr, 16 neurons, S[0]=5.267, driver='gram')
        >>> neurons.U.shape, neurons.S.shape, neurons.V.shape
        (torch.Size([16, 16]), torch.Size([16]), torch.Size([20, 16]))
        >>> weight = (neurons.U * neurons.S) @ neurons.V.T  # as neurons.weight((16, 20))
        >>> torch.allclose(weight.float(), model[0].weight, atol=1e-5)
        True
        >>> int(neurons.null.sum())  # the dead channel
        1
    """

    U: Tensor
    S: Tensor
    V: Tensor
    null: Tensor
    clusters: Tensor
    groups: Tensor
    group_count: int
    certificate: Certificate
    method: Flattening
    rank: int
    energy: float
    confined: tuple[bool, bool] = (False, False)
    rounding: float = 0.0

    @property
    def negligible(self) -> Tensor:
        """Null neurons, and those no larger than rounding makes the zeros of a map of low rank.

        A mask, bool ``[M]``.

        Such a neuron is known, and may be all that is left of a channel. But nothing says that it
        is more than the rounding of larger ones, and they do not carry on what it does.
        """
        squares = torch.zeros(self.group_count, dtype=self.S.dtype)
        norm = squares.index_add(0, self.groups, self.S.square()).sqrt()[self.groups]
        return self.null | (_ROUNDED_SUMS * self.rounding * norm >= self.S)

    def weight(self, shape: Sequence[int], kept: NDArray[np.int64] | None = None) -> Tensor:
        """``sum_k U_k S_k V_k^T`` as ``[out, in/groups, *kernel]``, float64.

        Of all neurons it is the map's weight, to the rounding of ``U`` and ``V``.

        Args:
            shape: of the weight.
            kept: indices of the neurons that are summed over; None for all.

        Examples:
            >>> weight = svr["0"].weight(svr.maps["0"].shape)
            >>> torch.allclose(weight.float(), model[0].weight, atol=1e-5)
            True
        """
        kept = np.arange(len(self)) if kept is None else kept
        blocks = []
        for group in range(self.group_count):
            U, S, V = of_group(self, kept, group)
            U, V = (each.reshape(len(each), each.shape[1:-1].numel(), len(S)) for each in (U, V))
            blocks.append(torch.einsum("oam,m,ibm->oiab", U, S, V))
        return torch.cat(blocks).reshape(tuple(shape))

    def factors(self, inner: int) -> tuple[Tensor, Tensor]:
        """Two matrices ``[out, inner]`` and ``[inner, in]`` whose product the neurons make.

        Only for maps without groups and without a kernel, of at most ``inner`` neurons.
        """
        left, right = self.U.new_zeros(len(self.U), inner), self.V.new_zeros(inner, len(self.V))
        left[:, : len(self)], right[: len(self)] = self.U * self.S, self.V.T
        return left, right

    def flattened_as(self, method: Flattening) -> Decomposition:
        """The same neurons under the other method; only for maps with one kernel position.

        There both flattenings are the same matrix.
        """
        kernel = (self.V if self.method == "svr" else self.U).shape[1:-1]
        if kernel.numel() != 1:
            raise SVRError(f"{method!r} flattens a kernel {tuple(kernel)} in another way")
        count = len(self)
        U, V = self.U.reshape(-1, count), self.V.reshape(-1, count)
        if method == "svr":
            V = V.reshape(-1, *kernel, count)
        else:
            U = U.reshape(-1, *kernel, count)
        return replace(self, U=U, V=V, method=method)

    def transposed(self, scaled: Callable[[Tensor, Tensor], Tensor] = torch.mul) -> Decomposition:
        """The neurons of the transposed map, for a map without groups and without a kernel.

        Args:
            scaled: gives vectors ``[channels, M]`` times signs ``[M]``.
        """
        signs = torch.from_numpy(_signs(self.V.numpy()[None])[0])
        turned = self.turned()
        return replace(turned, U=scaled(turned.U, signs), V=scaled(turned.V, signs))

    def turned(self) -> Decomposition:
        """Likewise, in the same memory: the signs remain those of this map."""
        certificate = replace(
            self.certificate,
            orthogonality_u=self.certificate.orthogonality_v,
            orthogonality_v=self.certificate.orthogonality_u,
        )
        confined = self.confined[::-1]
        return replace(self, U=self.V, V=self.U, certificate=certificate, confined=confined)

    @property
    def driver(self) -> str:
        """The driver that was used; joined by ``+`` where a grouped map needed several."""
        return self.certificate.driver

    def __len__(self) -> int:
        return len(self.S)

    def __repr__(self) -> str:
        count = f"{len(self)} of {self.rank}" if len(self) < self.rank else str(len(self))
        largest = f", S[0]={float(self.S[0]):.4g}" if len(self) else ""
        return f"Decomposition({self.method}, {count} neurons{largest}, driver={self.driver!r})"


def of_group(
    neurons: Decomposition, kept: NDArray[np.int64], group: int
) -> tuple[Tensor, Tensor, Tensor]:
    """``U [out/groups, *kernel, r]``, ``S [r]``, ``V [in/groups, *kernel, r]``, float64."""
    mine = torch.from_numpy(kept[neurons.groups.numpy()[kept] == group].astype(np.int64))
    return neurons.U[..., mine].double(), neurons.S[mine], neurons.V[..., mine].double()


def decompose(
    weight: Tensor,
    groups: int = 1,
    method: Flattening = "svr",
    rank: int | None = None,
    *,
    normals: Normals = (None, None),
    exact_certificate: bool = False,
    seed: int = 0,
    device: torch.device = CPU,
) -> Decomposition:
    """Decompose a canonical weight ``[out, in/groups, *kernel]``, float32 or float64 and finite.

    Args:
        weight: the weight; its values alone matter, it is not modified.
        groups: a grouped map is the direct sum of its groups: each is decomposed by itself and
            the neurons are merged by decreasing singular value.
        method: ``"svr"`` flattens to ``[out, in * z]`` (section 4.2), ``"cosvr"`` to
            ``[out * z, in]`` (section 4.4).
        rank: keep the first ``rank`` neurons of the full decomposition.
        normals: vectors over the output and the input channels that the weight is orthogonal to,
            for a weight of one group; there are no neurons for these directions.
        exact_certificate: form the certificate's norms in full instead of by random probes.
        seed: seeds the probes.
        device: where it is computed, as far as the matrices suit that (``devices.py``).

    Raises:
        SVRError: an unknown method, or a rank below 1.
    """
    _check_options(method, rank)
    if normals != (None, None):
        inner = orthogonal_to(weight, normals)
        reduced = decompose(
            inner,
            groups,
            method,
            rank,
            exact_certificate=exact_certificate,
            seed=seed,
            device=device,
        )
        return _outside(reduced, normals)
    kernel = tuple(weight.shape[2:])
    stack = flatten(weight, groups, method)
    factors = (factorise_on(stack, device) if device != CPU else None) or factorise(stack)
    _fix_signs(factors)
    certificate = certify(stack, factors, exact=exact_certificate, seed=seed)
    out_side, in_side = (weight.shape[0] // groups,), (weight.shape[1],)
    shapes = (out_side, in_side + kernel) if method == "svr" else (out_side + kernel, in_side)
    rounding = float(np.finfo(_dtype(weight)).eps)
    return _neurons(factors, certificate, shapes, rounding, groups, method, rank)


def decompose_product(
    left: Tensor,
    right: Tensor,
    method: Flattening = "svr",
    rank: int | None = None,
    *,
    normals: Normals = (None, None),
    exact_certificate: bool = False,
    seed: int = 0,
    device: torch.device = CPU,
) -> Decomposition:
    """Decompose ``left [out, d] @ right [d, in]`` into ``min(out, d, in)`` neurons.

    The product is never formed. Arguments, values and errors are otherwise those of ``decompose``;
    both flattenings are the same matrix.
    """
    _check_options(method, rank)
    if normals != (None, None):
        left = orthogonal_to(left, (normals[0], None))
        right = orthogonal_to(right, (None, normals[1]))
        reduced = decompose_product(
            left,
            right,
            method,
            rank,
            exact_certificate=exact_certificate,
            seed=seed,
            device=device,
        )
        return _outside(reduced, normals)
    stacks = flatten(left, 1, "svr"), flatten(right, 1, "svr")
    made = factorise_product_on(*stacks, device) if device != CPU else None
    factors = made or factorise_product(*stacks)
    _fix_signs(factors)
    certificate = certify(stacks, factors, exact=exact_certificate, seed=seed)
    shapes = (left.shape[0],), (right.shape[1],)
    rounding = float(np.finfo(np.promote_types(_dtype(left), _dtype(right))).eps)
    return _neurons(factors, certificate, shapes, rounding, 1, method, rank)


def _check_options(method: str, rank: int | None) -> None:
    check_method(method, get_args(Flattening))
    if rank is not None and rank < 1:
        raise SVRError(f"rank must be at least 1 (or None for all neurons), got {rank}")


def _neurons(
    factors: Factors,
    certificate: Certificate,
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    rounding: float,
    groups: int,
    method: Flattening,
    rank: int | None,
) -> Decomposition:
    """The first ``rank`` neurons; ``shapes`` are those of a column of U and of one of V."""
    merged = np.argsort(-factors.S.ravel(), kind="stable")
    kept = merged[:rank]

    def arrange(vectors: Array, shape: tuple[int, ...]) -> Tensor:
        if groups == 1:
            columns = vectors[0] if rank is None else np.ascontiguousarray(vectors[0][:, kept])
        else:
            columns = np.concatenate(list(vectors), axis=1)[:, kept]
        return torch.from_numpy(columns).reshape(*shape, len(kept))

    clusters = _clusters(factors, rounding)
    return Decomposition(
        U=arrange(factors.U, shapes[0]),
        S=torch.from_numpy(factors.S.ravel()[kept]),
        V=arrange(factors.V, shapes[1]),
        null=torch.from_numpy(factors.null.ravel()[kept]),
        clusters=torch.from_numpy(_by_first_appearance(clusters.ravel()[kept])),
        groups=torch.from_numpy(kept // max(factors.S.shape[1], 1)),
        group_count=groups,
        certificate=certificate,
        method=method,
        rank=len(merged),
        energy=float(np.sum(factors.S**2)),
        rounding=rounding,
    )


def orthogonal_to(weight: Tensor, normals: Normals) -> Tensor:
    """A weight in coordinates of what is orthogonal to the normals, along sides that have one."""
    out_normal, in_normal = normals
    if out_normal is not None:
        weight = inside(weight, out_normal)
    if in_normal is not None:
        weight = inside(weight.transpose(0, 1), in_normal).transpose(0, 1)
    return weight


def _outside(reduced: Decomposition, normals: Normals) -> Decomposition:
    U, V = (
        vectors if normal is None else outside(vectors, normal)
        for vectors, normal in zip((reduced.U, reduced.V), normals, strict=True)
    )
    signs = torch.from_numpy(_signs(U.flatten(end_dim=-2).numpy()[None])[0])
    confined = (normals[0] is not None, normals[1] is not None)
    return replace(reduced, U=U * signs, V=V * signs, confined=confined)


def check_method(method: str, known: tuple[str, ...]) -> None:
    """Raise ``SVRError`` with the nearest name unless ``method`` is one of ``known``."""
    check_option("method", method, known)


def _dtype(weight: Tensor) -> type[np.floating]:
    return np.float64 if weight.dtype == torch.float64 else np.float32


def flatten(weight: Tensor, groups: int, method: Flattening) -> Array:
    """The matrices of the groups: ``[groups, out/groups (* z), in/groups (* z)]``."""
    out_channels, in_channels = weight.shape[0] // groups, weight.shape[1]
    tensor = weight.detach().cpu().reshape(groups, out_channels, in_channels, -1)
    if method == "cosvr":
        tensor = tensor.transpose(2, 3).reshape(groups, -1, in_channels)
    else:
        tensor = tensor.reshape(groups, out_channels, -1)
    return np.ascontiguousarray(tensor.numpy(), dtype=_dtype(weight))


def _fix_signs(factors: Factors) -> None:
    """Make the component of largest magnitude of each column of U positive, in place."""
    signs = _signs(factors.U)
    np.multiply(factors.U, signs, out=factors.U)
    np.multiply(factors.V, signs, out=factors.V)


def _signs(vectors: Array) -> Array:
    """1 or -1 for each column of ``[g, m, M]``: the sign of its component of largest magnitude."""
    peak, dip = vectors.max(axis=1, initial=0.0), -vectors.min(axis=1, initial=0.0)
    negative = (dip > peak)[:, None, :]
    if np.any((dip == peak) & (peak > 0)):  # of two that are as large the first one counts
        largest = np.abs(vectors).argmax(axis=1)[:, None, :]
        negative = np.take_along_axis(vectors, largest, axis=1) < 0
    return np.where(negative, -1, 1).astype(vectors.dtype)


def _clusters(factors: Factors, rounding: float) -> NDArray[np.int64]:
    """Labels ``[g, M]`` of runs of near-equal singular values within each group."""
    S = factors.S
    tolerance = CLUSTER_ROUNDINGS * (rounding * S + factors.error)
    apart = S[:, :-1] - S[:, 1:] > tolerance[:, :-1]
    labels = np.zeros(S.shape, np.int64)
    labels[:, 1:] = np.cumsum(apart, axis=1)
    labels += S.shape[1] * np.arange(S.shape[0])[:, None]
    return labels


def _by_first_appearance(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Renumber labels 0, 1, 2... in the order in which they first appear."""
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))
    return np.asarray(place[inverse], dtype=np.int64)


def _reflected(tensor: Tensor, normal: Tensor) -> Tensor:
    """``tensor`` ``[channels, ...]`` under the reflection that exchanges ``normal`` and ``e_0``."""
    direction = normal.double() / normal.double().norm()
    mirror = direction.clone()
    mirror[0] += 1.0 if direction[0] >= 0 else -1.0
    mirror /= mirror.norm()
    flat = tensor.double().reshape(len(tensor), -1)
    flat = flat - 2 * torch.outer(mirror, mirror @ flat)
    return flat.reshape(tensor.shape)


def inside(tensor: Tensor, normal: Tensor) -> Tensor:
    """Coordinates ``[channels - 1, ...]`` of what is orthogonal to ``normal`` along dimension 0."""
    return _reflected(tensor, normal)[1:].to(tensor.dtype)


def outside(coordinates: Tensor, normal: Tensor) -> Tensor:
    """The inverse of ``inside``: ``[channels, ...]``."""
    padded = torch.cat([torch.zeros_like(coordinates[:1]), coordinates])
    return _reflected(padded, normal).to(coordinates.dtype)
