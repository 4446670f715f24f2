"""Thresholds over all entries of a graph, of which only the strongest are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from svr_widget.engine.environment.settings import methods_with_own_settings
from svr_widget.engine.graph.streaming.digests import StrongestEdge
from svr_widget.engine.graph.streaming.stream import Stream
from svr_widget.engine.graph.streaming.tally import Kept, grid
from svr_widget.engine.maps.links import LinkKey, TestKey
from svr_widget.engine.significance.entries import Counts, LinkTests, least_weights
from svr_widget.engine.significance.multiple_testing import (
    Cut,
    FdrMethod,
    Mode,
    Scope,
    Significance,
    Thresholds,
    one_level,
)
from svr_widget.engine.significance.nulls import LOG_10, Kind, NullLaw
from svr_widget.engine.significance.tails import Floats


@methods_with_own_settings
class GraphTests(Thresholds):
    """The tests of all edges of a graph, and the thresholds over them.

    Counts are exact at every cut. Where the entries that are kept do not tell them, and the grid
    does not either, the entries pass once more.

    Args:
        stream: the entries, counted.
        kind: the law that they are tested by.
        link_tests: all entries of a link, in memory.

    Attributes:
        keys: the links, once for each of their laws.
        total: number of tests.
    """

    def __init__(
        self, stream: Stream, kind: Kind, link_tests: Callable[[LinkKey], tuple[LinkTests, ...]]
    ) -> None:
        self._stream, self._kind, self._link_tests = stream, kind, link_tests
        self.keys = stream.keys
        self.total = sum(tally.size for tally in stream.tallies)

    @property
    def tests(self) -> Mapping[TestKey, LinkTests]:
        """All entries of each key under their law, made when they are asked for."""
        return _LinkTestsOnDemand(self)

    def law(self, key: TestKey) -> NullLaw:
        """The law of the entries of a key."""
        return self.different_laws[int(self.law_places[self._stream.key_number(key)])]

    @cached_property
    def different_laws(self) -> list[NullLaw]:
        """The laws there are, each once, in order of appearance."""
        return [replace(law, kind=self._kind) for law in self._stream.laws]

    @property
    def law_places(self) -> NDArray[np.intp]:
        """The place of each key's law among ``different_laws``."""
        return self._stream.law_places

    @property
    def sizes(self) -> NDArray[np.int64]:
        """The number of tests of each key."""
        return self._stream.digests.sizes

    def strongest(self, key: TestKey) -> StrongestEdge | None:
        """The largest tested entry of a key; None where nothing is tested."""
        return self._stream.digests.strongest(self._stream.key_number(key))

    @property
    def strongest_edges(self) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats]:
        """``m``, ``n`` and the weight of the largest entry of every key; 0 where none is tested."""
        return self._stream.digests.strongest_edges

    @property
    def links_of_keys(self) -> NDArray[np.intp]:
        """The number of each key's link."""
        return self._stream.links_of_keys

    @property
    def strongest_log_p(self) -> float:
        """As ``Thresholds`` has it."""
        largest = np.full(len(self._stream.tallies), -1.0)
        tested = self.sizes > 0
        np.maximum.at(largest, self._stream.tally_of[tested], self._stream.digests.largest[tested])
        found = [
            float(tally.laws[self._kind].logsf(weight))
            for tally, weight in zip(self._stream.tallies, largest, strict=True)
            if weight >= 0
        ]
        return min(found, default=-1.0)

    def _grid(self) -> Floats:
        if not self._counted:
            return super()._grid()
        strongest = self.strongest_log_p
        looser = grid()[grid() > strongest]
        return np.append(strongest, looser)

    @property
    def _counted(self) -> bool:
        """Whether there are more entries than are kept."""
        return any(tally.counted for tally in self._stream.tallies)

    @property
    def known_up_to(self) -> float:
        """As ``Thresholds`` has it."""
        reached = [
            float(tally.laws[self._kind].logsf(tally.kept_from))
            for tally in self._stream.tallies
            if tally.counted
        ]
        # The inverse of a law is right to far better than this.
        return min(reached, default=0.0) * (1 + 1e-9)

    def totals(self, log_p: Floats) -> Counts:
        """As ``Thresholds`` has it."""
        self._stream.resolve(self._kind, log_p)
        counts = [tally.count(self._kind, log_p) for tally in self._stream.tallies]
        return np.asarray(np.sum([np.zeros(len(log_p), np.int64), *counts], axis=0))

    def counts(self, log_p: Floats) -> Counts:
        """Significant entries int64 ``[k, keys]`` at the natural logs of ``k`` cuts."""
        found = np.zeros((len(log_p), len(self.keys)), np.int64)
        by_pass = np.zeros(len(log_p), np.bool_)
        self._stream.resolve(self._kind, log_p)
        for at, tally in enumerate(self._stream.tallies):
            mine = self._stream.tally_of == at
            inside, counts = tally.among_kept(self._kind, log_p)
            found[inside] += _by_key(tally.kept, counts[inside], len(self.keys))
            rest = np.flatnonzero(~inside)
            if self._stream.key_counts:
                grid_counts = self._stream.key_counts[self._kind][mine]
                for cut in rest:
                    place, bracketed = tally.around(self._kind, log_p[cut])
                    if place >= 0:
                        found[cut, mine] += grid_counts[:, place]
                    if bracketed is not None:
                        few = tally.among(bracketed, self._kind, log_p[cut : cut + 1])
                        found[cut] += _by_key(bracketed, few, len(self.keys))[0]
            else:
                by_pass[rest] = True
        for cut in np.flatnonzero(by_pass):
            found[cut] = 0
            for entries in self._stream.above(self._least(float(log_p[cut]))):
                found[cut] += np.bincount(entries.key, minlength=len(self.keys))
        return found

    def _least(self, log_p: float) -> list[float]:
        """The smallest significant weight of each tally."""
        cut = np.array([log_p])
        return [
            float(least_weights(tally.laws[self._kind], cut, tally.dtype)[0])
            for tally in self._stream.tallies
        ]

    def weights(self, log_p: float) -> dict[TestKey, float]:
        """The smallest significant weight of each key at the natural log of a cut."""
        least = [*self._least(log_p), np.inf]  # of keys that have no tests
        return {
            key: least[at]
            for key, at in zip(self.keys, self._stream.tally_of.tolist(), strict=True)
        }

    def cut(
        self,
        *,
        p: float | None = None,
        sigma: float | None = None,
        fdr: float | None = None,
        bonferroni: float | None = None,
        fdr_method: FdrMethod = "bh",
        scope: Scope = "graph",
    ) -> Cut[TestKey]:
        """The cut at one level: exactly one of the four.

        Arguments and errors are those of ``Significance.cut``.
        """
        mode, level = one_level(p, sigma, fdr, bonferroni, fdr_method, scope)
        if scope == "link" and mode in ("fdr", "bonferroni"):
            return self._cut_by_link(mode, level, fdr_method)
        log_p = self.log_cuts(mode, np.array([level]), fdr_method)
        counts = self.counts(log_p)[0]
        significant = int(counts.sum())
        expected = self.expected(mode, np.array([level]), log_p, np.array([significant]))
        log10_p = float(log_p[0]) / LOG_10
        return Cut(
            mode=mode,
            level=level,
            log10_p=dict.fromkeys(self.keys, log10_p),
            weight=self.weights(float(log_p[0])),
            counts=dict(zip(self.keys, counts.tolist(), strict=True)),
            significant=significant,
            tests=self.total,
            expected=float(expected[0]),
        )

    def _cut_by_link(self, mode: Mode, level: float, fdr_method: FdrMethod) -> Cut[TestKey]:
        """Each link a family of tests of its own, one after the other."""
        parts: dict[LinkKey, list[TestKey]] = {}
        for key in self.keys:
            parts.setdefault(key[0], []).append(key)
        cuts: list[Cut[TestKey]] = []
        for keys in parts.values():
            tests = Significance({key: self.tests[key] for key in keys}, lambda key: key[0])
            cuts.append(tests.cut(**{mode: level}, fdr_method=fdr_method, scope="link"))
        return Cut(
            mode=mode,
            level=level,
            log10_p={key: p for cut in cuts for key, p in cut.log10_p.items()},
            weight={key: weight for cut in cuts for key, weight in cut.weight.items()},
            counts={key: count for cut in cuts for key, count in cut.counts.items()},
            significant=sum(cut.significant for cut in cuts),
            tests=self.total,
            expected=sum(cut.expected for cut in cuts),
        )

    def edges(self, weights: Mapping[TestKey, float]) -> LinkEdges:
        """The tested entries that reach the weight of their key, link by link, strongest first.

        Args:
            weights: as ``Cut.weight`` has them.
        """
        least_of_key = np.array([weights[key] for key in self.keys])
        least = np.full(len(self._stream.tallies), np.inf)
        passing = self._stream.tally_of >= 0
        np.minimum.at(least, self._stream.tally_of[passing], least_of_key[passing])
        kept = [
            tally.kept
            for tally, weight in zip(self._stream.tallies, least, strict=True)
            if weight < np.inf
        ]
        if any(
            tally.counted and weight < tally.kept_from
            for tally, weight in zip(self._stream.tallies, least, strict=True)
        ):
            kept = list(self._stream.above(least.tolist()))
        chosen = [each.chosen(each.weight >= least_of_key[each.key]) for each in kept]
        dtypes = [tally.dtype for tally in self._stream.tallies]
        return LinkEdges.of(Kept.joined(chosen, np.result_type(np.float32, *dtypes)), self.keys)

    def log10_p(self, entries: Kept) -> Floats:
        """The decimal logarithms of entries' p-values ``[k]``."""
        found = np.zeros(entries.weight.size)
        of = self._stream.tally_of[entries.key]
        for at in np.unique(of):
            found[of == at] = (
                self._stream.tallies[at].laws[self._kind].log10_p(entries.weight[of == at])
            )
        return found


class LinkEdges(NamedTuple):
    """Edges of many links.

    Attributes:
        entries: all of them, link by link in the order of links, in each strongest first.
        starts: where each link begins among them, and their number: ``[links + 1]``.
    """

    entries: Kept
    starts: NDArray[np.intp]

    @classmethod
    def of(cls, entries: Kept, keys: tuple[TestKey, ...]) -> LinkEdges:
        """Entries in any order."""
        parts = np.array([part for _, part in keys], np.int32)
        links = np.cumsum(parts == 0) - 1
        link = links[entries.key]
        order = np.lexsort((entries.m, entries.n, -entries.weight, link))
        count = int(links[-1]) + 1 if len(links) else 0
        return cls(entries.chosen(order), np.searchsorted(link[order], np.arange(count + 1)))


def _by_key(ascending: Kept, counts: Counts, keys: int) -> Counts:
    """The last ``counts`` of entries by key, ``[k, keys]``."""
    found = np.zeros((len(counts), keys), np.int64)
    so_far, row = 0, np.zeros(keys, np.int64)
    for at in np.argsort(counts, kind="stable"):
        last = ascending.key.size
        row = row + np.bincount(ascending.key[last - counts[at] : last - so_far], minlength=keys)
        so_far = int(counts[at])
        found[at] = row
    return found


class _LinkTestsOnDemand(Mapping[TestKey, LinkTests]):
    """The entries of each key, made when they are asked for."""

    def __init__(self, tests: GraphTests) -> None:
        self._tests = tests

    def __getitem__(self, key: TestKey) -> LinkTests:
        number = self._tests._stream.key_number(key)
        link, part = key
        found = self._tests._link_tests(link)[part]
        return found if self._tests._stream.tally_of[number] >= 0 else found.none

    def __iter__(self) -> Iterator[TestKey]:
        return iter(self._tests.keys)

    def __len__(self) -> int:
        return len(self._tests.keys)
