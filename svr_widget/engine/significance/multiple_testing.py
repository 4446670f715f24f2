"""Which edges are significant: thresholds over a graph or a link, with exact counts (2.4, 4.3).

An entry is significant at a cut ``t`` iff its p-value, as ``NullLaw.logsf`` gives it, is at most
``t``. ``Thresholds`` is what needs the numbers of a whole graph only, ``Significance`` the same of
entries in memory, whose counts come from binary searches in the sorted entries of each link.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from types import MappingProxyType
from typing import Generic, Literal, NamedTuple, TypeVar, get_args

import numpy as np
from scipy import special

from svr_widget.engine.environment.settings import methods_with_own_settings
from svr_widget.engine.errors import ThresholdError, nearest_name
from svr_widget.engine.significance.entries import Counts, Cuts, LinkTests
from svr_widget.engine.significance.nulls import LOG_10
from svr_widget.engine.significance.tails import Floats

Mode = Literal["fdr", "p", "sigma", "bonferroni"]
FdrMethod = Literal["bh", "by"]
Scope = Literal["graph", "link"]
Key = TypeVar("Key", bound=Hashable)

MODES: tuple[Mode, ...] = get_args(Mode)
_LARGEST_SIGMA = 37  # 1 - Phi(37) is about 1e-300


class LevelRange(NamedTuple):
    """The levels of a mode.

    Attributes:
        default: the one to begin with.
        lowest, highest: the ends.
        includes: whether each end is a level itself.
    """

    default: float
    lowest: float
    highest: float
    includes: tuple[bool, bool]

    def holds(self, level: float) -> bool:
        """Whether ``level`` is one of them."""
        at_end = level == self.lowest and self.includes[0]
        at_end |= level == self.highest and self.includes[1]
        return at_end or self.lowest < level < self.highest

    def words(self, name: str) -> str:
        """Such as ``"0 < p <= 1"``."""
        low, high = ("<=" if includes else "<" for includes in self.includes)
        return f"{self.lowest:g} {low} {name} {high} {self.highest:g}"


LEVELS: Mapping[str, LevelRange] = MappingProxyType(
    {
        "fdr": LevelRange(0.05, 0, 1, (False, False)),
        "p": LevelRange(1e-3, 0, 1, (False, True)),
        "sigma": LevelRange(4.0, -_LARGEST_SIGMA, _LARGEST_SIGMA, (True, True)),
        "bonferroni": LevelRange(0.05, 0, 1, (False, True)),
    }
)
_GRID = 1024


def check_level(mode: str, level: float) -> None:
    """Raise ``ThresholdError`` unless ``level`` lies in the range of ``mode``.

    The ranges: ``0 < fdr < 1``, ``0 < p <= 1``, ``-37 <= sigma <= 37``, ``0 < bonferroni <= 1``.
    """
    levels = LEVELS.get(mode)
    if levels is None:
        raise ThresholdError(
            f"a threshold is one of {', '.join(MODES)}, not {mode!r}{nearest_name(mode, MODES)}"
        )
    if not isinstance(level, Real) or not levels.holds(float(level)):
        raise ThresholdError(f"{mode} = {level!r} is out of range: {levels.words(mode)}")


@dataclass(frozen=True, eq=False)
class Cut(Generic[Key]):
    """A threshold and what it means on every key of a ``Significance``.

    Attributes:
        mode: what ``level`` is a level of.
        level: as it was given.
        log10_p: largest significant p-value, as a decimal logarithm.
        weight: an entry is significant iff it is at least this; ``inf`` where none can be.
        counts: numbers of significant entries.
        significant: their sum.
        tests: number of tests.
        expected: how many of the significant ones chance accounts for: ``p * tests`` for a level
            of each test, ``fdr * significant`` for a false discovery rate; for Bonferroni the
            upper bound alpha, once a graph or once a link.
    """

    mode: Mode
    level: float
    log10_p: Mapping[Key, float]
    weight: Mapping[Key, float]
    counts: Mapping[Key, int]
    significant: int
    tests: int
    expected: float

    @property
    def beyond_chance(self) -> bool:
        """Whether more is significant than chance gives.

        At a level of each test, more than twice the standard deviation of a count that is expected
        to be ``expected``. A false discovery rate and Bonferroni find nothing where there is but
        chance.
        """
        return exceeds_chance(self.mode, self.significant, self.expected)


def exceeds_chance(mode: Mode, found: int, expected: float) -> bool:
    """Whether a number of significant entries is more than chance gives (``Cut.beyond_chance``)."""
    if mode in ("fdr", "bonferroni"):
        return found > 0
    return found > expected + 2 * math.sqrt(expected)


class Thresholds(ABC):
    """Levels and cuts over all tests of a graph, from the numbers of entries at cuts.

    Attributes:
        total: number of tests.
    """

    total: int

    @abstractmethod
    def totals(self, log_p: Floats) -> Counts:
        """Significant entries of the whole graph at the natural logs of cuts, int64 ``[k]``."""

    @property
    def known_up_to(self) -> float:
        """The natural log of a cut up to which no entry has to be looked at again; 0 for all."""
        return 0.0

    @property
    @abstractmethod
    def strongest_log_p(self) -> float:
        """The natural log of the smallest p-value there is; -1 where nothing is tested."""

    def convert(self, mode: Mode, level: float, to: Mode) -> float:
        """The level of another mode with the same cut, over the graph, clipped into its range.

        A cut ``t`` is the false discovery rate ``t * tests / R(t)`` with ``R(t)`` entries
        significant. Levels are rounded to 12 significant digits.

        Raises:
            ThresholdError: ``level`` lies outside the range of ``mode``, or a mode is unknown.
        """
        check_level(mode, level)
        check_level(to, 0.5)
        if to == mode:
            return float(level)
        log_p = self.log_cuts(mode, np.array([float(level)]))
        converted = float(self.levels(to, log_p, self.totals(log_p))[0])
        rounded = float(f"{converted:.12g}")
        return converted if to == "fdr" and rounded == 1 else rounded

    def log_cuts(self, mode: Mode, levels: Floats, fdr_method: FdrMethod = "bh") -> Floats:
        """Natural logs of the largest significant p-value at levels ``[k]`` of one mode.

        The cut of a false discovery rate q is ``q * R / tests`` with ``R`` entries significant;
        where none is, that of a first one, ``q / tests``.
        """
        if mode == "sigma":
            sigma: Floats = special.log_ndtr(-levels)
            return sigma
        log_level = np.log(levels)
        if mode == "p":
            return log_level
        tests = max(self.total, 1)
        if mode == "bonferroni":
            return log_level - math.log(tests)
        if fdr_method == "by":
            log_level -= math.log(special.digamma(tests + 1) + np.euler_gamma)
        return self._step_up(log_level)

    def levels(self, mode: Mode, log_p: Floats, significant: Counts) -> Floats:
        """The inverse of ``log_cuts``: levels whose cut is ``log_p``, clipped into their range.

        Args:
            mode: what the levels are of.
            log_p: natural logs of cuts ``[k]``.
            significant: numbers of significant entries at them ``[k]``.
        """
        if mode == "sigma":
            sigma: Floats = -special.ndtri_exp(log_p)
            return sigma.clip(-_LARGEST_SIGMA, _LARGEST_SIGMA)
        log_level = log_p.copy()
        if mode != "p":
            log_level += math.log(max(self.total, 1))
        if mode == "fdr":
            log_level -= np.log(np.maximum(significant, 1))
        largest = np.nextafter(1.0, 0.0) if mode == "fdr" else 1.0
        return np.clip(np.exp(log_level), np.finfo(np.float64).tiny, largest)

    def expected(self, mode: Mode, levels: Floats, log_p: Floats, significant: Counts) -> Floats:
        """Entries that chance accounts for at cuts ``[k]`` (at most, for Bonferroni)."""
        expected: Floats = np.exp(log_p) * self.total
        if mode == "fdr":
            expected = levels * significant
        elif mode == "bonferroni":
            expected = levels * (self.total > 0)
        return expected

    @cached_property
    def curve(self) -> tuple[Floats, Counts]:
        """Significant entries of the whole graph along a grid of cuts.

        Returns:
            Natural logs of cuts, ascending from the strongest entry's p-value to 0 (p = 1); and
            the number of entries significant at each.
        """
        log_p = self._grid()
        counts = self.totals(log_p)
        for array in (log_p, counts):
            array.flags.writeable = False
        return log_p, counts

    def _grid(self) -> Floats:
        """Even in normal scores."""
        strongest = self.strongest_log_p
        top = max(1.0, -float(special.ndtri_exp(strongest)))
        log_p = np.append(special.log_ndtr(-np.linspace(top, -3.0, _GRID)), 0.0)
        if self.total:
            log_p[0] = strongest
        return log_p

    def _step_up(self, log_q: Floats) -> Floats:
        """Benjamini-Hochberg cuts: the largest ``t`` with ``t = q * max(R(t), 1) / tests``.

        From above, ``t <- q R(t) / tests`` falls to it in finitely many steps. The start is the
        end of the last stretch of ``curve`` that can hold the solution.
        """
        log_tests = math.log(max(self.total, 1))

        def target(log_level: Floats, count: Counts) -> Floats:
            return log_level + np.log(np.maximum(count, 1)) - log_tests

        ends, counts = self.curve
        starts = np.append(-np.inf, ends[:-1])
        needed = starts - target(np.zeros_like(ends), counts)
        reachable = np.minimum.accumulate(needed[::-1])[::-1]
        last = np.searchsorted(reachable, log_q, side="right") - 1
        log_t = np.minimum(ends[last], target(log_q, counts[last]))
        moving = np.arange(log_t.size)
        while moving.size:
            count = self.totals(log_t[moving])
            new = target(log_q[moving], count)
            falling = new < log_t[moving]
            moving = moving[falling]
            log_t[moving] = new[falling]
        return log_t


def one_level(
    p: float | None,
    sigma: float | None,
    fdr: float | None,
    bonferroni: float | None,
    fdr_method: FdrMethod,
    scope: Scope,
) -> tuple[Mode, float]:
    """The one level that is given, and its mode; ``ThresholdError`` where that is wrong."""
    given = {"p": p, "sigma": sigma, "fdr": fdr, "bonferroni": bonferroni}
    levels = [(mode, level) for mode in MODES if (level := given[mode]) is not None]
    if len(levels) != 1:
        raise ThresholdError("give exactly one of p, sigma, fdr and bonferroni")
    ((mode, level),) = levels
    check_level(mode, level)
    for value, allowed in ((fdr_method, FdrMethod), (scope, Scope)):
        if value not in get_args(allowed):
            raise ThresholdError(f"{value!r} is not one of {get_args(allowed)}")
    return mode, float(level)


@methods_with_own_settings
class Significance(Thresholds, Generic[Key]):
    """The tests of all edges of a graph, and the thresholds over them.

    Args:
        tests: the entries of every link under their law. A link whose entries follow several laws
            has a key for each.
        link_of: the link that a key belongs to, for ``scope="link"``; by default the key itself.

    Attributes:
        tests: as given.
        keys: theirs, by place.
        total: number of tests.
    """

    def __init__(
        self, tests: Mapping[Key, LinkTests], link_of: Callable[[Key], Hashable] | None = None
    ) -> None:
        self.tests: Mapping[Key, LinkTests] = MappingProxyType(dict(tests))
        self.keys = tuple(self.tests)
        self.total = sum(part.size for part in self.tests.values())
        self._link_of = link_of or (lambda key: key)

    def cut(
        self,
        *,
        p: float | None = None,
        sigma: float | None = None,
        fdr: float | None = None,
        bonferroni: float | None = None,
        fdr_method: FdrMethod = "bh",
        scope: Scope = "graph",
    ) -> Cut[Key]:
        """The cut at one level: exactly one of the four.

        Args:
            p: level of each single test (upper tail), in (0, 1]; the paper uses 0.15 (3.1).
            sigma: the same in standard deviations, ``p = 1 - Phi(sigma)``, in [-37, 37].
            fdr: false discovery rate, in (0, 1).
            bonferroni: level of all tests together, in (0, 1].
            fdr_method: ``"bh"`` (Benjamini and Hochberg 1995) or ``"by"`` (Benjamini and
                Yekutieli 2001, under any dependence).
            scope: whether ``fdr`` and ``bonferroni`` hold over the graph or over each link.

        Raises:
            ThresholdError: none or several levels are given, or one outside its range.
        """
        mode, level = one_level(p, sigma, fdr, bonferroni, fdr_method, scope)
        families = [self] if scope == "graph" else self._families
        log10_p: dict[Key, float] = {}
        counts: dict[Key, int] = {}
        expected = 0.0
        for family in families:
            log_p = family.log_cuts(mode, np.array([level]), fdr_method)
            found = family.counts(log_p)
            log10_p.update(dict.fromkeys(family.tests, float(log_p[0]) / LOG_10))
            counts.update(zip(family.tests, found[0].tolist(), strict=True))
            expected += float(family.expected(mode, np.array([level]), log_p, found.sum(axis=1))[0])
        return Cut(
            mode=mode,
            level=level,
            log10_p={key: log10_p[key] for key in self.tests},
            weight={key: part.smallest(counts[key]) for key, part in self.tests.items()},
            counts={key: counts[key] for key in self.tests},
            significant=sum(counts.values()),
            tests=self.total,
            expected=expected,
        )

    @property
    def strongest_log_p(self) -> float:
        """As ``Thresholds`` has it."""
        strongest = [
            float(part.law.logsf(part.smallest(1))) for part in self.tests.values() if part.size
        ]
        return min(strongest, default=-1.0)

    def counts(self, log_p: Floats) -> Counts:
        """Significant entries int64 ``[k, keys]`` at the natural logs of ``k`` cuts."""
        columns = list(self._counts_by_key(log_p))
        return np.stack(columns, axis=1) if columns else np.zeros((log_p.size, 0), np.int64)

    def totals(self, log_p: Floats) -> Counts:
        """Their sums over the graph, int64 ``[k]``, in the memory of one key."""
        total = np.zeros(log_p.size, np.int64)
        for column in self._counts_by_key(log_p):
            total += column
        return total

    def _counts_by_key(self, log_p: Floats) -> Iterator[Counts]:
        kinds = {(part.law, part.weights.dtype) for part in self.tests.values()}
        cuts = {(law, dtype): Cuts.of(law, log_p, dtype) for law, dtype in kinds}
        return (part.count(cuts[part.law, part.weights.dtype]) for part in self.tests.values())

    @cached_property
    def _families(self) -> list[Significance[Key]]:
        families: dict[Hashable, dict[Key, LinkTests]] = {}
        for key, part in self.tests.items():
            families.setdefault(self._link_of(key), {})[key] = part
        return [Significance(tests) for tests in families.values()]
