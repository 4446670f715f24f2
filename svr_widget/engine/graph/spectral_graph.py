"""The graph of spectral neurons of a network, computed as it is asked for."""

from __future__ import annotations

import copy
import functools
import html
import inspect
import threading
from collections.abc import Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, ParamSpec, Self, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from svr_widget.engine.decompose import Decomposition, Flattening, check_method
from svr_widget.engine.decompose.devices import CPU, known_device
from svr_widget.engine.decompose.preview import Preview
from svr_widget.engine.environment.settings import methods_with_own_settings
from svr_widget.engine.errors import SVRError, check_option, nearest_name
from svr_widget.engine.graph.adjacency import Adjacency, Method, sides
from svr_widget.engine.graph.columns import Column, columns_of
from svr_widget.engine.graph.cost import decomposition_seconds, is_slow, links_seconds
from svr_widget.engine.graph.internal_dimensions import InternalDimensions
from svr_widget.engine.graph.streaming.graph_tests import GraphTests
from svr_widget.engine.graph.streaming.leaving import Leaving, leaving
from svr_widget.engine.graph.streaming.products import Ends
from svr_widget.engine.graph.streaming.recent import RecentAdjacencies
from svr_widget.engine.graph.streaming.stream import Stream
from svr_widget.engine.maps.bundles import KeyedLinks, Links
from svr_widget.engine.maps.copied import copy_of, factors_behind
from svr_widget.engine.maps.linear_map import LinearMap
from svr_widget.engine.maps.links import LinkKey, Side
from svr_widget.engine.maps.read_only import array_of, read_only
from svr_widget.engine.maps.stored import wholes_kept
from svr_widget.engine.model.find_maps import Globs
from svr_widget.engine.network.bare_weights.orientation import NonFinite
from svr_widget.engine.network.head_products import AttentionView
from svr_widget.engine.network.norms.folding import Normalisation
from svr_widget.engine.network.pairs import GivenLinks, defined
from svr_widget.engine.network.sources import Weights, read_network
from svr_widget.engine.significance.nulls import Kind
from svr_widget.engine.work.decomposer import Cache, ColumnKey, Decomposer, in_turn, kept_by
from svr_widget.engine.work.tasks import Task, task_of

Progress = Callable[[str, int, int], object]
"""Called as ``progress(name, done, total)`` before each step that is left, and at the end."""

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


@methods_with_own_settings
class SpectralGraph:
    """What ``SVR`` rests on: maps, links, decompositions, adjacencies and tests, each made once.

    Arguments, attributes and errors are those of ``SVR``.
    """

    @_suggesting
    def __init__(
        self,
        source: object,
        example_inputs: object = None,
        *,
        method: Method = "svr",
        norm: Normalisation = "ignore",
        null: Kind = "exact",
        attention: AttentionView = "products",
        links: GivenLinks | None = None,
        include: Globs = None,
        exclude: Globs = None,
        rank: int | None = None,
        weights: Weights = None,
        run_live: bool = False,
        non_finite: NonFinite = "refuse",
        device: str | torch.device | None = None,
        executor: Executor | None = None,
        cache: Cache = True,
        progress: Progress | None = None,
        seed: int = 0,
    ) -> None:
        check_method(method, get_args(Method))
        check_option("norm", norm, get_args(Normalisation))
        check_option("null", null, get_args(Kind))
        check_option("non_finite", non_finite, get_args(NonFinite))
        check_option("attention", attention, get_args(AttentionView))
        if rank is not None and (not isinstance(rank, int) or rank < 1):
            raise SVRError(f"rank must be an integer of at least 1, or None for all, got {rank!r}")
        self.device = known_device(device)
        self._decomposer = Decomposer(cache, executor)
        network = read_network(
            source,
            example_inputs,
            links,
            include,
            exclude,
            attention,
            norm,
            weights=weights,
            run_live=run_live,
            non_finite=non_finite,
        )
        self.title = network.title
        self.model, self.parts = network.model, MappingProxyType(dict(network.parts))
        self.outlets = read_only(network.outlets)
        self.arrangement = network.arrangement
        self.example, self.run_live = network.example, network.run_live
        self.own_example = None if self.example is None else self.example.copied()
        self.damaged, self.unlinked = network.damaged, network.unlinked
        self.method: Method = method
        self.norm: Normalisation = norm
        self.null: Kind = null
        self.attention: AttentionView = attention
        self.rank, self.seed = rank, seed
        self._traced = network.traced
        self._by_norm: dict[Normalisation, Self] = {}
        self._maps = MappingProxyType({k: read_only(each) for k, each in network.maps.items()})
        self._network_notes, self._every_link = network.notes, Links.of(network.links)
        self._join()
        self._progress = progress
        self._lock = threading.RLock()
        self._decompositions: MutableMapping[ColumnKey, Decomposition] = kept_by(cache)
        self._turned: MutableMapping[ColumnKey, Decomposition] = kept_by(cache)
        self._previews: dict[ColumnKey, Preview | None] = {}
        self._adjacencies = RecentAdjacencies()
        self._streams: dict[bool, Stream] = {}
        self._significance: dict[tuple[Kind, bool], GraphTests] = {}

    def _join(self) -> None:
        """Take the links that the method defines an adjacency for, and say which it does not."""
        kept, left_out = defined(self._every_link, self._maps, self.method)
        self.notes = (*self._network_notes, *left_out)
        known: dict[int, tuple[Any, Any]] = {}  # of a residual stream all links share channels
        self._links = KeyedLinks(
            Links(replace(bundle, link=read_only(bundle.link, known)) for bundle in kept.bundles)
        )
        self._feeding = {
            name
            for bundle in kept.bundles
            if not bundle.link.by_construction
            for name in bundle.producers
        }

    @property
    def settings(self) -> dict[str, Any]:
        """The keywords that make the same graph of the same ``Network``."""
        return {
            "method": self.method,
            "norm": self.norm,
            "null": self.null,
            "attention": self.attention,
            "rank": self.rank,
            "seed": self.seed,
        }

    @property
    def work(self) -> dict[str, Any]:
        """The keywords that say where a graph is computed and kept, which change nothing in it."""
        decomposer = self._decomposer
        return {
            "device": self.device,
            "executor": decomposer.executor,
            "cache": decomposer.cache,
        }

    @property
    def decomposed(self) -> Mapping[tuple[str, Flattening], Decomposition]:
        """The decompositions that there are so far, by map and flattening."""
        return MappingProxyType(self._decompositions)

    def add_note(self, note: str) -> None:
        """Say something among the notes, once; nothing for an empty one."""
        with self._lock:
            if note and note not in self.notes:
                self.notes = (*self.notes, note)

    @property
    def maps(self) -> Mapping[str, LinearMap]:
        """The linear maps by name, in order of execution."""
        return self._maps

    @property
    def links(self) -> KeyedLinks:
        """The links by ``(producer, consumer)``: a mapping that makes each when it is asked for."""
        return self._links

    @property
    def columns(self) -> Mapping[str, Column]:
        """The sets of spectral neurons by name: one a map, or, in a cross graph, up to two.

        There ``name`` are the SVR neurons that a map emits with and ``name~`` the co-SVR neurons
        that it reads with, where both are joined to others and differ.
        """
        return self._columns

    @functools.cached_property
    def _columns(self) -> Mapping[str, Column]:
        return MappingProxyType(columns_of(self._maps, self._links.links, self.method))

    def ends(self, link: LinkKey) -> tuple[str, str]:
        """The names of the columns that a link leaves and enters."""
        joined = self._links[link]
        return joined.producer, self.entered(joined.consumer)

    def entered(self, consumer: str) -> str:
        """The name of the column that the links into a map enter."""
        return self._column_names.get(Column(consumer, sides(self.method)[1]), consumer)

    @functools.cached_property
    def _column_names(self) -> Mapping[Column, str]:
        return {column: name for name, column in self.columns.items()}

    @property
    def flattening(self) -> Flattening:
        """Which neurons ``decomposition`` gives: those that a map emits with."""
        return sides(self.method)[0]

    def by_method(self, method: Method) -> Self:
        """The same network by another method, sharing what both need; this one stays as it is.

        Raises:
            SVRError: the method is unknown.

        Examples:
            >>> svr.by_method("cosvr")
            SVR(Sequential: 3 maps, 32 neurons, 2 links, cosvr)
        """
        check_method(method, get_args(Method))
        if method == self.method:
            return self
        other = copy.copy(self)
        other.method = method
        other._join()
        other._streams, other._significance = {}, {}
        for cached in (
            "_columns",
            "_column_names",
            "_over_links",
            "_intensity_p_values",
            "_adjusted_p_values",
        ):
            other.__dict__.pop(cached, None)
        return other

    def __copy__(self) -> Self:
        """Shares everything; ``copy.copy`` would go by what ``pickle`` is told otherwise."""
        other = type(self).__new__(type(self))
        other.__dict__ |= self.__dict__
        return other

    @property
    def has_norms(self) -> bool:
        """Whether norms were found in a traced model, which ``by_norm`` ignores or folds."""
        return self._traced is not None and self._traced.has_norms

    def by_norm(self, norm: Normalisation) -> Self:
        """The same network, as it was traced, with its norms ignored or folded.

        It is kept, so that one can go back and forth; this one stays as it is.

        Raises:
            SVRError: the option is unknown, the norms were not read off a model, or one of them
                cannot be folded exactly.
        """
        check_option("norm", norm, get_args(Normalisation))
        if norm == self.norm:
            return self
        if self._traced is None:
            raise SVRError(
                f"norm={norm!r} needs the norms, which are read off an nn.Module as it is traced, "
                "not off bare weights, files or models with links="
            )
        with self._lock:
            if norm not in self._by_norm:
                network = self._traced.network(norm)
                network = replace(network, run_live=self.run_live, damaged=self.damaged)
                settings = {**self.settings, "norm": norm}
                other = type(self)(network, progress=self._progress, **self.work, **settings)
                other._by_norm = self._by_norm
                self._by_norm |= {self.norm: self, norm: other}
            return self._by_norm[norm].by_method(self.method)

    # What is computed.

    def __getitem__(self, name: str) -> Decomposition:
        """The spectral neurons of a column, which is a map's in all but a cross graph.

        Examples:
            >>> svr["2"].S[:3].round(decimals=2)
            tensor([9.0400, 0.9300, 0.8300], dtype=torch.float64)
        """
        return self.decomposition(*self._lookup(self.columns, name, "map"))

    def decomposition(self, name: str, method: Flattening | None = None) -> Decomposition:
        """The spectral neurons of a map, by this SVR's flattening or another.

        Raises:
            KeyError: there is no such map.
        """
        return self._decomposition(name, method or self.flattening)

    def _decomposition(self, name: str, method: Flattening, wait: bool = True) -> Decomposition:
        """The same; ``TakenError`` where another process decomposes it, unless one may wait."""
        linear = self._lookup(self._maps, name, "map")
        with self._lock:
            found = self._decompositions.get((name, method))
            if found is None:
                found = read_only(self._decompose(linear, method, wait))
                self._decompositions[name, method] = found
            return found

    def _decompose(self, linear: LinearMap, method: Flattening, wait: bool) -> Decomposition:
        """By way of what is known already where that is the same matrix."""
        if linear.tied_to is not None:
            first = self.decomposition(linear.tied_to, method)
            same = linear.factors[0].stride() == self._maps[linear.tied_to].factors[0].stride()
            return first if same else self._decomposer.transposed(first, self.add_note)
        other = self._decompositions.get((linear.name, "svr" if method == "cosvr" else "cosvr"))
        if other is not None and linear.positions == 1:
            return self._decomposer.flattened(other, method)
        task = task_of(linear, method, self.rank, self.seed, str(self.device))
        found = self._decomposer.decomposition(task, self.add_note, wait=wait)
        self._let_go(linear, found)
        return self._decomposer.flattened(found, method)

    def _let_go(self, linear: LinearMap, neurons: Decomposition) -> None:
        """Keep no copy of a weight beside neurons that are kept and hold all of it."""
        if self._decomposer.cache is False or len(neurons) < neurons.rank:
            return
        if copy := copy_of(linear):
            copy.decomposed(partial(neurons.weight, linear.shape))
        elif factors := factors_behind(linear):
            factors.decomposed(partial(neurons.factors, linear.factors[0].shape[1]))

    def adjacency(self, link: LinkKey, method: Method | None = None) -> Adjacency:
        """The adjacency of a link; ``.dense()`` is ``[consumer's neurons, producer's neurons]``.

        It is weighted, as in sections 2.2, 4.2 and 5.2.1 of the paper; ``.frame()`` is the same
        with labels.

        Args:
            link: ``(producer, consumer)``, a key of ``links``.
            method: ``"svr"``, ``"cosvr"`` or ``"cross"``.

        Raises:
            KeyError: there is no such link.

        Examples:
            >>> adjacency = svr.adjacency(("0", "2"))
            >>> adjacency
            Adjacency(link '0' -> '2', svr, 12 x 16)
            >>> len(svr["2"]), len(svr["0"]), adjacency.dense().shape
            (12, 16, torch.Size([12, 16]))
        """
        method = method or self.method
        if self.unlinked:
            raise KeyError(f"there is no link {link!r}: {self.unlinked}")
        joined = self._lookup(self._links, link, "link")
        out_side, in_side = sides(method)
        with self._lock:
            found = self._adjacencies.get((link, method))
            if found is None:
                found = Adjacency(
                    joined,
                    self.decomposition(joined.producer, out_side),
                    self._reading(joined.consumer, joined.side, in_side),
                    method,
                    null=self.null,
                    seed=self.seed,
                    counted=partial(self._counted, link, method),
                    device=self.device,
                )
                self._adjacencies.keep((link, method), found)
            return found

    def _counted(self, link: LinkKey, method: Method) -> Tensor | None:
        """The matrix of a link as it was counted with others, if it was."""
        stream = self._streams.get(self._links[link].by_construction)
        if method != self.method or stream is None or not stream.done:
            return None
        return stream.entries(link)

    def _reading(self, name: str, side: Side, method: Flattening) -> Decomposition:
        """A consumer's neurons, their ``V`` that of the side which a link ends in.

        Whatever their signs are: entries are squares.
        """
        consumer = self.decomposition(name, method)
        if side != "q":
            return consumer
        if (name, method) not in self._turned:
            self._turned[name, method] = consumer.turned()
        return self._turned[name, method]

    @property
    def progress(self) -> Progress:
        """What is called while much is computed; it does nothing where none was given."""
        return self._progress or (lambda *_: None)

    def compute(self, progress: Progress | None = None) -> None:
        """Decompose every map and count every adjacency, as far as that is not done already.

        What ``progress`` raises stops the work between two steps; what is done is kept.
        """
        self._compute(False, progress or self.progress)

    def _compute(self, by_construction: bool, report: Progress) -> Stream:
        """Decompose every map; let the entries of all links pass that are tests, or of the rest."""
        needed = [column for column in self.columns.values() if column not in self._decompositions]
        stream = self._streams.get(by_construction)
        links = 0 if stream is not None and stream.done else len(self._links)
        total = len(needed) + links
        # To be had until the links are done, whatever cache= keeps.
        held = self.decompose_all(lambda name, done: report(name, done, total))
        with self._lock:
            if by_construction not in self._streams:
                self._streams[by_construction] = self._stream(by_construction)
            stream = self._streams[by_construction]
            if not stream.done:
                stream.run(
                    lambda link, done: report(" → ".join(link[:2]), len(needed) + done, total)
                )
                self._adjacencies.clear()  # those of a bus differ in their last bits
        del held
        if total:
            report("", total, total)
        return stream

    def _stream(self, by_construction: bool) -> Stream:
        return Stream(
            self._links, lambda link: link.by_construction == by_construction, self._ends()
        )

    def _ends(self) -> Ends:
        out_side, in_side = sides(self.method)
        return Ends(
            lambda name: self.decomposition(name, out_side),
            lambda consumer: self._reading(*consumer, in_side),
            self.adjacency,
            self.device,
        )

    def preview_all(
        self, report: Callable[[str, int], object] = lambda *_: None
    ) -> dict[str, Preview]:
        """The leading singular values of the columns that are decomposed only after a while.

        Of a map that takes more than about a second, is not decomposed already, and whose preview
        is far quicker; on the CPU alone. They are kept, and found again.

        Args:
            report: called with a map's name and how many are done, before each that is left; what
                it raises stops the work, and what is done is kept.

        Returns:
            By the names of the columns.

        Examples:
            >>> svr.preview_all()  # nothing here takes so long
            {}
        """
        found: dict[str, Preview] = {}
        for name, column in self.columns.items():
            linear = self._maps[self._maps[column.map].tied_to or column.map]
            key = linear.name, column.flattening
            there = column in self._decompositions or key in self._decompositions
            if there or self.device != CPU or not is_slow(linear):
                continue
            if key not in self._previews:
                report(column.map, len(found))
                task = task_of(linear, column.flattening, self.rank, self.seed)
                self._previews[key] = self._decomposer.preview(task)
            if (preview := self._previews[key]) is not None:
                found[name] = preview
        return found

    def decompose_all(
        self, report: Callable[[str, int], object] = lambda *_: None
    ) -> list[Decomposition]:
        """Decompose every map that is not decomposed already, by the executor if there is one.

        Args:
            report: called with a map's name and how many are done, before each that is left; what
                it raises stops the work, and what is done is kept.

        Returns:
            What was decomposed.

        Raises:
            SVRError: a map takes more memory than there is, or the executor takes no work.
        """
        with wholes_kept():
            return self._decompose_all(report)

    def _decompose_all(self, report: Callable[[str, int], object]) -> list[Decomposition]:
        columns = [column for column in self.columns.values() if column not in self._decompositions]
        held: list[Decomposition] = []
        asked: dict[Task, ColumnKey] = {}
        known = set(self._decompositions)
        for name, method in columns:
            first = self._maps[name].tied_to or name
            task = task_of(self._maps[first], method, self.rank, self.seed, str(self.device))
            either = ("svr", "cosvr") if self._maps[first].positions == 1 else (method,)
            if not known.intersection((first, side) for side in either):
                asked[task] = first, method
                known.add((first, method))

        def keep(task: Task, found: Decomposition) -> None:
            name, method = asked[task]
            self._let_go(self._maps[name], found)
            with self._lock:  # another thread may have been before us
                flat = self._decomposer.flattened(found, method)
                held.append(self._decompositions.setdefault((name, method), flat))

        self._decomposer.by_executor(asked, report, keep, self.add_note)
        left = [column for column in columns if column not in self._decompositions]
        self._decomposer.check_memory(
            task for task, column in asked.items() if column not in self._decompositions
        )
        done = len(columns) - len(left)
        # The quick ones first: they are seen while one waits for the others.
        left.sort(key=lambda column: is_slow(self._maps[column.map]))
        return held + in_turn(left, self._decomposition, lambda name, n: report(name, done + n))

    def significance(
        self, null: Kind | None = None, *, by_construction: bool = False
    ) -> GraphTests:
        """The tests of all edges together, by ``(link, index of the law)``.

        Links by construction have none; ``by_construction=True`` is of their entries instead.
        """
        null = null or self.null
        check_option("null", null, get_args(Kind))
        family = null, by_construction
        if family not in self._significance:
            stream = self._compute(by_construction, self.progress)
            tests = GraphTests(stream, null, lambda link: self.adjacency(link).tests(null))
            self._significance[family] = tests
        return self._significance[family]

    def intensity(self, name: str) -> NDArray[np.float64]:
        """Colour intensity of a column's neurons (section 3.2), float64 ``[M]`` in [0, 1].

        The largest over the links that leave it, divided by the column's maximum (all 0 where
        that is 0); 1 where no link leaves it; NaN where nobody says which map feeds which. Links
        by construction do not count: every neuron meets itself there.

        Examples:
            >>> svr.intensity("0")[:3].round(2)
            array([1.  , 0.07, 0.14])
        """
        self._lookup(self.columns, name, "map")
        if not self.feeds(name):
            return np.full(len(self[name]), np.nan if self.unlinked else 1.0)
        stream = self._streams.get(False)
        if stream is not None and stream.done:
            strongest = self._over_links[name].intensity
        else:
            links = (key for key, link in self._links.items() if not link.by_construction)
            each = [self.link_intensity(key) for key in links if key[0] == name]
            strongest = np.max(each, axis=0)
        return np.asarray(strongest / (strongest.max(initial=0.0) or 1.0))

    def link_intensity(self, link: LinkKey) -> NDArray[np.float64]:
        """As ``Adjacency.intensity``, without a matrix where the link was counted already."""
        stream = self._streams.get(False)
        found = stream.intensity(link) if stream is not None and stream.done else None
        return self.adjacency(link).intensity() if found is None else found

    def feeds(self, name: str) -> bool:
        """Whether a link with tests leaves the column."""
        return name in self._feeding

    def intensity_p_values(self, name: str, *, adjusted: bool = False) -> NDArray[np.float64]:
        """How likely random neurons are at least as intense as a column's (beyond the paper).

        Of each neuron the smallest p-value over the links that leave it, times their number (at
        most 1). NaN for what is no test: null neurons, a column that feeds none, one of which
        nobody says what it feeds.

        Args:
            name: of the column.
            adjusted: by Benjamini and Hochberg over all neurons of the graph that are tested: the
                smallest false discovery rate at which the neuron stands out.

        Returns:
            float64 ``[M]`` in (0, 1], or NaN.

        Examples:
            >>> svr.intensity_p_values("0")[:3].round(4)
            array([0.    , 0.7046, 0.5357])
        """
        self._lookup(self.columns, name, "map")
        p_values = self._intensity_p_values
        if not adjusted:
            return p_values[name]
        return self._adjusted_p_values[name]

    @functools.cached_property
    def _intensity_p_values(self) -> dict[str, NDArray[np.float64]]:
        return {name: self._of_leaving(name) for name in self.columns}

    def _of_leaving(self, name: str) -> NDArray[np.float64]:
        p_values = np.full(len(self[name]), np.nan)
        if self.feeds(name):
            _, smallest, links = self._over_links[name]
            tested = ~array_of(self[name].null)
            p_values[tested] = np.minimum(smallest[tested] * links, 1.0)
        return p_values

    @functools.cached_property
    def _over_links(self) -> Mapping[str, Leaving]:
        """The neurons of each producer over all links that leave it."""
        return leaving(self._compute(False, self.progress), self.adjacency, self.seed)

    @functools.cached_property
    def _adjusted_p_values(self) -> dict[str, NDArray[np.float64]]:
        together = np.concatenate([np.empty(0), *self._intensity_p_values.values()])
        tested = ~np.isnan(together)
        if tested.any():
            together[tested] = stats.false_discovery_control(together[tested])
        ends = np.cumsum([len(of) for of in self._intensity_p_values.values()])[:-1]
        return dict(zip(self._intensity_p_values, np.split(together, ends), strict=True))

    def check_linked(self, wanted: str) -> None:
        """Raise ``SVRError`` where nobody says which map feeds which, on which something rests."""
        if self.unlinked:
            raise SVRError(f"{wanted} rests on links, and {self.unlinked}")

    def internal_dimensions(self, link: LinkKey) -> InternalDimensions:
        """The block of strongly joined neurons of a link (section 3.2) and its p-value.

        Examples:
            >>> found = svr.internal_dimensions(("0", "2"))
            >>> found.d_out, found.d_in, round(found.p_value, 2)
            (2, 2, 0.03)
        """
        return self.adjacency(link).internal_dimensions()

    def estimate_seconds(self) -> float:
        """Roughly how long ``compute`` takes where nothing is done yet, on two ordinary cores."""
        maps = sum(decomposition_seconds(self._maps[name]) for name, _ in self.columns.values())
        return maps + sum(
            links_seconds(bundle, self._maps, self.method) for bundle in self._links.links.bundles
        )

    # In words.

    def __repr__(self) -> str:
        return f"SVR({self._summary()})"

    def _summary(self) -> str:
        neurons = sum(self._maps[name].neurons(side) for name, side in self.columns.values())
        kept = f", first {self.rank} of each map" if self.rank else ""
        folded = ", norms folded" if self.norm == "fold" else ""
        return (
            f"{self.title}: {len(self._maps)} maps, {neurons:,} neurons{kept}, "
            f"{len(self._links)} links, {self.method}{folded}"
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(linear.name)}</td><td>{linear.kind}</td>"
            f"<td>{' × '.join(map(str, linear.shape))}</td>"
            f"<td>{linear.neurons(self.flattening):,}</td></tr>"
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
            if noun == "link" and isinstance(key, str):
                raise KeyError(f"no link {key!r}: a link is a pair (producer, consumer)") from None
            raise KeyError(f"no {noun} {key!r}{nearest_name(key, known)}") from None
