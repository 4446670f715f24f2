"""``SVR``: the graph of spectral neurons of a network, computed as it is asked for."""

from __future__ import annotations

import functools
import html
import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, ParamSpec, TypeVar, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from svr_widget.engine.adjacency import Adjacency, Edges, Method, sides
from svr_widget.engine.cost import decomposition_seconds, link_seconds
from svr_widget.engine.decompose import Decomposition, Flattening, check_method, decompose
from svr_widget.engine.errors import SVRError, nearest_name
from svr_widget.engine.links import Link
from svr_widget.engine.maps import LinearMap
from svr_widget.engine.nulls import Kind
from svr_widget.engine.significance import Significance
from svr_widget.engine.sources import Globs, Links, read_network
from svr_widget.engine.structure import InternalDimensions

LinkKey = tuple[str, str] | tuple[str, str, int]
"""``(producer, consumer)``; further links of the same pair add 1, 2..."""

TestKey = tuple[LinkKey, int]
"""A link and the index of one of its laws (``Adjacency.laws``), 0 where it has one."""

Progress = Callable[[str, int, int], object]
"""Called as ``progress(name, done, total)`` before each step that is left, and at the end."""

Array = NDArray[Any]
P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")


def _suggesting(function: Callable[P, R]) -> Callable[P, R]:
    """Let an unknown keyword raise a ``TypeError`` that suggests the nearest one."""
    known = set(inspect.signature(function).parameters)

    @functools.wraps(function)
    def checked(*args: P.args, **keywords: P.kwargs) -> R:
        for name in keywords:
            if name not in known:
                raise TypeError(f"unexpected keyword {name!r}{nearest_name(name, known)}")
        return function(*args, **keywords)

    return checked


class SVR:
    """The Singular Value Representation of a network (paper, sections 2 and 4).

    Vertices are the spectral neurons of every linear map, edges join those of maps that feed each
    other. The source is read and checked at once; everything else is computed when it is first
    asked for and then kept. The weights are copied, so training on does not change the result.
    Instances may be shared between threads.

    Args:
        source: an ``nn.Module``; or a list of tensors or arrays ``[out, in, *kernel]``, a chain;
            or a mapping from names to them, as a state dict, a chain in its order. One-dimensional
            entries of lists and mappings are ignored. In a chain a matrix of width ``c h^2`` after
            a convolution with ``c`` output channels reads it flattened, channels first.
        example_inputs: what the model is run on to read off its links: a tensor, a tuple of
            positional or a mapping of keyword arguments; usually found without.
        method: ``"svr"`` or ``"cosvr"`` (section 4.4).
        null: law of an edge's weight under chance: ``"exact"`` or the paper's ``"chi2"``.
        links: ``(producer, consumer)`` pairs or ``Link`` objects instead of the traced ones.
        include: globs over map names; only those are maps.
        exclude: globs over names that are left out.
        rank: keep the first ``rank`` neurons of every map.
        progress: called as ``progress(name, done, total)`` while much is computed.
        seed: seeds the probes of certificates and the simulations.

    Attributes:
        title: what the network is called.
        notes: what tracing found worth saying, such as the example input that it tried.
        method, null, rank, seed: as given.

    Raises:
        SVRError: the source or an option cannot be used; the message names the culprit.
        TypeError: the source is of another kind, or a keyword is unknown.
    """

    @_suggesting
    def __init__(
        self,
        source: object,
        example_inputs: object = None,
        *,
        method: Flattening = "svr",
        null: Kind = "exact",
        links: Links | None = None,
        include: Globs = None,
        exclude: Globs = None,
        rank: int | None = None,
        progress: Progress | None = None,
        seed: int = 0,
    ) -> None:
        check_method(method, get_args(Flattening))
        _check_null(null)
        if rank is not None and (not isinstance(rank, int) or rank < 1):
            raise SVRError(f"rank must be an integer of at least 1, or None for all, got {rank!r}")
        network = read_network(source, example_inputs, links, include, exclude)
        self.title, self.notes = network.title, network.notes
        self.method: Flattening = method
        self.null: Kind = null
        self.rank, self.seed = rank, seed
        self._maps = MappingProxyType(dict(network.maps))
        self._links = MappingProxyType(_keyed(network.links))
        self._progress = progress
        self._lock = threading.RLock()
        self._decompositions: dict[tuple[str, Flattening], Decomposition] = {}
        self._adjacencies: dict[tuple[LinkKey, Method], Adjacency] = {}
        self._tested: set[LinkKey] = set()
        self._significance: dict[Kind, Significance[TestKey]] = {}

    @property
    def maps(self) -> Mapping[str, LinearMap]:
        """The linear maps by name, in order of execution."""
        return self._maps

    @property
    def links(self) -> Mapping[LinkKey, Link]:
        """The links by ``(producer, consumer)``."""
        return self._links

    # What is computed.

    def __getitem__(self, name: str) -> Decomposition:
        """The spectral neurons of a map."""
        return self.decomposition(name)

    def decomposition(self, name: str, method: Flattening | None = None) -> Decomposition:
        """The spectral neurons of a map, by this SVR's method or another.

        Raises:
            KeyError: there is no such map.
        """
        method = method or self.method
        linear = self._lookup(self._maps, name, "map")
        with self._lock:
            key = name, method
            if key not in self._decompositions:
                self._decompositions[key] = self._decompose(linear, method)
            return self._decompositions[key]

    def _decompose(self, linear: LinearMap, method: Flattening) -> Decomposition:
        """By way of what is known already where that is the same matrix."""
        if linear.tied_to is not None:
            first = self.decomposition(linear.tied_to, method)
            same = linear.weight.stride() == self._maps[linear.tied_to].weight.stride()
            return first if same else first.transposed()
        other = self._decompositions.get((linear.name, "svr" if method == "cosvr" else "cosvr"))
        if other is not None and linear.positions == 1:
            return other.flattened_as(method)
        return decompose(linear.weight, linear.groups, method, self.rank, seed=self.seed)

    def adjacency(self, link: LinkKey, method: Method | None = None) -> Adjacency:
        """The weighted adjacency of a link (sections 2.2, 4.2 and 5.2.1).

        Args:
            link: ``(producer, consumer)``, a key of ``links``.
            method: ``"svr"``, ``"cosvr"`` or ``"cross"``.

        Raises:
            KeyError: there is no such link.
        """
        method = method or self.method
        out_side, in_side = sides(method)
        joined = self._lookup(self._links, link, "link")
        with self._lock:
            key = link, method
            if key not in self._adjacencies:
                self._adjacencies[key] = Adjacency(
                    joined,
                    self.decomposition(joined.producer, out_side),
                    self.decomposition(joined.consumer, in_side),
                    method,
                    null=self.null,
                    seed=self.seed,
                )
            return self._adjacencies[key]

    def compute(self, progress: Progress | None = None) -> None:
        """Decompose every map and compute every adjacency, as far as that is not done already.

        What ``progress`` raises stops the work between two steps; what is done is kept.
        """
        report = progress or self._progress or (lambda *_: None)
        maps = [name for name in self._maps if (name, self.method) not in self._decompositions]
        links = [key for key in self._links if key not in self._tested]
        total = len(maps) + len(links)
        for done, name in enumerate(maps):
            report(name, done, total)
            self.decomposition(name)
        for done, key in enumerate(links, start=len(maps)):
            report(" → ".join(key[:2]), done, total)
            with self._lock:
                self.adjacency(key).tests()
                self._tested.add(key)
        if total:
            report("", total, total)

    def significance(self, null: Kind | None = None) -> Significance[TestKey]:
        """The tests of all edges together, by ``(link, index of the law)``."""
        null = null or self.null
        _check_null(null)
        self.compute()
        with self._lock:
            if null not in self._significance:
                tests = {
                    (key, part): link_tests
                    for key in self._links
                    for part, link_tests in enumerate(self.adjacency(key).tests(null))
                }
                self._significance[null] = Significance(tests, link_of=lambda key: key[0])
            return self._significance[null]

    # What is read off.

    def edges(
        self,
        *,
        p: float | None = None,
        sigma: float | None = None,
        fdr: float | None = None,
        bonferroni: float | None = None,
        fdr_method: Literal["bh", "by"] = "bh",
        scope: Literal["graph", "link"] = "graph",
        null: Kind | None = None,
    ) -> pd.DataFrame:
        """The significant edges (sections 2.4 and 4.3), strongest first; ``fdr=0.05`` by default.

        Args:
            p: level of each single test; the paper uses 0.15 (section 3.1).
            sigma: the same as standard deviations of a normal law, ``p = 1 - Phi(sigma)``.
            fdr: false discovery rate.
            bonferroni: level of all tests together.
            fdr_method: ``"bh"`` (Benjamini-Hochberg) or ``"by"`` (Benjamini-Yekutieli).
            scope: whether ``fdr`` and ``bonferroni`` mean the whole graph or each link.
            null: ``"exact"`` or ``"chi2"``; by default this SVR's.

        Returns:
            Columns producer, m (its neuron), consumer, n (its neuron), weight, log10_p.

        Raises:
            ThresholdError: the level is out of range, or more than one is given.
        """
        if p is sigma is fdr is bonferroni is None:
            fdr = 0.05
        tests = self.significance(null)
        cut = tests.cut(
            p=p, sigma=sigma, fdr=fdr, bonferroni=bonferroni, fdr_method=fdr_method, scope=scope
        )
        found = [self._edges_of(key, tests, cut.weight) for key in self._links]
        every = pd.DataFrame(
            {
                "producer": _repeated([key[0] for key in self._links], found),
                "m": _joined([edges.m for edges, _ in found], np.int64),
                "consumer": _repeated([key[1] for key in self._links], found),
                "n": _joined([edges.n for edges, _ in found], np.int64),
                "weight": _joined([edges.weight for edges, _ in found], np.float64),
                "log10_p": _joined([log10_p for _, log10_p in found], np.float64),
            }
        )
        return every.sort_values("weight", ascending=False, kind="stable", ignore_index=True)

    def _edges_of(
        self, key: LinkKey, tests: Significance[TestKey], weights: Mapping[TestKey, float]
    ) -> tuple[Edges, NDArray[np.float64]]:
        """The edges of one link that reach the weight given for their law, and their log10 p."""
        adjacency = self.adjacency(key)
        parts = range(len(adjacency.laws))
        edges = adjacency.above([weights[key, part] for part in parts])
        log10_p = np.zeros(len(edges.m))
        for part in parts:
            mine = edges.part == part
            log10_p[mine] = tests.tests[key, part].law.log10_p(edges.weight[mine])
        return edges, log10_p

    def neurons(self) -> pd.DataFrame:
        """Every spectral neuron: map, k, singular_value, intensity, null, cluster."""
        self.compute()
        frames = []
        for name in self._maps:
            neurons = self[name]
            columns = {
                "map": name,
                "k": np.arange(len(neurons)),
                "singular_value": neurons.S.numpy(),
                "intensity": self.intensity(name),
                "null": neurons.null.numpy(),
                "cluster": neurons.clusters.numpy(),
            }
            frames.append(pd.DataFrame(columns))
        return pd.concat(frames, ignore_index=True)

    def intensity(self, name: str) -> NDArray[np.float64]:
        """Colour intensity of a map's neurons (section 3.2), float64 ``[M]`` in [0, 1].

        The largest over the links that leave the map, divided by the map's maximum (all 0 where
        that is 0); 1 where no link leaves it.
        """
        self._lookup(self._maps, name, "map")
        leaving = [key for key, link in self._links.items() if link.producer == name]
        if not leaving:
            return np.ones(len(self[name]))
        strongest = np.max([self.adjacency(key).intensity() for key in leaving], axis=0)
        return np.asarray(strongest / (strongest.max(initial=0.0) or 1.0))

    def internal_dimensions(self, link: LinkKey) -> InternalDimensions:
        """The block of strongly joined neurons of a link (section 3.2) and its p-value."""
        return self.adjacency(link).internal_dimensions()

    def estimate_seconds(self) -> float:
        """Roughly how long ``compute`` takes where nothing is done yet, on two ordinary cores."""
        maps = sum(decomposition_seconds(linear) for linear in self._maps.values())
        return maps + sum(
            link_seconds(link, self._maps[link.producer], self._maps[link.consumer], self.method)
            for link in self._links.values()
        )

    # In words.

    def __repr__(self) -> str:
        return f"SVR({self._summary()})"

    def _summary(self) -> str:
        neurons = sum(linear.neurons(self.method) for linear in self._maps.values())
        kept = f", first {self.rank} of each map" if self.rank else ""
        return (
            f"{self.title}: {len(self._maps)} maps, {neurons:,} neurons{kept}, "
            f"{len(self._links)} links, {self.method}"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(linear.name)}</td><td>{linear.kind}</td>"
            f"<td>{' × '.join(map(str, linear.weight.shape))}</td>"
            f"<td>{linear.neurons(self.method):,}</td></tr>"
            for linear in self._maps.values()
        )
        return (
            f"<details><summary>SVR of {html.escape(self._summary())}</summary><table><thead><tr>"
            "<th>map</th><th>kind</th><th>weight</th><th>neurons</th></tr></thead>"
            f"<tbody>{rows}</tbody></table></details>"
        )

    @staticmethod
    def _lookup(known: Mapping[K, V], key: K, noun: str) -> V:
        try:
            return known[key]
        except (KeyError, TypeError):
            words = {str(name): name for name in known}
            hint = nearest_name(str(key), words)
            raise KeyError(f"no {noun} {key!r}{hint}") from None


def _repeated(names: list[str], found: list[tuple[Edges, Array]]) -> Array:
    return np.repeat(np.array(names, dtype=object), [len(edges.m) for edges, _ in found])


def _joined(arrays: list[Array], dtype: type) -> Array:
    return np.concatenate([np.empty(0, dtype), *arrays], dtype=dtype)


def _keyed(links: Iterable[Link]) -> dict[LinkKey, Link]:
    """Links by their ends; a further link between the same two maps adds a number."""
    keyed: dict[LinkKey, Link] = {}
    for link in links:
        key: LinkKey = (link.producer, link.consumer)
        number = 0
        while key in keyed:
            number += 1
            key = (link.producer, link.consumer, number)
        keyed[key] = link
    return keyed


def _check_null(null: str) -> None:
    if null not in (kinds := get_args(Kind)):
        raise SVRError(
            f"null must be one of {', '.join(map(repr, kinds))}, got {null!r}"
            f"{nearest_name(null, kinds)}"
        )
