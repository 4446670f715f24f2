"""The weighted adjacency of one link (paper, sections 2.2, 4.2, 4.4 and 5.2.1).

With ``u`` the producer's output representations and ``v`` the consumer's input representations,
``A[n, m] = sum_z (sum_k u[k, m] v[k, z, n])^2`` over the channels ``k`` that the link carries and
the kernel positions ``z``, which the consumer has in the SVR and the producer in the co-SVR. Rows
are the consumer's neurons, columns the producer's. Matrices are torch tensors on the CPU, float32,
or float64 where one of the two decompositions is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from svr_widget.engine.decompose import Decomposition, Flattening, check_method
from svr_widget.engine.environment.settings import methods_with_own_settings
from svr_widget.engine.errors import SVRError, WidthMismatchError
from svr_widget.engine.graph.group_blocks import Block, take, tiles
from svr_widget.engine.graph.internal_dimensions import (
    InternalDimensions,
    intensity,
    internal_dimensions,
)
from svr_widget.engine.maps.links import Link
from svr_widget.engine.maps.read_only import array_of, read_only
from svr_widget.engine.significance.entries import LinkTests
from svr_widget.engine.significance.intensity_null import RandomColumn, intensity_p_values
from svr_widget.engine.significance.multiple_testing import LEVELS, Significance
from svr_widget.engine.significance.nulls import Kind, NullLaw
from svr_widget.engine.significance.random_frames import Frame, RandomFrames

Method = Literal["svr", "cosvr", "cross"]

Neurons = int | slice | Sequence[int] | Tensor
"""Which neurons: one index, a slice or several indices."""

Places = NDArray[np.intp]

_SIDES: dict[Method, tuple[Flattening, Flattening]] = {
    "svr": ("svr", "svr"),
    "cosvr": ("cosvr", "cosvr"),
    "cross": ("svr", "cosvr"),
}
_ALL = slice(None)
_CPU = torch.device("cpu")


def sides(method: Method) -> tuple[Flattening, Flattening]:
    """The flattenings of producer and consumer whose neurons a method joins."""
    check_method(method, get_args(Method))
    return _SIDES[method]


class Edges(NamedTuple):
    """Entries of an adjacency by decreasing weight, as parallel arrays.

    Attributes:
        m: int64, the producer's neurons.
        n: int64, the consumer's neurons.
        weight: the entries.
        part: int16, the index of each entry's law in ``Adjacency.laws``.
    """

    m: NDArray[np.int64]
    n: NDArray[np.int64]
    weight: NDArray[np.floating]
    part: NDArray[np.int16]


@methods_with_own_settings
class Adjacency:
    """The edges of a link: ``dense()`` is ``[consumer's neurons, producer's neurons]``.

    Everywhere here ``n`` is a neuron of the consumer, ``m`` one of the producer.

    Args:
        link: which channels travel.
        producer: decomposition of the producing map, flattened as ``sides(method)`` says.
        consumer: decomposition of the consuming map, likewise.
        method: ``"svr"``, ``"cosvr"`` or ``"cross"`` (SVR to co-SVR, without any kernel).
        null: law of an entry under chance, ``"exact"`` or the paper's ``"chi2"``.
        seed: seeds the simulation behind ``internal_dimensions``.
        counted: gives the matrix as it was counted with others; None where it was not.
        device: where products are computed; matrices are given out on the CPU.

    Raises:
        SVRError: a decomposition of the wrong flattening, a method that the link does not allow,
            or channels that travel unequally often.
        WidthMismatchError: the link names channels that a map does not have.

    Examples:
        >>> adjacency = svr.adjacency(("0", "2"))
        >>> adjacency.shape  # 12 neurons of the consumer "2", 16 of the producer "0"
        (12, 16)
        >>> round(adjacency.mean(), 4)  # of an entry under chance
        0.0625
    """

    def __init__(
        self,
        link: Link,
        producer: Decomposition,
        consumer: Decomposition,
        method: Method = "svr",
        *,
        null: Kind = "exact",
        seed: int = 0,
        counted: Callable[[], Tensor | None] = lambda: None,
        device: torch.device = _CPU,
    ) -> None:
        if (producer.method, consumer.method) != sides(method):
            raise SVRError(
                f"method {method!r} joins {' and '.join(sides(method))} decompositions, "
                f"got {producer.method} and {consumer.method}"
            )
        self.link, self.producer, self.consumer = link, producer, consumer
        self.method, self.null, self.seed = method, null, seed
        self._counted, self._device = counted, device
        dtype = torch.promote_types(producer.U.dtype, consumer.V.dtype)
        self._U = producer.U.to(dtype).reshape(producer.U.shape[0], -1, len(producer))
        self._V = consumer.V.to(dtype).reshape(consumer.V.shape[0], -1, len(consumer))
        self._V_length = self._V.shape[0] * self._V.shape[1]
        self._check(link.producer, link.producer_channels, self._U.shape[0], producer)
        self._check(link.consumer, link.consumer_channels, self._V.shape[0], consumer)
        self.kernel = tuple((producer.U if method == "cosvr" else consumer.V).shape[1:-1])
        self._sent, self._read = link.producer_channels, link.consumer_channels
        if self._read.ndim == 2:
            self._read_flat_features()
        if len(torch.unique(self._sent)) < len(self._sent):
            self._widen_repeated_channels()

    def _widen_repeated_channels(self) -> None:
        """Read a producer whose channels all travel ``g`` times as one of ``g p`` channels.

        Keys and values that several heads share travel so, and a gate that scales every channel.
        Repeated and divided by ``sqrt(g)``, output representations are orthonormal again.
        """
        times = torch.bincount(self._sent, minlength=self._U.shape[0])
        if self.producer.group_count > 1 or times.min() < times.max():
            raise SVRError(
                f"{self.name} carries some channels of {self.link.producer!r} more often than "
                "others, for which no adjacency is defined; leave the map out by exclude="
                f"{self.link.producer!r}, or give links="
            )
        self._U = self._U[self._sent] / float(times[0]) ** 0.5
        self._sent = torch.arange(len(self._sent))

    def _read_flat_features(self) -> None:
        """Turn int64 ``[s, z]`` features of a flattening consumer into a kernel of z positions."""
        positions = int(self._read.shape[1])
        plain = self._V.shape[1] == 1 and self.consumer.group_count == 1
        if not plain or (positions > 1 and self.method != "svr"):
            raise SVRError(
                f"{self.name} flattens channels of different extents together, so the consumer "
                f"has no one kernel: method {self.method!r} is not defined on it, 'svr' is"
            )
        self.kernel = (positions,) if positions > 1 else ()
        self._V = self._V[self._read, 0]
        self._read = torch.arange(len(self._read))

    def _check(self, name: str, channels: Tensor, width: int, side: Decomposition) -> None:
        width *= side.group_count
        if channels.numel() and not 0 <= int(channels.min()) <= int(channels.max()) < width:
            raise WidthMismatchError(
                f"{self.name} names channels {int(channels.min())} to {int(channels.max())} of "
                f"{name!r}, which has {width}"
            )

    @property
    def name(self) -> str:
        """The link in words."""
        return f"link {self.link.producer!r} -> {self.link.consumer!r}"

    @property
    def shape(self) -> tuple[int, int]:
        """``(n, m)``: the numbers of the consumer's and of the producer's neurons."""
        return len(self.consumer), len(self.producer)

    def __repr__(self) -> str:
        return f"Adjacency({self.name}, {self.method}, {self.shape[0]} x {self.shape[1]})"

    # Entries.

    def dense(self) -> Tensor:
        """The whole matrix, ``[consumer's neurons, producer's neurons]``.

        Null neurons are included. It is kept, and read-only.

        Examples:
            >>> dense = svr.adjacency(("0", "2")).dense()
            >>> round(dense[0, 0].item(), 2)  # consumer's neuron 0, producer's neuron 0
            0.99
            >>> dense.shape
            torch.Size([12, 16])
        """
        return self._dense

    def frame(self) -> pd.DataFrame:
        """``dense()`` with labels: rows are the consumer's neurons, columns the producer's.

        Returns:
            A table of its own, index ``"consumer neuron"``, columns ``"producer neuron"``;
            ``attrs`` has the names of the maps, ``"consumer"`` and ``"producer"``.

        Examples:
            >>> frame = svr.adjacency(("0", "2")).frame()
            >>> frame.shape, frame.index.name, frame.columns.name
            ((12, 16), 'consumer neuron', 'producer neuron')
            >>> float(frame.loc[0, 0].round(2)), frame.attrs
            (0.99, {'consumer': '2', 'producer': '0'})
        """
        rows, columns = (
            pd.RangeIndex(count, name=f"{side} neuron")
            for count, side in zip(self.shape, ("consumer", "producer"), strict=True)
        )
        frame = pd.DataFrame(array_of(self.dense()), rows, columns, copy=True)
        frame.attrs |= {"consumer": self.link.consumer, "producer": self.link.producer}
        return frame

    @cached_property
    def _dense(self) -> Tensor:
        counted = self._counted()
        return read_only(self._from_tiles() if counted is None else counted)

    def _from_tiles(self) -> Tensor:
        places = list(tiles(self.shape))
        if len(places) == 1:
            return self.entries().cpu()
        dense = torch.empty(self.shape, dtype=self._U.dtype)
        for rows, columns in places:
            dense[rows, columns] = self.entries(rows, columns).cpu()
        return dense

    def entries(self, rows: slice = _ALL, cols: slice = _ALL) -> Tensor:
        """Some of the entries, computed anew on the device: rows are the consumer's neurons.

        As floating-point products go, those of other slices differ in their last bits; ``dense()``
        is put together from tiles of at most ``TILE`` neurons.
        """
        if self._meetings and not self.grouped:
            [whole] = self._blocks(rows, cols)
            return whole.squares(self._device)
        shape = [
            len(range(size)[part]) for size, part in zip(self.shape, (rows, cols), strict=True)
        ]
        found = torch.zeros(shape, dtype=self._U.dtype, device=self._device)
        for block in self._blocks(rows, cols):
            at = block.rows[:, None].to(self._device), block.columns.to(self._device)
            found[at] = block.squares(self._device)
        return found

    @property
    def grouped(self) -> bool:
        """Whether one of the two maps has several groups."""
        return max(self.producer.group_count, self.consumer.group_count) > 1

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Of the entries, float32 or float64."""
        return array_of(self._U[:0]).dtype

    def signed(self) -> Tensor:
        """``V^T U`` (Fig 7), ``[consumer's neurons, producer's neurons]``.

        Its square is ``dense()``.

        Raises:
            SVRError: the link has a kernel, so that an entry is a sum and has no sign.

        Examples:
            >>> adjacency = svr.adjacency(("0", "2"))
            >>> torch.allclose(adjacency.signed() ** 2, adjacency.dense())
            True
        """
        if math.prod(self.kernel) > 1:
            raise SVRError(
                f"{self.name} has a kernel {self.kernel}, so its entries have no sign; "
                "effective_filters(rows, cols) gives the signed filters, method='cross' a signed "
                "matrix"
            )
        return self.effective_filters().reshape(self.shape)

    def effective_filters(self, rows: Neurons = _ALL, cols: Neurons = _ALL) -> Tensor:
        """The filters ``A_{n,m}`` (4.2), ``[consumer's neurons, producer's neurons, *kernel]``.

        ``A_{n,m} = sum_k u[k, m] v[k, *, n]``, signed; ``A[n, m] = ||A_{n,m}||_F^2``.

        Args:
            rows: the consumer's neurons.
            cols: the producer's neurons.

        Examples:
            >>> svr.adjacency(("0", "2")).effective_filters(rows=[0, 1], cols=0).shape
            torch.Size([2, 1])
        """
        chosen_rows, chosen_cols = _indices(rows, self.shape[0]), _indices(cols, self.shape[1])
        shape = len(chosen_rows), len(chosen_cols), math.prod(self.kernel)
        filters = torch.zeros(shape, dtype=self._U.dtype)
        for block in self._blocks(chosen_rows, chosen_cols):
            filters[block.rows[:, None], block.columns] = block.filters()
        return filters.reshape(*shape[:2], *self.kernel)

    def _blocks(self, rows: Tensor | slice, cols: Tensor | slice) -> Iterator[Block]:
        """The blocks of the chosen neurons where a group of each map shares channels."""
        U, V = self._U[..., cols], self._V[..., rows]
        row_groups, column_groups = self.consumer.groups[rows], self.producer.groups[cols]
        for g, h, shared in self._meetings:
            columns = torch.nonzero(column_groups == g).flatten()
            places = torch.nonzero(row_groups == h).flatten()
            u = U if len(columns) == U.shape[2] else U[..., columns]
            v = V if len(places) == V.shape[2] else V[..., places]
            sent = self._sent[shared] - g * U.shape[0]
            read = self._read[shared] - h * V.shape[0]
            u = take(u, sent)
            if self.link.signs is not None:
                u = u * self.link.signs[shared, None, None].to(u.dtype)
            yield Block(places, columns, u, take(v, read))

    @cached_property
    def _meetings(self) -> list[tuple[int, int, Tensor]]:
        """Producer's group, consumer's group, the link's channels that pass between them."""
        groups = self.consumer.group_count
        pair = (self._sent // self._U.shape[0]) * groups + self._read // self._V.shape[0]
        pairs, inverse, sizes = torch.unique(pair, return_inverse=True, return_counts=True)
        parts = torch.split(torch.argsort(inverse, stable=True), sizes.tolist())
        return [(*divmod(int(each), groups), part) for each, part in zip(pairs, parts, strict=True)]

    # Laws and tests.

    @cached_property
    def laws(self) -> tuple[NullLaw, ...]:
        """The laws of the entries, those with most shared channels first.

        One for a plain link, none for a link that carries no channel, several where the groups of
        the two maps overlap by different numbers of channels.
        """
        shared = sorted({len(part) for _, _, part in self._meetings}, reverse=True)
        return tuple(self._law(s) for s in shared)

    def _law(self, s: int) -> NullLaw:
        (p, y), (q, z) = self._U.shape[:2], self._V.shape[:2]
        length, reach = self._V_length, 1.0
        if self._single_channels_into_hyperplane:
            reach -= 1 / q
        else:
            s -= any(self._confined)
        p, q, length = p - self._confined[0], q - self._confined[1], length - z * self._confined[1]
        if y > 1 or (z == 1 and s == q == length):
            return NullLaw(shared=(s, q), kernel=(y, p * y), kind=self.null, reach=reach)
        return NullLaw(shared=(s, p), kernel=(z, length), kind=self.null, reach=reach)

    @property
    def _confined(self) -> tuple[bool, bool]:
        """Whether the vectors of the producer, of the consumer lie in a hyperplane of channels.

        ``normalisation.fold`` sees to it that this is one hyperplane, and that all channels travel.
        """
        return self.producer.confined[0], self.consumer.confined[1]

    @property
    def _single_channels_into_hyperplane(self) -> bool:
        return self._confined[1] and self.producer.group_count > 1

    @property
    def law(self) -> NullLaw:
        """The law of every entry.

        Raises:
            SVRError: there are none or several, see ``laws``.
        """
        if len(self.laws) != 1:
            raise SVRError(f"{self.name} has {len(self.laws)} laws, not one: see laws and parts()")
        return self.laws[0]

    def parts(self, rows: slice = _ALL, cols: slice = _ALL) -> NDArray[np.int16]:
        """Which law each entry follows, int16 ``[consumer's neurons, producer's neurons]``.

        An index into ``laws``; -1 for entries that are no test.

        No tests are structural zeros (groups that share no channel) and null neurons.
        """
        parts = self._parts_of_groups(rows, cols)
        parts[self.consumer.null.numpy()[rows]] = -1
        parts[:, self.producer.null.numpy()[cols]] = -1
        return parts

    def _parts_of_groups(self, rows: slice = _ALL, cols: slice = _ALL) -> NDArray[np.int16]:
        index = {law: part for part, law in enumerate(self.laws)}
        table = np.full((self.consumer.group_count, self.producer.group_count), -1, np.int16)
        for g, h, shared in self._meetings:
            table[h, g] = index[self._law(len(shared))]
        row_groups = self.consumer.groups.numpy()[rows]
        column_groups = self.producer.groups.numpy()[cols]
        if table.size == 1:
            return np.full((len(row_groups), len(column_groups)), table[0, 0])
        return np.asarray(table[row_groups[:, None], column_groups])

    def mean(self) -> float | NDArray[np.float64]:
        """The expected entry; ``[consumer's, producer's neurons]`` where entries differ in it."""
        return self.means()

    def means(self, rows: slice = _ALL, cols: slice = _ALL) -> float | NDArray[np.float64]:
        """The expected entry where all have the same, else that of each of some."""
        if len(self.laws) == 1 and not self.grouped:
            return self.law.mean
        parts = self._parts_of_groups()
        if len(self.laws) == 1 and (parts >= 0).all():
            return self.law.mean
        means = np.array([*(law.mean for law in self.laws), 0.0])
        return np.asarray(means[parts[rows, cols]])

    def tests(self, null: Kind | None = None) -> tuple[LinkTests, ...]:
        """The tested entries of each law, sorted ascending, as ``Significance`` takes them."""
        laws = (replace(law, kind=null or self.null) for law in self.laws)
        return tuple(LinkTests(law, w) for law, w in zip(laws, self._sorted, strict=True))

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.floating], ...]:
        dense, parts = array_of(self.dense()), self.parts()
        return tuple(read_only(np.sort(dense[parts == p])) for p in range(len(self.laws)))

    def above(self, weights: Sequence[float]) -> Edges:
        """The tested entries that reach the weight given for their law, strongest first."""
        dense, parts = array_of(self.dense()), self.parts()
        strong = np.zeros(self.shape, np.bool_)
        for part, weight in enumerate(weights):
            strong |= (parts == part) & (dense >= weight)
        n, m = np.nonzero(strong)
        order = np.argsort(-dense[n, m], kind="stable")
        n, m = n[order], m[order]
        return Edges(m, n, dense[n, m], parts[n, m])

    def edges(
        self,
        *,
        p: float | None = None,
        sigma: float | None = None,
        fdr: float | None = None,
        bonferroni: float | None = None,
        null: Kind | None = None,
    ) -> Edges:
        """The entries that are significant among those of this link, strongest first.

        Levels as in ``SVR.edges``, which looks at the whole graph; ``fdr=0.05`` by default.

        Examples:
            >>> found = svr.adjacency(("0", "2")).edges(fdr=0.05)
            >>> found.n, found.m, found.weight.round(2)
            (array([0]), array([0]), array([0.99]))
        """
        if p is sigma is fdr is bonferroni is None:
            fdr = LEVELS["fdr"].default
        significance = Significance(dict(enumerate(self.tests(null))))
        cut = significance.cut(p=p, sigma=sigma, fdr=fdr, bonferroni=bonferroni)
        return self.above([cut.weight[part] for part in significance.tests])

    def logsf(self, weights: ArrayLike) -> NDArray[np.float64]:
        """Natural log of ``P(A >= weight)`` under chance.

        Args:
            weights: any shape where the link has one law, else ``[n, m]``, entry by entry; what
                is no test has 0 there (``p = 1``).
        """
        a = np.asarray(weights, np.float64)
        if len(self.laws) == 1:
            return np.asarray(self.law.logsf(a))
        if a.shape != self.shape:
            raise SVRError(f"{self.name} has {len(self.laws)} laws: weights must be {self.shape}")
        parts, result = self.parts(), np.zeros(a.shape)
        for part, law in enumerate(self.laws):
            result[parts == part] = law.logsf(a[parts == part])
        return result

    def isf(self, p: float) -> float:
        """The weight that chance reaches with probability ``p``; see ``law``."""
        return float(self.law.isf(p))

    # Structure.

    def entropy(self) -> float:
        """``-sum A log A`` over all entries, with ``0 log 0 = 0``."""
        return float(torch.special.entr(self.dense().double()).sum())

    def intensity(self) -> NDArray[np.float64]:
        """``max_i sum_{k <= i} (A[k, m] - mean)`` of each of the producer's neurons (section 3.2).

        Clipped at 0, not yet divided by the map's maximum: float64 ``[m]``, read-only.
        """
        return self._intensity

    @cached_property
    def _intensity(self) -> NDArray[np.float64]:
        _, columns, dense, mean = self._without(self.consumer.null, self.producer.null)
        found = np.zeros(self.shape[1])
        found[columns] = intensity(dense, mean)
        return read_only(found)

    def intensity_p_values(
        self, intensities: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """How likely a random neuron is at least as intense (beyond the paper), float64 ``[m]``.

        NaN for what is no test: null neurons, and on a link by construction all.

        Args:
            intensities: what ``intensity`` gives, where that is known.
        """
        p_values = np.full(self.shape[1], np.nan)
        if self.link.by_construction:
            return p_values
        if intensities is None:
            intensities = self.intensity()
        null, groups = self.producer.null.numpy(), self.producer.groups.numpy()
        for group in np.unique(groups[~null]):
            mine = ~null & (groups == group)
            column = self.random_column(int(group))
            p_values[mine] = intensity_p_values(intensities[mine], column, self.seed)
        return p_values

    def random_column(self, group: int) -> RandomColumn:
        """What the column of a neuron of one of the producer's groups is under chance."""
        (p, y), (q, z) = self._U.shape[:2], self._V.shape[:2]
        confined, reach = self._confined, 1.0
        if self._single_channels_into_hyperplane:
            reach -= 1 / q
        sent, removed = p - confined[0], any(confined) and reach == 1.0
        meeting = [(h, len(part) - removed) for g, h, part in self._meetings if g == group]
        order = np.full(self.consumer.group_count, -1)
        rows = self.consumer.groups.numpy()[~self.consumer.null.numpy()]
        # Groups are told apart by their order of appearance, so that equal columns compare equal.
        shared = dict(meeting)
        seen = [h for h in dict.fromkeys(rows.tolist()) if h in shared]
        order[seen] = np.arange(len(seen))
        told = order[rows]
        return RandomColumn(
            (int(sent), int(y)),
            tuple(shared[h] for h in seen),
            (int(self._V_length - z * confined[1]), int(z)),
            tuple(told[told >= 0].tolist()),
            reach,
        )

    def internal_dimensions(self) -> InternalDimensions:
        """``(d_out, d_in, deviation, p_value)`` of the block of strong entries (section 3.2).

        Neurons whose singular value is zero within the weights' rounding take no part
        (``Decomposition.negligible``). Where that leaves none, and on a link by construction, there
        is no block: 0 x 0 with p = 1.
        """
        return self._internal_dimensions

    @cached_property
    def _internal_dimensions(self) -> InternalDimensions:
        if self.link.by_construction:
            return InternalDimensions(0, 0, 0.0, 1.0, "no test: one tensor at both ends")
        without = self.consumer.negligible, self.producer.negligible
        rows, columns, dense, mean = self._without(*without)
        if not dense.size:
            return InternalDimensions(0, 0, 0.0, 1.0, "no test: null neurons only")
        frames = self.random_frames()
        found = internal_dimensions(dense, mean, frames, seed=self.seed)
        if frames is None:
            found = found._replace(method="not known where a layer norm reads a depthwise map")
        d_out, d_in = int(rows[found.d_out - 1]) + 1, int(columns[found.d_in - 1]) + 1
        return found._replace(d_out=d_out, d_in=d_in)

    def _without(
        self, *neurons: Tensor
    ) -> tuple[Places, Places, NDArray[np.float64], NDArray[np.float64]]:
        """Places of all rows and columns but these; the entries there and their means."""
        rows, columns = (np.flatnonzero(~side.numpy()) for side in neurons)
        dense, mean = array_of(self.dense()), np.asarray(self.mean())
        if (len(rows), len(columns)) != self.shape:
            kept = np.ix_(rows, columns)
            dense, mean = dense[kept], mean[kept] if mean.ndim else mean
        return rows, columns, dense.astype(np.float64), mean

    def random_frames(self) -> RandomFrames | None:
        """What the link is under chance, for the law of its internal dimensions, where known.

        Of the neurons that are not negligible.
        """
        if self._single_channels_into_hyperplane:
            return None
        (p, y), (q, z) = self._U.shape[:2], self._V.shape[:2]
        sent, read = self._sent // p, self._read // q
        length = self._V_length - z * self._confined[1]
        return RandomFrames(
            self.link.shared - any(self._confined),
            _frame((p - self._confined[0]) * y, y, self.producer, sent),
            _frame(length, z, self.consumer, read),
        )


def _frame(length: int, positions: int, side: Decomposition, channel_groups: Tensor) -> Frame:
    if side.group_count == 1:
        return Frame(length, positions)
    groups = side.groups[~side.negligible]
    return Frame(length, positions, tuple(groups.tolist()), tuple(channel_groups.tolist()))


def _indices(neurons: Neurons, count: int) -> Tensor:
    return torch.arange(count)[neurons].reshape(-1)
