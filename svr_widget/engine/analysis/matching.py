"""Which spectral neurons of two networks, or of two checkpoints of one, are the same.

A neuron is the rank-one matrix ``u v^T``, so two neurons are as alike as the inner product of
theirs, ``<u, u'> <v, v'>``. Neurons of one cluster may be rotated into one another: only the sum
``U_C V_C^T`` of their matrices means something. The *overlap* of two clusters of ``c`` and ``c'``
neurons is therefore ``|<U_C V_C^T, U_C' V_C'^T>_F| / min(c, c')``, which is 1 where one contains
the other; neurons that stand alone are clusters of one.

Between independent, uniformly random frames, ``m`` and ``n`` the lengths of ``u`` and ``v``, the
squared overlap of a cluster of ``c`` and one neuron is exactly the product of two independent
``Beta(c/2, (m-c)/2)`` and ``Beta(1/2, (n-1)/2)``: ``u'`` has the first as the share of its square
in the span of ``U_C``, which ``V_C U_C^T`` maps to a single direction for ``v'``. For two clusters
of several neurons, the mean over the smaller one is at most the largest of its terms, so
``min(c, c')`` times that tail bounds the p-value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array

from svr_widget.engine.decompose import Decomposition
from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.graph.spectral_graph import SpectralGraph
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.names import paired
from svr_widget.engine.significance.nulls import LOG_10, NullLaw

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Matching:
    """Neurons of two networks, paired map by map.

    Null neurons, whose vectors are arbitrary, take no part.

    Attributes:
        pairs: map, k, other_map, other_k, overlap_out (``|<u, u'>|``), overlap_in (``|<v, v'>|``),
            overlap, log10_p, cluster: whether a neuron lies in a cluster, so that the overlaps are
            those of subspaces (root mean squares for the two sides) and which of their neurons is
            paired with which means nothing.
        births: neurons of the other network without a partner: other_map, other_k, the neuron k of
            map that is nearest, its overlap and log10_p, new: whether chance explains that one, or
            it is less than ``least``.
        deaths: neurons without a partner in the other network: map, k, other_map, other_k (the
            nearest), overlap, log10_p, gone.
        level: probability of any pair, or of any neuron that is not new, between networks that
            have nothing to do with each other.
        least: overlap that a pair has at least, and that a neuron which is not new has with its
            nearest; 0 where any counts that chance does not explain.
        tests: how many pairs of neurons could have been.

    Examples:
        >>> later = SVR({"0": torch.randn(16, 20), "2": model[2].weight, "4": model[4].weight})
        >>> matching = svr.match(later)  # the first map is another one
        >>> matching
        Matching(16 pairs, 16 births, 15 deaths)
        >>> matching.births[["other_map", "other_k", "new"]].head(2)
          other_map  other_k   new
        0         0        0  True
        1         0        1  True
    """

    pairs: pd.DataFrame
    births: pd.DataFrame
    deaths: pd.DataFrame
    level: float
    tests: int
    least: float = 0.0

    def __repr__(self) -> str:
        return (
            f"Matching({len(self.pairs):,} pairs, {len(self.births):,} births, "
            f"{len(self.deaths):,} deaths)"
        )


def match(
    graph: SpectralGraph,
    other: SpectralGraph,
    maps: Mapping[str, str] | None = None,
    level: float = 0.05,
    least: float = 0.0,
) -> Matching:
    """Pair the neurons of two networks; see ``SVR.match``."""
    if not isinstance(other, SpectralGraph):
        raise TypeError(f"match takes another SVR, not {type(other).__name__}: make one of it")
    if not 0 < level < 1:
        raise SVRError(f"level = {level!r} is out of range: 0 < level < 1")
    if not 0 <= least <= 1:
        raise SVRError(f"least = {least!r} is out of range: 0 <= least <= 1, it is a cosine")
    compared = [
        _Compared(
            name,
            partner,
            graph.decomposition(name),
            other.decomposition(partner, graph.flattening),
        )
        for name, partner in _partners(graph, other, maps)
    ]
    tests = sum(each.tests for each in compared)
    log_cut = math.log(level / max(tests, 1))
    frames = [each.frames(log_cut, least) for each in compared]
    pairs, births, deaths = (
        pd.concat(parts, ignore_index=True) for parts in zip(*frames, strict=True)
    )
    return Matching(pairs, births, deaths, level, tests, least)


def _partners(
    graph: SpectralGraph, other: SpectralGraph, maps: Mapping[str, str] | None
) -> Iterator[tuple[str, str]]:
    if maps is None:
        maps = same_names(graph, other)
        if not maps:
            raise SVRError(
                f"{graph.title} and {other.title} have no map of the same name; say which belong "
                "together: maps={'conv1': 'features.0', ...}"
            )
    for name, partner in maps.items():
        for of, each in ((graph, name), (other, partner)):
            if each not in of.maps:
                raise SVRError(f"maps: {of.title} has no map {each!r}{nearest_name(each, of.maps)}")
        mine, theirs = graph.maps[name], other.maps[partner]
        if form(mine) != form(theirs):
            raise SVRError(
                f"{name!r} {_words(mine)} and {partner!r} {_words(theirs)} cannot be compared: "
                "their neurons live in different spaces; maps={...} names those to compare"
            )
        yield name, partner


def same_names(graph: SpectralGraph, other: SpectralGraph) -> dict[str, str]:
    """The maps of one network and those of the other of the same name.

    What wrappers add to names (``DataParallel``, ``torch.compile``, FSDP, peft) is taken away.
    """
    mine, theirs = (
        {name: form(linear) for name, linear in each.maps.items()} for each in (graph, other)
    )
    return paired(mine, theirs).pairs


def form(linear: LinearMap) -> tuple[int, ...]:
    """What two maps must share for their neurons to live in the same spaces."""
    return linear.groups, *linear.shape


def _words(linear: LinearMap) -> str:
    groups = f" in {linear.groups} groups" if linear.groups > 1 else ""
    return "x".join(map(str, linear.shape)) + groups


class _Side:
    """The neurons of one map that take part, as clusters."""

    def __init__(self, neurons: Decomposition) -> None:
        self.k = np.flatnonzero(~neurons.null.numpy())
        self.U, self.V = (
            vectors.numpy().reshape(-1, len(neurons))[:, self.k].astype(np.float64)
            for vectors in (neurons.U, neurons.V)
        )
        self.groups = neurons.groups.numpy()[self.k]
        labels = pd.factorize(neurons.clusters.numpy()[self.k])[0]  # by first appearance
        _, self.first, self.cluster, self.sizes = np.unique(
            labels, return_index=True, return_inverse=True, return_counts=True
        )

    def added(self, matrix: Floats) -> Floats:
        """The rows of each cluster, one a neuron, added up."""
        if len(self.sizes) == len(self.k):
            return matrix
        members = csr_array((np.ones(len(self.k)), (self.cluster, np.arange(len(self.k)))))
        return np.asarray(members @ matrix)


class _Compared:
    """One map of each network: the overlaps ``[clusters, clusters]`` and who is whose partner."""

    def __init__(self, name: str, partner: str, mine: Decomposition, theirs: Decomposition) -> None:
        self.name, self.partner = name, partner
        self.a, self.b = a, b = _Side(mine), _Side(theirs)
        # Behind layer norms both frames lie in a hyperplane of the channels, as a rule in the same.
        self.lengths = tuple(
            vectors.shape[0] - (one and other) * math.prod(shape)
            for vectors, one, other, shape in zip(
                (a.U, a.V),
                mine.confined,
                theirs.confined,
                (mine.U.shape[1:-1], mine.V.shape[1:-1]),
                strict=True,
            )
        )
        together = a.groups[:, None] == b.groups
        self.tests = int(together.sum())
        out, into = together * (a.U.T @ b.U), together * (a.V.T @ b.V)
        self.smaller = np.minimum(a.sizes[:, None], b.sizes)
        self.larger = np.maximum(a.sizes[:, None], b.sizes)
        self.overlap = np.abs(self._by_cluster(out * into)) / self.smaller
        self.out, self.into = (
            np.sqrt(self._by_cluster(side**2) / self.smaller) for side in (out, into)
        )

    def _by_cluster(self, matrix: Floats) -> Floats:
        return self.b.added(self.a.added(matrix).T).T

    def frames(
        self, log_cut: float, least: float
    ) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        """Pairs, births and deaths.

        A pair's p-value is at most ``exp(log_cut)``, its overlap at least ``least``.
        """
        a, b = self.a, self.b
        alike = self.overlap >= np.maximum(self._least(log_cut), least)
        gain = np.where(alike, self.overlap, 0.0)[a.cluster[:, None], b.cluster]
        i, j = linear_sum_assignment(gain, maximize=True)
        paired = gain[i, j] > 0
        i, j = i[paired], j[paired]
        born = np.setdiff1d(np.arange(len(b.k)), j)
        dead = np.setdiff1d(np.arange(len(a.k)), i)
        at = a.cluster[i], b.cluster[j]
        pairs = self._described(a.k[i], b.k[j], at)
        pairs.insert(4, "overlap_out", np.minimum(self.out[at], 1.0))
        pairs.insert(5, "overlap_in", np.minimum(self.into[at], 1.0))
        pairs["cluster"] = self.larger[at] > 1
        births = self._nearest(born, alike, of_other=True)
        deaths = self._nearest(dead, alike, of_other=False)
        return pairs, births, deaths

    def _nearest(
        self, neurons: Indices, alike: NDArray[np.bool_], *, of_other: bool
    ) -> pd.DataFrame:
        """Neurons without a partner beside those nearest to them, -1 where there are none."""
        a, b = self.a, self.b
        word = "new" if of_other else "gone"
        if not self.overlap.size:
            none = np.full(len(neurons), -1)
            frame = self._described(*((none, b.k[neurons]) if of_other else (a.k[neurons], none)))
            return frame.assign(**{word: True})
        if of_other:
            at = self.overlap.argmax(axis=0)[b.cluster[neurons]], b.cluster[neurons]
            frame = self._described(a.k[a.first[at[0]]], b.k[neurons], at)
        else:
            at = a.cluster[neurons], self.overlap.argmax(axis=1)[a.cluster[neurons]]
            frame = self._described(a.k[neurons], b.k[b.first[at[1]]], at)
        return frame.assign(**{word: ~alike[at]})

    def _described(
        self, k: Indices, other_k: Indices, at: tuple[Indices, Indices] | None = None
    ) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "map": np.full(len(k), self.name, dtype=object),
                "k": k,
                "other_map": np.full(len(k), self.partner, dtype=object),
                "other_k": other_k,
                "overlap": np.zeros(len(k)) if at is None else np.minimum(self.overlap[at], 1.0),
                "log10_p": np.zeros(len(k)) if at is None else self._log_p(at) / LOG_10,
            }
        )

    # Laws: one for each pair of sizes, most often for (1, 1) alone.

    def _law(self, larger: int) -> NullLaw:
        return NullLaw(shared=(larger, self.lengths[0]), kernel=(1, self.lengths[1]))

    def _least(self, log_cut: float) -> Floats:
        """The least overlap that is significant, for each pair of clusters."""
        least = np.empty_like(self.overlap)
        for smaller, larger in self._sizes():
            mine = (self.smaller == smaller) & (self.larger == larger)
            squared = self._law(larger).isf_log(log_cut - math.log(smaller))
            least[mine] = np.sqrt(squared)
        return least

    def _log_p(self, at: tuple[Indices, Indices]) -> Floats:
        log_p = np.zeros(len(at[0]))
        smaller, larger = self.smaller[at], self.larger[at]
        for few, many in self._sizes():
            mine = (smaller == few) & (larger == many)
            log_p[mine] = self._law(many).logsf(self.overlap[at][mine] ** 2) + math.log(few)
        return np.minimum(log_p, 0.0)

    def _sizes(self) -> list[tuple[int, int]]:
        pairs = product(np.unique(self.a.sizes).tolist(), np.unique(self.b.sizes).tolist())
        return sorted({(min(pair), max(pair)) for pair in pairs})
